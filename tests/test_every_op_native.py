"""Compiled functions against the reference, for every op, dtype and kind of shape."""

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
    applied,
    computed,
    dtype_choices,
    operands_of,
    placeholders_for,
)
from tests.test_every_scalar_code import MOST_ULPS, ROUNDED, allowed_operands, ordinary

SIZES = (0, 1, 7, 16, 33)
BROADCAST = ((3, 17), (17,), (3, 1))
ELEMENTWISE_CASES = [
    pytest.param(op, attrs, dtypes, id="-".join((op.name, *map(str, attrs.values()), *dtypes)))
    for op in ELEMENTWISE
    for attrs in [dict(sample.attrs) for sample in op.samples[::3]]
    for dtypes in dtype_choices(op, operands_of(op.samples[0]))
]
OTHER_CASES = [
    pytest.param(op, sample, id=f"{op.name}-{index}")
    for op in OPS
    if not isinstance(op.kind, Elementwise)
    for index, sample in enumerate(op.samples)
]


def _agree(op, found, expected):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    exact = found.dtype.name not in FLOATS
    if exact or (isinstance(op.kind, Elementwise) and op.name not in ROUNDED):
        np.testing.assert_array_equal(found, expected)
        return
    spacing = np.finfo(found.dtype).eps
    steps = MOST_ULPS if op.name in ROUNDED else 64
    np.testing.assert_allclose(found, expected, rtol=steps * spacing, atol=steps * spacing)


@pytest.mark.parametrize(("op", "attrs", "dtypes"), ELEMENTWISE_CASES)
def test_elementwise_native_is_reference(op, attrs, dtypes):
    try:
        flat = [Placeholder(f"x{i}", (None,), dtype) for i, dtype in enumerate(dtypes)]
        node = op(*flat, **attrs)
    except DTypeError:
        return
    function = symgraph.compile(node)
    rng = np.random.default_rng(4)
    for size in SIZES:
        arrays = allowed_operands(op, tuple(ordinary(rng, dtype, size) for dtype in dtypes))
        feeds = {leaf.name: array for leaf, array in zip(flat, arrays, strict=True)}
        _agree(op, function(**feeds), computed(node, flat, arrays))


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_elementwise_native_broadcasts_as_the_reference(op):
    count = len(operands_of(op.samples[0]))
    dtypes = [array.dtype.name for array in operands_of(op.samples[0])]
    rng = np.random.default_rng(5)
    arrays = tuple(
        ordinary(rng, dtype, int(np.prod(shape))).reshape(shape)
        for dtype, shape in zip(dtypes, BROADCAST[:count], strict=True)
    )
    if op.name == "check_index":
        arrays = (np.abs(arrays[0]) % 5, np.full((17,), 5))
    if op.name == "check_ratio":
        arrays = (np.abs(arrays[0]) % 1,)
    nodes = placeholders_for(arrays)
    node = op(*nodes, **op.samples[0].attrs)
    feeds = {leaf.name: array for leaf, array in zip(nodes, arrays, strict=True)}
    _agree(op, symgraph.compile(node)(**feeds), computed(node, nodes, arrays))


@pytest.mark.parametrize(("op", "sample"), OTHER_CASES)
def test_native_is_reference(op, sample):
    drawn = operands_of(sample)
    for dtypes in dtype_choices(op, drawn):
        arrays = tuple(array.astype(d) for array, d in zip(drawn, dtypes, strict=True))
        nodes = placeholders_for(arrays)
        try:
            node = applied(op, nodes, sample.attrs)
        except DTypeError:
            continue
        feeds = {leaf.name: array for leaf, array in zip(nodes, arrays, strict=True)}
        _agree(op, symgraph.compile(node)(**feeds), computed(node, nodes, arrays))
