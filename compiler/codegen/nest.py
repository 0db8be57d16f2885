"""From a region to loops: which axes collapse, which loop is a vector, what runs in which pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from symgraph.compiler.costs import CHEAP, cost_of
from symgraph.compiler.region import Access, Region, accumulator_dtype
from symgraph.compiler.views import Strides, row_major
from symgraph.dims import Extent
from symgraph.leaves import ARGUMENT, CONSTANT
from symgraph.node import Node
from symgraph.once import once
from symgraph.op import Reduce

Mode = Literal["scalar", "elementwise", "trailing", "leading"]


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop: its extent and whether a reduction runs over it."""

    extent: Extent
    reduced: bool


@dataclass(frozen=True, slots=True)
class Operand:
    """An array (or an affine index) that the loops walk over.

    Args:
        dtype: the element type.
        offset: in elements, from the array's start.
        strides: in elements, one for each loop.
    """

    dtype: str
    offset: Extent
    strides: Strides

    def classes(self, vector: int) -> str:
        """Return one letter a loop: 0 broadcast, 1 dense along the vector loop, s any other."""
        return "".join(
            "0" if stride == 0 else "1" if stride == 1 and loop == vector else "s"
            for loop, stride in enumerate(self.strides)
        )


@dataclass(frozen=True, eq=False)
class Nest:
    """The loops of a region, outermost first, and its operands seen by those loops.

    Args:
        region: what is computed.
        loops: kept loops, then reduced ones.
        inputs: one for each graph input.
        outputs: one for each graph output.
        mode: how the loops are arranged around the vector loop.
        vector: the loop whose iterations fill the lanes, -1 in scalar mode.
    """

    region: Region
    loops: tuple[Loop, ...]
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    mode: Mode
    vector: int

    @once
    def order(self) -> list[Node]:
        """Return the body's nodes without its leaves, each after its inputs."""
        return [n for n in self.region.graph.nodes() if n.op not in (ARGUMENT, CONSTANT)]

    @once
    def stages(self) -> dict[Node, int]:
        """Return for each node how many reductions, one after another, it waits for."""
        found: dict[Node, int] = {}
        for node in self.region.graph.nodes():
            waits = max((found[child] for child in node.inputs), default=0)
            found[node] = waits + isinstance(node.op.kind, Reduce)
        return found

    def is_kept(self, node: Node) -> bool:
        """Tell whether a node has one value for each position of the kept loops only."""
        if isinstance(node.op.kind, Reduce):
            return True
        return bool(self.region.reduced) and node.type.dims != self.region.domain

    @once
    def passes(self) -> list[Pass]:
        """Return the passes over the reduced loops, in order."""
        return plan_passes(self)


@dataclass(eq=False, slots=True)
class Pass:
    """One walk over the reduced loops.

    Args:
        compute: the full-size nodes to evaluate at each position, each after its inputs.
        reload: nodes that an earlier pass has stored, and the output they are read back from.
        store: nodes to write, and the output they are written to.
        reductions: the reductions it accumulates.
        kept: the kept nodes to evaluate afterwards, each after its inputs.
    """

    compute: list[Node]
    reload: dict[Node, int]
    store: list[tuple[Node, int]]
    reductions: list[Node]
    kept: list[Node]


def build_nest(region: Region, writes: tuple[Access, ...] | None = None) -> Nest:
    """Return the loops of `region`.

    Args:
        region: what is computed.
        writes: where each output goes; dense arrays by default.
    """
    axes = [axis for axis, extent in enumerate(region.domain) if extent != 1]
    kept_axes = [axis for axis in axes if axis not in region.reduced]
    order = kept_axes + [axis for axis in axes if axis in region.reduced]
    last = axes[-1] if axes else -1
    inputs = [
        Operand(leaf.type.element, access.offset, access.strides)
        for leaf, access in zip(region.graph.inputs, region.reads, strict=True)
    ]
    outputs = _outputs(region, writes)
    groups = _collapse(region, order, [*inputs, *outputs])
    loops = tuple(Loop(_extent(region, group), group[0] in region.reduced) for group in groups)
    vector = next((i for i, group in enumerate(groups) if last in group), -1)
    mode: Mode = "scalar"
    if vector >= 0:
        mode = (
            "elementwise"
            if not any(loop.reduced for loop in loops)
            else ("trailing" if loops[vector].reduced else "leading")
        )
    strided = [
        Operand(o.dtype, o.offset, tuple(o.strides[group[-1]] for group in groups))
        for o in (*inputs, *outputs)
    ]
    return Nest(
        region, loops, tuple(strided[: len(inputs)]), tuple(strided[len(inputs) :]), mode, vector
    )


def _outputs(region: Region, writes: tuple[Access, ...] | None) -> list[Operand]:
    found = []
    for index, node in enumerate(region.graph.outputs):
        dtype = node.type.element
        if region.chunk is not None and isinstance(node.op.kind, Reduce):
            found.append(Operand(accumulator_dtype(node), 0, (0,) * len(region.domain)))
            continue
        if writes is not None:
            found.append(Operand(dtype, writes[index].offset, writes[index].strides))
            continue
        dims = node.type.dims
        strides = tuple(
            0 if extent == 1 else stride
            for extent, stride in zip(dims, row_major(dims), strict=True)
        )
        found.append(Operand(dtype, 0, strides))
    return found


def _collapse(region: Region, order: list[int], operands: list[Operand]) -> list[list[int]]:
    """Return groups of axes, each walked by one loop because all operands are dense across it."""
    groups: list[list[int]] = []
    for axis in order:
        if groups:
            before = groups[-1][-1]
            adjacent = (before in region.reduced) == (axis in region.reduced) and before < axis
            dense = all(
                o.strides[before] == o.strides[axis] * region.domain[axis] for o in operands
            )
            if adjacent and dense:
                groups[-1].append(axis)
                continue
        groups.append([axis])
    return groups


def _extent(region: Region, group: list[int]) -> Extent:
    total: Extent = 1
    for axis in group:
        total = total * region.domain[axis]
    return total


def plan_passes(nest: Nest) -> list[Pass]:
    """Return what each pass computes, stores and reloads."""
    outputs, stages = nest.region.graph.outputs, nest.stages
    full = [(node, index) for index, node in enumerate(outputs) if not nest.is_kept(node)]
    reductions = [node for node in nest.order if isinstance(node.op.kind, Reduce)]
    count = 1 + max(
        [stages[node] for node, _ in full] + [stages[n.inputs[0]] for n in reductions], default=0
    )
    passes = [
        Pass(
            [],
            {},
            [entry for entry in full if stages[entry[0]] == s],
            [n for n in reductions if stages[n.inputs[0]] == s],
            [
                n
                for n in nest.order
                if nest.is_kept(n) and stages[n] == s + 1 and not isinstance(n.op.kind, Reduce)
            ],
        )
        for s in range(count)
    ]
    stored = {node: index for node, index in full}
    for s, current in enumerate(passes):
        _share_scratch(nest, passes, s, stored)
        needed = _needed(nest, current, s, stored)
        current.reload = {n: stored[n] for n in needed if n in stored and stages[n] < s}
        current.compute = [n for n in nest.order if n in needed and n not in current.reload]
    return passes


def _needed(nest: Nest, current: Pass, s: int, stored: dict[Node, int]) -> set[Node]:
    """Return the full-size nodes that a pass must have, stopping at those it can reload."""
    needed: set[Node] = set()
    stack = [node for node, _ in current.store] + [n.inputs[0] for n in current.reductions]
    while stack:
        node = stack.pop()
        if node in needed or node.op in (ARGUMENT, CONSTANT) or nest.is_kept(node):
            continue
        needed.add(node)
        if not (node in stored and nest.stages[node] < s):
            stack.extend(node.inputs)
    return needed


def _share_scratch(nest: Nest, passes: list[Pass], s: int, stored: dict[Node, int]) -> None:
    """Keep costly values of earlier passes in outputs that are only written later."""
    if s == 0:
        return
    needed = _needed(nest, passes[s], s, stored)
    outputs = nest.region.graph.outputs
    taken = {index for node, index in stored.items() if outputs[index] is not node}
    for node in nest.order:
        if node not in needed or node in stored:
            continue
        if nest.stages[node] >= s or cost_of(node) <= CHEAP:
            continue
        # Only outputs of the last pass: their memory stays free until every use is over.
        for _, index in list(passes[-1].store):
            if index not in taken and outputs[index].type.dtype == node.type.dtype:
                taken.add(index)
                stored[node] = index
                needed = _needed(nest, passes[s], s, stored)
                passes[nest.stages[node]].store.append((node, index))
                earlier = passes[nest.stages[node]]
                extra = _needed(nest, earlier, nest.stages[node], stored)
                earlier.compute = [n for n in nest.order if n in extra and n not in earlier.reload]
                break
