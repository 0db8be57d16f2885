"""Rules for arrays that are assembled of parts."""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import RuleTable, build
from symgraph.dims import Extent, never_negative
from symgraph.node import Node

MOST_PARTS = 64
"""Parts of one array: the time to see that none lie on each other grows with the square."""

Part = tuple[Node, tuple[tuple[Extent, ...], tuple[int, ...]]]


def join_parts(node: Node) -> Node | None:
    """Sums of parts in a field of zeros -> one array of all parts, where none lie on each other.

    The adjoint of an array that is cut into gates is such a sum. A part's -0.0 stays, which adding
    zero would make 0.0.
    """
    if any(operand.op.name != "assemble" or operand.attrs["fill"] != 0 for operand in node.inputs):
        return None
    one, other = node.inputs
    if one.attrs["shape"] != other.attrs["shape"]:
        return None
    own, more = _parts(one), _parts(other)
    if len(own) + len(more) > MOST_PARTS:
        return None
    if not all(_apart(a, b) for a in own for b in more):
        return None
    parts = [*own, *more]
    if all(isinstance(start, int) for _, (starts, _) in parts for start in starts):
        parts.sort(key=lambda part: part[1][0])
    return build(
        "assemble",
        *(part for part, _ in parts),
        shape=one.attrs["shape"],
        fill=0,
        placements=tuple(placement for _, placement in parts),
    )


def _parts(node: Node) -> list[Part]:
    return list(zip(node.inputs, node.attrs["placements"], strict=True))


def _apart(one: Part, other: Part) -> bool:
    """Tell whether two parts share no element, whatever their extents are."""
    (a, (first, one_steps)), (b, (second, other_steps)) = one, other
    if any(step != 1 for step in (*one_steps, *other_steps)):
        return False
    return any(
        never_negative(q - p - m) or never_negative(p - q - n)
        for p, q, m, n in zip(first, second, a.type.dims, b.type.dims, strict=True)
    )


RULES: RuleTable = {"add": (join_parts,)}
