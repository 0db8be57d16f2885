"""The memory that one call needs, worked out before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symgraph.compiler.materialise import COPY
from symgraph.errors import FeedError
from symgraph.inspection.extents import bind, feed_shapes
from symgraph.inspection.rows import Row, explained_rows
from symgraph.inspection.text import code_of, place, scaled, table
from symgraph.leaves import ARGUMENT
from symgraph.node import Node
from symgraph.runtime.arena import ITEM_BYTES, assign_offsets
from symgraph.runtime.cuda.limits import WORKSPACE_BYTES
from symgraph.runtime.frame import ExtentMismatchError, bind_extents, slot_bytes
from symgraph.runtime.plan import BufferKind, Plan
from symgraph.variant import Variant

SHOWN = 12
"""Intermediate arrays that the table shows."""


@dataclass(frozen=True)
class StoredArray:
    """One array of the arena.

    Args:
        label: the ops that end in it, or what the compiler calls it.
        size: bytes.
        offset: its place in the arena.
        first: the first instruction that needs it.
        last: the last one.
        lines: the user's lines behind it.
        code: the text of the first of them.
    """

    label: str
    size: int
    offset: int
    first: int
    last: int
    lines: tuple[str, ...]
    code: str


@dataclass(frozen=True, repr=False)
class Memory:
    """Bytes that one call needs; `int()` gives the total and `str()` a table.

    Args:
        arena: intermediate values, which share memory where their lifetimes allow.
        parameters: parameters, which every call shares.
        constants: large constants, which every call shares.
        feeds: the arrays that the caller passes.
        outputs: the arrays that the call returns.
        arrays: what lies in the arena, the largest first.
        kept_steps: where only data decide how many steps of a loop are kept, for how many there is
            room now: a call that takes more makes more room first. None if there is no such loop.
        device: where the memory is.
    """

    arena: int
    parameters: int
    constants: int
    feeds: int
    outputs: int
    arrays: tuple[StoredArray, ...]
    kept_steps: int | None = None
    device: str = "cpu"

    @property
    def total(self) -> int:
        """Return all of it: the peak of one call."""
        return self.arena + self.parameters + self.constants + self.feeds + self.outputs

    @property
    def unshared(self) -> int:
        """Return what the arena would take if no two values shared memory."""
        return sum(entry.size for entry in self.arrays)

    def __int__(self) -> int:
        return self.total

    __index__ = __int__

    def __repr__(self) -> str:
        arena, parameters = scaled(self.arena, "B"), scaled(self.parameters, "B")
        return f"<memory: peak {scaled(self.total, 'B')}, parameters {parameters}, arena {arena}>"

    def __str__(self) -> str:
        parts = ("arena", "parameters", "constants", "feeds", "outputs", "total")
        sums = table(
            ("memory", "bytes", ""),
            [
                (part, f"{getattr(self, part):,}", scaled(getattr(self, part), "B"))
                for part in parts
            ],
            left=(0,),
        )
        if self.kept_steps is not None:
            sums += f"\nwith room for {self.kept_steps} steps of loops that only data end"
        if self.device != "cpu":
            sums += (
                f"\non {self.device}, rounded up to whole blocks; functions there share all but "
                f"parameters and constants,\nand {scaled(WORKSPACE_BYTES, 'B')} for cuBLAS"
            )
        if not self.arrays:
            return sums
        rows = [
            (
                entry.label,
                f"{entry.size:,}",
                f"{entry.offset:,}",
                f"#{entry.first}-#{entry.last}",
                ", ".join(map(place, entry.lines[:2])),
                entry.code,
            )
            for entry in self.arrays[:SHOWN]
        ]
        arrays = table(("in the arena", "bytes", "at", "needed", "from", ""), rows, left=(0, 4, 5))
        left_out = len(self.arrays) - SHOWN
        more = f"\n... and {left_out} smaller ones" if left_out > 0 else ""
        return f"{sums}\n\n{arrays}{more}"


def measure(variant: Variant, dims: Mapping[str, Any]) -> Memory:
    """Return the memory of one call.

    Args:
        variant: the compiled graph.
        dims: the symbolic extents, by name, or shapes by the names of placeholders.

    Raises:
        FeedError: an extent is missing, unknown or impossible.
    """
    plan = variant.plan
    try:
        capacity = variant.executable.capacity
        values = bind_extents(plan, feed_shapes(variant, bind(variant, dims)), capacity)
    except ExtentMismatchError as error:
        raise FeedError(str(error)) from None
    slots = variant.executable.slots
    offsets, arena = assign_offsets(slots, [slot_bytes(plan, slot, values) for slot in slots])

    def stored(buffer: int) -> int:
        return ITEM_BYTES[plan.buffers[buffer].dtype] * values[plan.buffers[buffer].size]

    def all_of(kind: BufferKind) -> int:
        numbers = range(len(plan.buffers))
        return sum(stored(number) for number in numbers if plan.buffers[number].kind is kind)

    writers = _writers(explained_rows(variant))
    arrays = [
        _stored_array(writers.get(buffer), _label(plan, buffer), stored(buffer), offset, slot)
        for slot, offset in zip(slots, offsets, strict=True)
        for buffer in slot.buffers
    ]
    return Memory(
        arena,
        all_of(BufferKind.PARAMETER),
        all_of(BufferKind.CONSTANT),
        all_of(BufferKind.FEED),
        all_of(BufferKind.OUTPUT),
        tuple(sorted(arrays, key=lambda entry: -entry.size)),
        capacity if any(loop.status for loop in plan.loops) else None,
        variant.device,
    )


def _label(plan: Plan, buffer: int) -> str:
    """Return what an array of the arena is called if no op is known to write it."""
    return "carry" if plan.buffers[buffer].label == "loop" else plan.buffers[buffer].label


def _writers(rows: list[Row]) -> dict[int, tuple[Row, int]]:
    """Return for each buffer the row that writes it, and as which of its results."""
    found: dict[int, tuple[Row, int]] = {}
    for row in rows:
        for position, buffer in enumerate(row.instruction.writes):
            found.setdefault(buffer, (row, position))
    return found


def _stored_array(
    writer: tuple[Row, int] | None, label: str, size: int, offset: int, slot: Any
) -> StoredArray:
    lines: tuple[str, ...] = ()
    code = ""
    if writer is not None:
        row, position = writer
        node = _result(row, position)
        lines = (str(node.loc),) if node is not None else row.instruction.lines
        if node is not None:
            label, code = node.op.name, code_of(node.loc)
        if row.around and slot.first <= row.around[-1].first:
            label = f"{label} of each step"
    return StoredArray(label, size, offset, slot.first, slot.last, lines, code)


def _result(row: Row, position: int) -> Node | None:
    """Return the node whose value a row writes as its result `position`."""
    region = row.region
    node = row.node if region is None else region.graph.outputs[position]
    while node is not None and node.op is COPY and node.inputs[0].op is not ARGUMENT:
        node = node.inputs[0]
    return node
