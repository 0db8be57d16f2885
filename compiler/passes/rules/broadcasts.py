"""Rules about broadcast operands, for every elementwise op."""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import build, only_input
from symgraph.compiler.rewrite import with_inputs
from symgraph.errors import ShapeError
from symgraph.node import Node
from symgraph.op import Elementwise
from symgraph.types import Shape, broadcast_shapes


def implicit_broadcast(node: Node) -> Node | None:
    """op(broadcast_to(x), y) -> op(x, y), or broadcast_to(op(x, y)) if less is computed so."""
    if not isinstance(node.op.kind, Elementwise):
        return None
    stripped = tuple(_stripped(operand) for operand in node.inputs)
    if all(new is old for new, old in zip(stripped, node.inputs, strict=True)):
        return None
    dims = _broadcast(stripped)
    if dims is None:
        return None
    smaller = with_inputs(node, stripped)
    if dims == node.type.dims:
        return smaller
    return build("broadcast_to", smaller, shape=node.type.dims)


def _stripped(operand: Node) -> Node:
    return operand if (x := only_input(operand, "broadcast_to")) is None else x


def _broadcast(operands: tuple[Node, ...]) -> Shape | None:
    """Return the shape of an operation on `operands`, None if it is not decided by their types."""
    try:
        dims = broadcast_shapes(operand.type.dims for operand in operands)
    except ShapeError:
        return None  # such as (2,) and (3,) after their broadcasts to (2, 3) and (3,) are taken off
    undecided = operands[0].type.with_shape(dims).undecided
    return None if undecided else dims
