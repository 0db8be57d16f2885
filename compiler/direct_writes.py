"""Which regions write their results straight into the array that is assembled of them."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.compiler.region import FUSED, Access, Region
from symgraph.compiler.views import row_major
from symgraph.dims import Extent
from symgraph.node import Graph, Node
from symgraph.ops.control import PROJECT

SHORTEST_ROW = 32
"""Elements of a row below which writing row by row is slower than a copy."""

Place = tuple[Node, int]
"""A fused node, and which of its results."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a result goes: a part of an assembled array."""

    whole: Node
    access: Access


def direct_writes(graph: Graph) -> dict[Place, Destination]:
    """Return the results of regions that nothing but one assembled array needs."""
    users: dict[Node, int] = {}
    for node in graph:
        for child in node.inputs:
            users[child] = users.get(child, 0) + 1
    for node in graph.outputs:
        users[node] = users.get(node, 0) + 1
    found: dict[Place, Destination] = {}
    for node in graph:
        if node.op.name != "assemble" or not covered(node):
            continue
        for part, (starts, _) in zip(node.inputs, node.attrs["placements"], strict=True):
            if users[part] == 1 and _is_whole_result(part, node):
                place = part.inputs[0], part.attrs["index"]
                found[place] = Destination(node, placed(node, starts))
    return found


def _is_whole_result(part: Node, whole: Node) -> bool:
    """Tell whether `part` is what a region computes element by element, in rows of some length."""
    if part.op is not PROJECT or part.inputs[0].op is not FUSED:
        return False
    region: Region = part.inputs[0].attrs["region"]
    shape = part.type.dims
    return (
        not region.reduced
        and region.chunk is None
        and region.domain == shape
        and len(shape) == whole.type.rank
        and isinstance(shape[-1], int)
        and shape[-1] >= SHORTEST_ROW
    )


def placed(whole: Node, starts: tuple[Extent, ...]) -> Access:
    """Return where a part that begins at `starts` lies within the assembled array."""
    strides = row_major(whole.type.dims)
    offset: Extent = 0
    for start, stride in zip(starts, strides, strict=True):
        offset = offset + start * stride
    return Access(offset, strides)


def covered(node: Node) -> bool:
    """Tell whether the parts provably write every element: laid end to end along one axis."""
    shape = node.type.dims
    parts = [child.type.dims for child in node.inputs]
    if any(step != 1 for _, steps in node.attrs["placements"] for step in steps):
        return False
    for axis in range(len(shape)):
        if all(p[:axis] + p[axis + 1 :] == shape[:axis] + shape[axis + 1 :] for p in parts):
            end: Extent = 0
            for part, (starts, _) in zip(parts, node.attrs["placements"], strict=True):
                if starts[axis] != end:
                    break
                end = end + part[axis]
            else:
                if end == shape[axis]:
                    return True
    return False
