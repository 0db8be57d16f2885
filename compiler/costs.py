"""What an op costs for one element: the number of primitives that its scalar code consists of."""

from __future__ import annotations

from functools import cache, partial

from symgraph.compiler.codegen.listing import ListingBuilder
from symgraph.node import Node
from symgraph.op import Elementwise, Op

CHEAP = 8
"""Primitives up to which it is faster to compute a value again than to store and load it."""


def cost_of(node: Node) -> int:
    """Return the primitives of a node, 1 for a reduction."""
    if not isinstance(node.op.kind, Elementwise):
        return 1
    dtypes = tuple(child.type.element for child in node.inputs)
    attrs = tuple(sorted(node.attrs.items())) if node.attrs else ()
    return _primitives(node.op, dtypes, attrs)


@cache
def _primitives(op: Op, dtypes: tuple[str, ...], attrs: tuple[tuple[str, object], ...]) -> int:
    assert isinstance(op.kind, Elementwise), "other kinds have no scalar code"
    listing = ListingBuilder()
    operands = [listing.operand(dtype, "") for dtype in dtypes]
    before = len(listing.source().splitlines())
    partial(op.kind.scalar, **dict(attrs))(listing, *operands)
    return max(len(listing.source().splitlines()) - before, 1)
