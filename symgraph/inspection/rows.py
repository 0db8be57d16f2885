"""What each instruction of a plan stands for: the nodes it computes, and what it moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symgraph.compiler.region import FUSED, Region
from symgraph.dims import Extent, product
from symgraph.inspection.extents import symbolic_extents
from symgraph.inspection.nesting import Loop, loops_around, repetitions
from symgraph.inspection.operations import float_operations
from symgraph.node import Graph, Node
from symgraph.runtime.arena import ITEM_BYTES
from symgraph.runtime.plan import BufferKind, Instruction, Opcode
from symgraph.types import TensorType, TupleType
from symgraph.variant import Variant

_COMPUTED = ("affine_index", "extent")
"""Leaves that kernels compute, so that nothing is read for them."""


@dataclass(frozen=True, eq=False)
class Row:
    """One instruction, explained.

    Args:
        number: its position in the plan.
        instruction: what the executor sees.
        node: the fused or library node that it computes; None for jumps and copies.
        members: the nodes of the canonical graph in it.
        title: what it is, in a few words.
        read: bytes that it must read, each once.
        written: bytes that it writes.
        operations: float operations.
        parallel: the extent of the loop that threads may share.
        work: what it costs, in the units of the scheduler.
        around: the loops that repeat it, the outermost first; the figures are those of one step.
    """

    number: int
    instruction: Instruction
    node: Node | None
    members: tuple[Node, ...]
    title: str
    read: Extent
    written: Extent
    operations: Extent
    parallel: Extent
    work: Extent
    around: tuple[Loop, ...] = ()

    @property
    def repetitions(self) -> Extent | None:
        """Return how often a call runs it, but for branches; None where only data decide."""
        return repetitions(self.around)

    @property
    def is_call(self) -> bool:
        """Tell whether a kernel is called."""
        return self.instruction.opcode is Opcode.CALL

    @property
    def region(self) -> Region | None:
        """Return the fused region, None for other kernels."""
        if self.node is None or self.node.op is not FUSED:
            return None
        region: Region = self.node.attrs["region"]
        return region


def explained_rows(variant: Variant) -> list[Row]:
    """Return each instruction of the plan with what is known about it."""
    extents = symbolic_extents(variant)
    fused = {id(node.attrs["region"].members): node for node in _fused_nodes(variant)}
    around = loops_around(variant.plan, extents)
    return [
        _row(variant, extents, fused, number, instruction, around[number])
        for number, instruction in enumerate(variant.plan.instructions)
    ]


def _fused_nodes(variant: Variant) -> Iterator[Node]:
    """Yield the fused nodes of the last stage, those inside branches and bodies included."""
    stack = [list(variant.stages.values())[-1]]
    while stack:
        for node in stack.pop():
            if node.op is FUSED:
                yield node
            stack.extend(value for value in node.attrs.values() if isinstance(value, Graph))


def _row(
    variant: Variant,
    extents: list[Extent],
    fused: dict[int, Node],
    number: int,
    instruction: Instruction,
    around: tuple[Loop, ...],
) -> Row:
    members: tuple[Node, ...] = ()
    node = None
    if instruction.origin >= 0:
        members = variant.kernels[instruction.origin][1]
        node = fused.get(id(members), members[0] if len(members) == 1 else None)
    called = instruction.opcode is Opcode.CALL
    operations: Extent = 0
    if called and node is not None:
        adds = _adds_parts(instruction, node)
        operations = extents[instruction.work] if adds else _operations(node)
    traffic = _traffic(variant, extents, instruction, node)
    return Row(
        number,
        instruction,
        node,
        members,
        _title(instruction, node),
        *(traffic if called else (0, 0)),
        operations,
        extents[instruction.extent] if called else 0,
        extents[instruction.work] if called else 0,
        around,
    )


def _operations(node: Node) -> Extent:
    nodes = node.attrs["region"].graph if node.op is FUSED else (node,)
    return sum((float_operations(member) for member in nodes), 0)


def _adds_parts(instruction: Instruction, node: Node) -> bool:
    """Tell whether an instruction adds up what the one before it left in several parts."""
    return node.op.name == "convolution_weight" and instruction.label != node.op.name


def _title(instruction: Instruction, node: Node | None) -> str:
    if instruction.opcode is not Opcode.CALL:
        return instruction.label or instruction.opcode.name.lower()
    if node is None:
        return instruction.label
    if node.op.name == "batch_matmul":
        return "matmul"
    own = node.op is FUSED or _adds_parts(instruction, node)
    return instruction.label if own else node.op.name


def _traffic(
    variant: Variant, extents: list[Extent], instruction: Instruction, node: Node | None
) -> tuple[Extent, Extent]:
    """Return the bytes read and written."""
    if node is not None and node.op is FUSED:
        read, written = _region_traffic(node)
        return read, written if instruction.writes else 0
    if node is not None and node.op.name == "gather":
        result = _bytes(node.type)
        return result + sum((_bytes(child.type) for child in node.inputs[1:]), 0), result
    if node is not None and node.op.name not in ("assemble", "convolution_weight"):
        return sum((_bytes(child.type) for child in node.inputs), 0), _bytes(node.type)

    def stored(buffers: tuple[int, ...]) -> Extent:
        return sum(
            (
                ITEM_BYTES[variant.plan.buffers[b].dtype] * extents[variant.plan.buffers[b].size]
                for b in buffers
                if variant.plan.buffers[b].kind is not BufferKind.CALL_INDEX
            ),
            0,
        )

    read = stored(instruction.reads)
    if node is not None and node.op.name == "convolution_weight":  # perhaps in parts
        return read, stored(instruction.writes)
    # A part that is copied to its place writes as much as it reads.
    return read, read if read != 0 else stored(instruction.writes)


def _region_traffic(node: Node) -> tuple[Extent, Extent]:
    region: Region = node.attrs["region"]
    read: Extent = 0
    for base, leaf, access in zip(node.inputs, region.graph.inputs, region.reads, strict=True):
        if base.op.name in _COMPUTED:
            continue
        walked = tuple(
            extent
            for extent, stride in zip(region.domain, access.strides, strict=True)
            if stride != 0
        )
        read = read + ITEM_BYTES[leaf.type.element] * product(walked)
    return read, _bytes(node.type)


def _bytes(declared: TensorType | TupleType) -> Extent:
    items = declared.items if isinstance(declared, TupleType) else (declared,)
    return sum((ITEM_BYTES[item.element] * product(item.dims) for item in items), 0)
