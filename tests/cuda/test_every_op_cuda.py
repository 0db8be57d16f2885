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

    def expected(self):
        return computed(self.node, self.leaves, self.arrays)


def _feeds(cases):
    return {
        leaf.name: array
        for case in cases
        for leaf, array in zip(case.leaves, case.arrays, strict=True)
    }


def _agree(case, found, expected, steps):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), case.label
    if found.dtype.name not in FLOATS or steps == 0:
        np.testing.assert_array_equal(found, expected, err_msg=case.label)
        return
    spacing = np.finfo(found.dtype).eps
    np.testing.assert_allclose(
        found, expected, rtol=steps * spacing, atol=steps * spacing, err_msg=case.label
    )


def _bits(arrays):
    """Return the bytes of arrays; every NaN counts as the same."""
    return [
        (np.where(array == array, array, np.nan) if array.dtype.kind == "f" else array).tobytes()
        for array in arrays
    ]


def _check(cases, cuda, steps):
    """Run all cases as one function, forwards and backwards, against the reference."""
    function = symgraph.compile([case.node for case in cases], device="cuda")
    feeds = _feeds(cases)
    found = function(**feeds)
    for case, array in zip(cases, found, strict=True):
        _agree(case, array, case.expected(), steps)
    if cases[0].node.op.name != "call_index":
        with cuda.reverse():
            assert _bits(function(**feeds)) == _bits(found), cases[0].label
    return function, found


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
            cases.append(Case(f"{op.name} {attrs} {dtypes}", node, leaves, dtypes))
    return cases


def _fed(op, cases, make):
    """Return the cases with the arrays that `make` gives for dtypes."""
    return [
        Case(case.label, case.node, case.leaves, allowed_operands(op, make(case.arrays)))
        for case in cases
    ]


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_elementwise(cuda, op):
    cases = _elementwise_cases(op)
    steps = MOST_ULPS if op.name in ROUNDED else 0
    rng = np.random.default_rng(4)

    def of_size(size):
        return _fed(op, cases, lambda d: tuple(ordinary(rng, dtype, size) for dtype in d))

    function, _ = _check(of_size(37), cuda, steps)
    special = _fed(op, cases, special_operands)
    for fed in (of_size(0), of_size(1), special):
        feeds = _feeds(fed)
        if fed is not special or op.name not in ROUNDED:
            with np.errstate(all="ignore"):
                for case, array in zip(fed, function(**feeds), strict=True):
                    _agree(case, array, case.expected(), steps)
    if op.name in ROUNDED:
        on_cpu = symgraph.compile([case.node for case in cases])
        assert _bits(function(**feeds)) == _bits(on_cpu(**feeds))


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
