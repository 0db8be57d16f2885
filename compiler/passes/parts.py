"""Computing parts: an elementwise result of which only slices are read is computed slice by slice.

The gates of an LSTM are four parts of one sum. Computed as a whole, the sum is a kernel and an
array of its own; computed part by part, it disappears in the kernel that reads the parts.
"""

from __future__ import annotations

from symgraph.compiler.rewrite import map_subgraphs, with_inputs
from symgraph.dims import Extent
from symgraph.location import located_at
from symgraph.node import Graph, Node
from symgraph.op import Elementwise
from symgraph.ops.slices import SLICE
from symgraph.types import Shape

Part = tuple[Shape, tuple[int, ...], Shape]
"""Starts, steps and lengths, one of each for an axis."""

LEAST_ROW = 16
"""Elements of the last axis below which parts of rows would be read element by element."""


def compute_parts(graph: Graph) -> Graph:
    """Return `graph` with slices of elementwise results computed from slices of their operands.

    Nothing is computed twice: the parts of a result never have more elements than the whole.
    """
    parts = _parts(graph)
    builder = _Builder(parts)
    for node in graph:
        if node not in parts:
            builder.whole(node)
        for part in parts.get(node, ()):
            builder.part(node, part)
    return Graph(graph.inputs, tuple(map(builder.whole, graph.outputs)))


def _parts(graph: Graph) -> dict[Node, dict[Part, None]]:
    """Return the nodes of which nothing but parts is needed, and these parts."""
    wanted: dict[Node, dict[Part, None]] = {}
    entire = set(graph.outputs)
    found: dict[Node, dict[Part, None]] = {}
    for node in reversed(graph.order):
        mine = wanted.get(node, {})
        if mine and node not in entire and _pays(node, mine):
            found[node] = mine
        for child in node.inputs:
            if node.op is SLICE:
                wanted.setdefault(child, {})[_part_of(node)] = None
            elif node in found and child.type.dims == node.type.dims:
                wanted.setdefault(child, {}).update(mine)
            else:
                entire.add(child)
    return found


def _part_of(node: Node) -> Part:
    attrs = node.attrs
    return tuple(attrs["starts"]), tuple(attrs["steps"]), tuple(attrs["lengths"])


def _pays(node: Node, parts: dict[Part, None]) -> bool:
    """Tell whether a node can be computed in these parts, at no more cost."""
    kind = node.op.kind
    if not isinstance(kind, Elementwise) or not node.inputs:
        return False
    if kind.flags(tuple(child.type.element for child in node.inputs)):
        return False  # what it would report may lie in no part
    total: Extent = 0
    for _, steps, lengths in parts:
        size: Extent = 1
        for length in lengths:
            size = size * length
        total = total + size
        row, whole = lengths[-1], node.type.dims[-1]
        if steps[-1] != 1 or not (row == whole or (isinstance(row, int) and row >= LEAST_ROW)):
            return False
    size = node.type.size
    return total == size or (isinstance(total, int) and isinstance(size, int) and total <= size)


class _Builder:
    def __init__(self, parts: dict[Node, dict[Part, None]]) -> None:
        self._parts = parts
        self._whole: dict[Node, Node] = {}
        self._part: dict[tuple[Node, Part], Node] = {}

    def whole(self, node: Node) -> Node:
        """Return a node on rebuilt inputs; those are there, since graphs are walked in order."""
        if node not in self._whole:
            with located_at(node.loc):
                self._whole[node] = self._rebuilt(node)
        return self._whole[node]

    def _rebuilt(self, node: Node) -> Node:
        if node.op is SLICE and node.inputs[0] in self._parts:
            return self.part(node.inputs[0], _part_of(node))
        inputs = tuple(self.whole(child) for child in node.inputs)
        return with_inputs(node, inputs, map_subgraphs(node, compute_parts))

    def part(self, node: Node, part: Part) -> Node:
        """Return a part of a node's result."""
        key = node, part
        if key not in self._part:
            with located_at(node.loc):
                self._part[key] = self._computed(node, part)
        return self._part[key]

    def _computed(self, node: Node, part: Part) -> Node:
        if node not in self._parts:
            return self._sliced(self.whole(node), part)
        inputs = tuple(
            self.part(child, part) if child in self._parts else self._operand(child, node, part)
            for child in node.inputs
        )
        return with_inputs(node, inputs)

    def _operand(self, child: Node, node: Node, part: Part) -> Node:
        """Return what a part of a node reads of an operand, which may be broadcast."""
        missing = node.type.rank - child.type.rank
        axes = [
            (0, 1, 1) if extent == 1 and whole != 1 else entry
            for extent, whole, entry in zip(
                child.type.dims,
                node.type.dims[missing:],
                list(zip(*part, strict=True))[missing:],
                strict=True,
            )
        ]
        starts, steps, lengths = zip(*axes, strict=True) if axes else ((), (), ())
        return self._sliced(self.whole(child), (starts, steps, lengths))

    def _sliced(self, node: Node, part: Part) -> Node:
        starts, steps, lengths = part
        if lengths == node.type.dims and not any(starts) and all(step == 1 for step in steps):
            return node
        return SLICE(node, starts=starts, steps=steps, lengths=lengths)
