"""Where everything that one set of extents needs lies in device memory: one block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symgraph.runtime.arena import ITEM_BYTES, Slot, assign_offsets
from symgraph.runtime.frame import slot_bytes
from symgraph.runtime.plan import Plan

ALIGNMENT = 256
"""Bytes; whole transactions of a warp then begin where arrays do."""


STAGED_BYTES = 4 << 20
"""Up to this size all feeds, and all results, of a call travel as one copy via pinned memory; of
more feeds, the smallest do."""


class Region(NamedTuple):
    """A part of the block that is copied from or to the host as one piece.

    Args:
        start: its offset in the block.
        offsets: of its arrays, from `start` on.
        bytes: its size.
    """

    start: int
    offsets: tuple[int, ...]
    bytes: int


class Layout(NamedTuple):
    """The parts of the block.

    Args:
        arena: for each buffer of the arena its offset.
        inputs: the number of the call, then the feeds.
        results: the status word, then the outputs.
        bytes: the size of the block.
        arena_bytes: the part of it that intermediate arrays take.
    """

    arena: dict[int, int]
    inputs: Region
    results: Region
    bytes: int
    arena_bytes: int


def lay_out(
    plan: Plan, slots: Sequence[Slot], values: Sequence[int], apart: frozenset[int]
) -> Layout:
    """Return the layout of a plan.

    Args:
        plan: what it is of.
        slots: lifetimes of its buffers.
        values: of its extents.
        apart: outputs, by the numbers of their buffers, that have memory of their own.
    """

    def size(buffer: int) -> int:
        return ITEM_BYTES[plan.buffers[buffer].dtype] * values[plan.buffers[buffer].size]

    offsets, arena_bytes = assign_offsets(slots, [slot_bytes(plan, s, values) for s in slots])
    arena = {
        buffer: offset
        for slot, offset in zip(slots, offsets, strict=True)
        for buffer in slot.buffers
    }
    feeds = [size(number) for number in range(len(plan.feeds))]
    inputs = _region(_up(arena_bytes), [8, *feeds])
    together = [0 if buffer in apart else size(buffer) for buffer in plan.outputs]
    results = _region(inputs.start + inputs.bytes, [8, *together])
    return Layout(arena, inputs, results, results.start + results.bytes, arena_bytes)


def _region(start: int, sizes: Sequence[int]) -> Region:
    """Return a region: the first array, then the others, small ones first.

    What lies between two arrays is copied with them, even if it is not used: so it is no larger.
    """
    offsets, position = [0] * len(sizes), 0
    for number in [0, *sorted(range(1, len(sizes)), key=sizes.__getitem__)]:
        offsets[number] = position
        position = _up(position + sizes[number])
    return Region(start, tuple(offsets), position)


def _up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
