"""Every op on the emulated GPU against the reference, for all dtypes, shapes and special values."""

import numpy as np
import pytest

import symgraph
from symgraph.errors import DTypeError
from symgraph.leaves import Placeholder
from symgraph.op import Elementwise
from symgraph.types import FLOATS
from tests.op_harness import (
    ELEMENTWISE,
    OPS,
    computed,
    dtype_choices,
    operands_of,
    placeholders_for,
    special_operands,
)
from tests.test_every_scalar_code import MOST_ULPS, ROUNDED, allowed_operands, ordinary

OTHERS = [op for op in OPS if not isinstance(op.kind, Elementwise)]
BROADCAST = ((3, 17), (17,), (3, 1))


class Case:
    """One use of an op: its node, the placeholders of that, and arrays to feed."""

    def __init__(self, label, node, leaves, arrays):
        self.label, self.node, self.leaves, self.arrays = label, node, leaves, arrays
        self.dtypes = tuple(leaf.type.element for leaf in leaves)


def _feeds(cases):
    return {
        leaf.name: array
        for case in cases
        for leaf, array in zip(case.leaves, case.arrays, strict=True)
    }


def _compare(cases, function, steps):
    """Compare what a function of all cases returns with the reference."""
    found = function(**_feeds(cases))
    for case, array in zip(cases, found, strict=True):
        with np.errstate(all="ignore"):
            expected = computed(case.node, case.leaves, case.arrays)
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
            assert _bits(function(**_feeds(cases))) == _bits(found), cases[0].label
    return function


def _elementwise_cases(op):
    """Return a case for each choice of attributes and dtypes, of vectors of any length."""
    cases = []
    for attrs in dict.fromkeys(tuple(sample.attrs.items()) for sample in op.samples):
        for dtypes in dtype_choices(op, operands_of(op.samples[0])):
            start = f"c{len(cases)}_"
            leaves = [Placeholder(f"{start}{i}", (None,), d) for i, d in enumerate(dtypes)]
            try:
                node = op(*leaves, **dict(attrs))
            except DTypeError:
                continue
            cases.append(Case(f"{op.name} {attrs} {dtypes}", node, leaves, ()))
    return cases


def _fed(op, cases, make):
    """Return the cases with the arrays that `make` gives for dtypes."""
    return [
        Case(case.label, case.node, case.leaves, allowed_operands(op, make(case.dtypes)))
        for case in cases
    ]


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_elementwise(cuda, op):
    cases = _elementwise_cases(op)
    steps = MOST_ULPS if op.name in ROUNDED else 0
    rng = np.random.default_rng(4)

    def of_size(size):
        return _fed(op, cases, lambda d: tuple(ordinary(rng, dtype, size) for dtype in d))

    function = _check(of_size(37), cuda, steps)
    for size in (0, 1):
        _compare(of_size(size), function, steps)
    special = _fed(op, cases, special_operands)
    if op.name not in ROUNDED:
        _compare(special, function, 0)
        return
    # Here NumPy may be some ulps off, and the CPU is not, which has its own comparison with NumPy.
    found = dict(
        zip((case.label for case in cases), _bits(function(**_feeds(special))), strict=True)
    )
    alike = [case for case in special if len(set(case.dtypes)) == 1]
    on_cpu = symgraph.compile([case.node for case in alike])(**_feeds(alike))
    for case, expected in zip(alike, _bits(on_cpu), strict=True):
        assert found[case.label] == expected, case.label


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
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


def _other_cases(op):
    cases = []
    for index, sample in enumerate(op.samples):
        drawn = operands_of(sample)
        for dtypes in dtype_choices(op, drawn):
            start = f"c{len(cases)}_"
            arrays = tuple(array.astype(d) for array, d in zip(drawn, dtypes, strict=True))
            leaves = [
                Placeholder(f"{start}{i}", array.shape, array.dtype)
                for i, array in enumerate(arrays)
            ]
            try:
                node = op(*leaves, **sample.attrs)
            except DTypeError:
                continue
            cases.append(Case(f"{op.name} sample {index} {dtypes}", node, leaves, arrays))
    return cases


@pytest.mark.parametrize("op", OTHERS, ids=lambda op: op.name)
def test_other_ops(cuda, op):
    _check(_other_cases(op), cuda, 64)
