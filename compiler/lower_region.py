"""Lowering of fused regions: one kernel call each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.codegen.nest import Nest, Operand, build_nest
from symgraph.compiler.codegen.signature import Kind, Signature
from symgraph.compiler.costs import cost_of
from symgraph.compiler.region import Access, Region
from symgraph.compiler.views import row_major
from symgraph.dims import Extent, floor_divide, product
from symgraph.node import Node
from symgraph.op import Elementwise
from symgraph.runtime.plan import Argument, Instruction, Opcode, Pointer, StatusAddress

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering


def lower_region(
    lowering: Lowering,
    node: Node,
    writes: tuple[Access, ...] | None = None,
    destinations: tuple[int, ...] | None = None,
) -> None:
    """Emit the kernel of a fused node.

    Args:
        lowering: the plan so far.
        node: the fused node; its inputs are the arrays read.
        writes: where the outputs go within their buffers; dense by default.
        destinations: the buffers of the outputs; those of `node` by default.
    """
    region: Region = node.attrs["region"]
    if destinations is None:
        writes, destinations = _destinations(lowering, node)
    nest = build_nest(region, writes)
    kinds: tuple[Kind, ...] = tuple(_kind(child) for child in node.inputs)
    target = lowering.target
    source, signature = target.region(nest, kinds)
    arguments = _arguments(lowering, node, nest, signature, destinations)
    read = [c for c, kind in zip(node.inputs, kinds, strict=True) if kind == "memory"]
    _require_elements(lowering, region)
    kernel = lowering.kernel(source)
    if signature.flags and len(nest.passes) == 1 and not region.reduced:
        lowering.probes[kernel] = lambda: target.region(nest, kinds, stores=False)[0]
    lowering.emit(
        Instruction(
            opcode=Opcode.CALL,
            kernel=kernel,
            arguments=arguments,
            reads=tuple(dict.fromkeys(lowering.buffer(child) for child in read)),
            writes=destinations,
            extent=lowering.extents.index(parallel_extent(nest, target.columns(source))),
            work=lowering.extents.index(product(region.domain) * _weight(nest)),
            label=f"{nest.mode} region",
            in_place=_in_place(lowering, node, nest, kinds, destinations),
        ),
        region.members,
    )


def _destinations(
    lowering: Lowering, node: Node
) -> tuple[tuple[Access, ...] | None, tuple[int, ...]]:
    """Return where the outputs go: to buffers of their own, or to their parts of larger arrays."""
    outputs = node.attrs["region"].graph.outputs
    targets = [lowering.direct.get((node, item)) for item in range(len(outputs))]
    if not any(targets):
        return None, tuple(lowering.place(node, item) for item in range(len(outputs)))
    writes, buffers = [], []
    for item, (output, target) in enumerate(zip(outputs, targets, strict=True)):
        dense = Access(0, row_major(output.type.dims))
        writes.append(dense if target is None else target.access)
        buffers.append(lowering.place(*((node, item) if target is None else (target.whole, 0))))
    return tuple(writes), tuple(buffers)


def _arguments(
    lowering: Lowering,
    node: Node,
    nest: Nest,
    signature: Signature,
    destinations: tuple[int, ...],
) -> tuple[Argument, ...]:
    """Return what fills the slots of the kernel's argument block."""
    operands = (*nest.inputs, *nest.outputs)

    def fill(name: str, which: int, last: int) -> Argument:
        match name:
            case "extent":
                return lowering.number(nest.loops[which].extent)
            case "chunk":
                return lowering.number(nest.region.chunk or 0)
            case "stride":
                return lowering.number(operands[which].strides[last])
            case "status":
                return StatusAddress()
            case "code":
                kind = signature.flags[which]
                return lowering.number(lowering.problem_code(kind, _may_report(nest, kind)))
        offset = operands[which].offset
        if which >= len(nest.inputs):
            place = lowering.extents.index(offset) if offset != 0 else -1
            return Pointer(destinations[which - len(nest.inputs)], place)
        child = node.inputs[which]
        if signature.kinds[which] == "memory":
            return lowering.pointer(child, offset)
        return lowering.number(child.attrs["value"] if child.op.name == "extent" else offset)

    return tuple(fill(slot[0], slot[1], slot[-1]) for slot in signature.slots)


def _in_place(
    lowering: Lowering,
    node: Node,
    nest: Nest,
    kinds: tuple[Kind, ...],
    destinations: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """Return (output, input) buffers of which the output may take the input's memory.

    Each element must be read for the last time right before it is written.
    """
    if (
        len(nest.passes) != 1
        or nest.region.chunk is not None
        or not _has_long_rows(nest, lowering.target.long_row)
    ):
        return ()
    sources = [
        lowering.buffer(child)
        for child, kind in zip(node.inputs, kinds, strict=True)
        if kind == "memory"
    ]
    pairs = []
    for output, destination in zip(nest.outputs, destinations, strict=True):
        for child, operand, kind in zip(node.inputs, nest.inputs, kinds, strict=True):
            if kind != "memory" or sources.count(lowering.buffer(child)) != 1:
                continue
            if operand == output and _moves_everywhere(nest, output):
                pairs.append((destination, lowering.buffer(child)))
    return tuple(pairs)


def _require_elements(lowering: Lowering, region: Region) -> None:
    """Demand that maxima and minima have something to choose from, at each call."""
    for node in region.graph:
        if node.op.name in ("max", "min"):
            message = f"{node.op.name} of an empty axis has no value (made at {node.loc})"
            for axis in node.attrs["axis"]:
                lowering.require("at least", node.inputs[0].type.dims[axis], 1, message)


def _has_long_rows(nest: Nest, long_row: int) -> bool:
    """Tell whether writing over an input is fast.

    On a CPU, at the end of a short row the masked store of one vector overlaps the next row's load,
    which then has to wait for it.
    """
    if len(nest.loops) <= 1:
        return True
    extent = nest.loops[nest.vector].extent
    return long_row == 0 or (isinstance(extent, int) and extent >= long_row)


def _may_report(nest: Nest, kind: str) -> list[Node]:
    """Return the nodes of a region whose scalar code may report a kind of problem."""
    return [
        node
        for node in nest.region.graph
        if isinstance(node.op.kind, Elementwise)
        and kind in node.op.kind.flags(tuple(child.type.element for child in node.inputs))
    ]


def _moves_everywhere(nest: Nest, output: Operand) -> bool:
    """Tell whether every iteration writes an element of its own, starting with the first."""
    return output.offset == 0 and all(
        entry.extent == 1 or stride != 0
        for entry, stride in zip(nest.loops, output.strides, strict=True)
    )


def _kind(node: Node) -> Kind:
    if node.op.name == "affine_index":
        return "index"
    return "extent" if node.op.name == "extent" else "memory"


def parallel_extent(nest: Nest, columns: int) -> Extent:
    """Return the extent of the loop that threads may share.

    Args:
        nest: the loops.
        columns: how many columns a leading reduction takes at a time.
    """
    if nest.mode == "scalar":
        return 1
    kept = [entry for entry in nest.loops if not entry.reduced]
    if nest.region.chunk is not None:
        return floor_divide(nest.loops[0].extent + nest.region.chunk - 1, nest.region.chunk)
    if not kept:
        return 1
    if nest.mode == "leading" and len(kept) == 1:
        return floor_divide(kept[0].extent + columns - 1, columns)
    return kept[0].extent


def _weight(nest: Nest) -> int:
    """Estimate the cost of one element, in units of about 0.03 ns: traffic and arithmetic."""
    primitives = sum(cost_of(node) for node in nest.order)
    return 4 * (len(nest.inputs) + len(nest.outputs)) + primitives
