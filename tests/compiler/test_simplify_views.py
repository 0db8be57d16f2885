"""Views of views, broadcasts and reductions become one."""

from collections.abc import Callable

import numpy as np
import pytest

from symgraph.leaves import Placeholder
from symgraph.node import Node
from tests.compiler.pass_harness import (
    canonical,
    leaf,
    op,
    simplified,
    text,
    values,
)

Row = tuple[Node, Node]

X3 = leaf("x", "float64", (2, 3, 4))
N3 = leaf("x", "float64", ("N", 3))
ROW = leaf("r", "float64", (1, 3))

VIEWS: dict[str, Callable[[], Row]] = {
    "identity_reshape": lambda: (op("reshape", X3, shape=(2, 3, 4)), X3),
    "reshape_of_reshape": lambda: (
        op("reshape", op("reshape", X3, shape=(6, 4)), shape=(24,)),
        op("reshape", X3, shape=(24,)),
    ),
    "reshape_back": lambda: (op("reshape", op("reshape", X3, shape=(6, 4)), shape=(2, 3, 4)), X3),
    "identity_transpose": lambda: (op("transpose", X3, axes=(0, 1, -1)), X3),
    "transpose_back": lambda: (op("transpose", op("transpose", X3, axes=None), axes=None), X3),
    "transpose_of_transpose": lambda: (
        op("transpose", op("transpose", X3, axes=(1, 2, 0)), axes=(0, 2, 1)),
        op("transpose", X3, axes=(1, 0, 2)),
    ),
    "identity_broadcast": lambda: (op("broadcast_to", X3, shape=(2, 3, 4)), X3),
    "broadcast_of_broadcast": lambda: (
        op("broadcast_to", op("broadcast_to", ROW, shape=(5, 3)), shape=(2, 5, 3)),
        op("broadcast_to", ROW, shape=(2, 5, 3)),
    ),
    "broadcast_of_ones": lambda: (
        op("broadcast_to", op("reshape", X3, shape=(1, 2, 3, 4)), shape=(5, 2, 3, 4)),
        op("broadcast_to", X3, shape=(5, 2, 3, 4)),
    ),
    "slice_of_everything": lambda: (
        op("slice", N3, starts=(0, 0), steps=(1, 1), lengths=N3.shape),
        N3,
    ),
    "slice_of_slice": lambda: (
        op(
            "slice",
            op("slice", X3, starts=(1, 0, 3), steps=(1, 2, -1), lengths=(1, 2, 4)),
            starts=(0, 1, 1),
            steps=(1, -1, 2),
            lengths=(1, 2, 2),
        ),
        op("slice", X3, starts=(1, 2, 2), steps=(1, -2, -2), lengths=(1, 2, 2)),
    ),
    "broadcast_operand": lambda: (
        op("broadcast_to", ROW, shape=(2, 3)) * leaf("x", shape=(2, 3)),
        ROW * leaf("x", shape=(2, 3)),
    ),
    "broadcast_result": lambda: (
        op("exp", op("broadcast_to", ROW, shape=(2, 3))),
        op("broadcast_to", op("exp", ROW), shape=(2, 3)),
    ),
    "sum_of_broadcast": lambda: (
        op("sum", op("broadcast_to", ROW, shape=(7, 3)), axis=(0,), keepdims=True),
        (ROW + 0.0) * 7.0,
    ),
    "sum_of_broadcast_and_more": lambda: (
        op("sum", op("broadcast_to", ROW, shape=(7, 3)), axis=(0, 1), keepdims=True),
        op("sum", ROW, axis=(1,), keepdims=True) * 7.0,
    ),
    "max_of_broadcast": lambda: (
        op("max", op("broadcast_to", ROW, shape=(7, 3)), axis=(0,), keepdims=True),
        ROW,
    ),
    "sum_of_one": lambda: (op("sum", ROW, axis=(0,), keepdims=True), ROW + 0.0),
    "sum_of_one_never_minus_zero": lambda: (
        op("sum", op("exp", ROW), axis=(0,), keepdims=True),
        op("exp", ROW),
    ),
    "prod_of_one": lambda: (op("prod", ROW, axis=(0,), keepdims=True), ROW),
    "sum_of_sum": lambda: (
        op("sum", op("sum", X3, axis=(0,), keepdims=True), axis=(2,), keepdims=True),
        op("sum", X3, axis=(0, 2), keepdims=True),
    ),
    "sum_of_squeezed_sum": lambda: (
        op("sum", op("sum", X3, axis=(1,), keepdims=False), axis=(1,), keepdims=False),
        op("sum", X3, axis=(1, 2), keepdims=False),
    ),
    "max_of_min_stays": lambda: (
        op("max", op("min", X3, axis=(0,), keepdims=True), axis=(2,), keepdims=True),
        op("max", op("min", X3, axis=(0,), keepdims=True), axis=(2,), keepdims=True),
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view_and_reduction_rule(name):
    before, after = VIEWS[name]()
    graph = simplified(before)
    assert text(graph) == text(canonical(after))
    rng = np.random.default_rng(0)
    fed = {
        node.name: rng.normal(size=[2 if str(e) == "N" else e for e in node.shape])
        for node in canonical(before)
        if isinstance(node, Placeholder)
    }
    for given in (fed, {name: np.full_like(array, -0.0) for name, array in fed.items()}):
        actual, expected = values(graph, given)[0], values(canonical(before), given)[0]
        np.testing.assert_allclose(actual, expected, rtol=1e-14)
        np.testing.assert_array_equal(np.signbit(actual), np.signbit(expected))


def test_assemble_of_one_part_that_fills_it_is_the_part():
    part = leaf("x", "float64", (2, 3))
    placements = (((0, 0), (1, 1)),)
    whole = op("assemble", part, shape=(2, 3), fill=0, placements=placements)
    assert simplified(whole).outputs[0] is part


def test_sum_of_symbolic_broadcast_stays_since_it_may_be_empty():
    wide = op("broadcast_to", ROW, shape=(N3.shape[0], 3))
    graph = simplified(op("sum", wide, axis=(0,), keepdims=True))
    assert [node.op.name for node in graph] == ["placeholder", "broadcast_to", "sum"]
