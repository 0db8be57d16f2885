"""The scalar code of every elementwise op, run natively over special values, against NumPy."""

from functools import cache

import numpy as np
import pytest

from symgraph.errors import DTypeError
from symgraph.ops.elementwise import operand_dtypes
from symgraph.types import DTYPES, FLOATS, TensorType
from tests.op_harness import ELEMENTWISE, special_operands, special_values, ulp_distance
from tests.symgraph.scalar_harness import NativeLoop

LANES = 16
SIZES = (0, 1, 7, 16, 33)
# Our maths and NumPy's both round, so they may be some units in the last place apart.
ROUNDED = frozenset(
    """
    exp expm1 log log1p sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh erf power sigmoid
    softplus
    """.split()
)
MOST_ULPS = 4


def _cases():
    for op in ELEMENTWISE:
        operands = len(op.samples[0].make(np.random.default_rng(0)))
        attrs_seen = []
        for sample in op.samples:
            if sample.attrs in attrs_seen:
                continue
            attrs_seen.append(sample.attrs)
            for loop in dict.fromkeys(_loops(op, operands, sample.attrs)):
                label = "-".join((op.name, *map(str, sample.attrs.values()), *loop))
                yield pytest.param(op, dict(sample.attrs), loop, id=label)


def _loops(op, operands, attrs):
    """Yield the dtypes in which the op computes, for every dtype that all its operands may have."""
    for dtype in DTYPES:
        types = (TensorType(dtype, ()),) * operands
        try:
            op.infer(types, attrs)
        except DTypeError:
            continue
        yield operand_dtypes(op, types, attrs)


CASES = list(_cases())


@cache
def _loop(op, attrs, dtypes):
    def code(s, *values):
        # Run-time checks have tests of their own; here they are let pass.
        s.flag = lambda condition, kind: None
        return op.kind.scalar(s, *values, **dict(attrs))

    return NativeLoop(code, dtypes, LANES)


def _compare(op, attrs, dtypes, arrays):
    inferred = op.infer(tuple(TensorType(d, (arrays[0].size,)) for d in dtypes), attrs)
    with np.errstate(all="ignore"):
        expected = op.numpy(*arrays, **attrs)
    assert expected.dtype.name == inferred.element
    found = _loop(op, tuple(attrs.items()), dtypes)(*arrays)
    allowed = MOST_ULPS if op.name in ROUNDED else 0
    assert ulp_distance(found, expected) <= allowed, _worst(found, expected, arrays)


def _worst(found, expected, arrays):
    different = np.flatnonzero(found != expected)[:8]
    return [(*(a[i] for a in arrays), found[i], expected[i]) for i in different]


def allowed_operands(op, arrays):
    """Return `arrays` without the operands that the op refuses at run time."""
    if op.name == "power" and np.result_type(*arrays).kind == "i":
        keep = arrays[1] >= 0
    elif op.name == "check_index":
        keep = (arrays[0] >= 0) & (arrays[0] < arrays[1])
    elif op.name == "check_ratio":
        keep = (arrays[0] >= 0) & (arrays[0] < 1)
    else:
        return arrays
    return tuple(array[keep] for array in arrays)


@pytest.mark.parametrize(("op", "attrs", "dtypes"), CASES)
def test_special_values_are_those_of_numpy(op, attrs, dtypes):
    _compare(op, attrs, dtypes, allowed_operands(op, special_operands(dtypes)))


@pytest.mark.parametrize(("op", "attrs", "dtypes"), CASES)
def test_ordinary_values_of_any_length_are_those_of_numpy(op, attrs, dtypes):
    rng = np.random.default_rng(3)
    for size in SIZES:
        arrays = tuple(ordinary(rng, dtype, size) for dtype in dtypes)
        _compare(op, attrs, dtypes, allowed_operands(op, arrays))


def ordinary(rng, dtype, size):
    if dtype in FLOATS:
        return rng.normal(0, 2, size).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, size) == 1
    return rng.integers(-20, 20, size).astype(dtype)


def test_the_table_of_special_values_has_what_matters():
    for dtype in FLOATS:
        values = special_values(dtype)
        limits = np.finfo(dtype)
        assert np.isnan(values).any()
        assert {np.inf, -np.inf, limits.max, limits.smallest_normal} <= set(values.tolist())
        assert np.signbit(values[values == 0]).tolist() == [False, True]
