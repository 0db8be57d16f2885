"""Every op on the emulated GPU against the reference, for all dtypes, shapes and special values."""

import numpy as np
import pytest

import symgraph
from symgraph.types import FLOATS
from tests.cuda.op_cases import ELEMENTWISE, OTHERS, Case, elementwise_cases, feeds, other_cases
from tests.op_harness import operands_of, placeholders_for, special_operands
from tests.test_every_scalar_code import MOST_ULPS, ROUNDED, allowed_operands, ordinary

BROADCAST = ((3, 17), (17,), (3, 1))
MOST_STEPS = 64
every_elementwise = pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
every_other = pytest.mark.parametrize("op", OTHERS, ids=lambda op: op.name)


def _compare(cases, function, steps):
    """Compare what a function of all cases returns with the reference, and return it."""
    found = function(**feeds(cases))
    for case, array in zip(cases, found, strict=True):
        expected = case.expected()
        assert (array.dtype, array.shape) == (expected.dtype, expected.shape), case.label
        if steps == 0 or array.dtype.name not in FLOATS:
            assert _bits([array]) == _bits([expected]), case.label
            continue
        allowed = steps * np.finfo(array.dtype).eps
        np.testing.assert_allclose(array, expected, rtol=allowed, atol=allowed, err_msg=case.label)
    return found


def _bits(arrays):
    """Return the bytes of arrays; every NaN counts as the same."""
    return [
        (np.where(array == array, array, np.nan) if array.dtype.kind == "f" else array).tobytes()
        for array in arrays
    ]


def _check(cases, cuda, steps):
    """Run all cases as one function, forwards and backwards, and return the function."""
    function = symgraph.compile([case.node for case in cases], device="cuda")
    found = _compare(cases, function, steps)
    if cases[0].node.op.name != "call_index":
        with cuda.reverse():
            assert _bits(function(**feeds(cases))) == _bits(found), cases[0].label
    return function


@every_elementwise
def test_elementwise(cuda, op):
    cases = elementwise_cases(op)
    steps = MOST_ULPS if op.name in ROUNDED else 0
    rng = np.random.default_rng(4)

    def fed(make):
        return [case.fed(allowed_operands(op, make(case.dtypes))) for case in cases]

    def of_size(size):
        return fed(lambda dtypes: tuple(ordinary(rng, dtype, size) for dtype in dtypes))

    function = _check(of_size(37), cuda, steps)
    for size in (0, 1):
        _compare(of_size(size), function, steps)
    special = fed(special_operands)
    if op.name not in ROUNDED:
        _compare(special, function, 0)
        return
    # Here NumPy may be some ulps off, and the CPU is not, which has its own comparison with NumPy.
    found = dict(
        zip((case.label for case in cases), _bits(function(**feeds(special))), strict=True)
    )
    alike = [case for case in special if len(set(case.dtypes)) == 1]
    on_cpu = symgraph.compile([case.node for case in alike])(**feeds(alike))
    for case, expected in zip(alike, _bits(on_cpu), strict=True):
        assert found[case.label] == expected, case.label


@every_elementwise
def test_elementwise_broadcasts(cuda, op):
    dtypes = [array.dtype.name for array in operands_of(op.samples[0])]
    rng = np.random.default_rng(5)
    arrays = tuple(
        ordinary(rng, dtype, int(np.prod(shape))).reshape(shape)
        for dtype, shape in zip(dtypes, BROADCAST, strict=False)
    )
    if op.name == "check_index":
        arrays = (np.abs(arrays[0]) % 5, np.full((17,), 5))
    if op.name == "check_ratio":
        arrays = (np.abs(arrays[0]) % 1,)
    leaves = placeholders_for(arrays)
    case = Case(op.name, op(*leaves, **op.samples[0].attrs), leaves, arrays)
    _check([case], cuda, MOST_ULPS if op.name in ROUNDED else 0)


@every_other
def test_other_ops(cuda, op):
    _check(other_cases(op), cuda, MOST_STEPS)


@every_other
def test_other_ops_with_open_extents(cuda, op):
    cases = other_cases(op, open_extents=True)
    if cases:
        _check(cases, cuda, MOST_STEPS)
