"""Memory planning: where each intermediate array lies in one arena."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from symgraph.runtime.plan import BufferKind, Opcode, Plan

ALIGNMENT = 64
MANY_SLOTS = 500
"""Slots above which planning by size would take noticeable time."""
ITEM_BYTES = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}


class Slot(NamedTuple):
    """Memory that one or several buffers use, one after another.

    Args:
        buffers: arena buffers of equal size; the later ones take over from the earlier in place.
        first: the first instruction that needs it.
        last: the last one.
    """

    buffers: tuple[int, ...]
    first: int
    last: int


def plan_slots(plan: Plan) -> tuple[Slot, ...]:
    """Return the slots of a plan, from the lifetimes of its buffers.

    Branches jump forward, so the order of the table bounds lifetimes; what a loop shares with its
    surroundings lives as long as the loop.
    """
    first, last = _lifetimes(plan)
    for begin, end_ in _loops(plan):
        for buffer in first:
            if first[buffer] <= end_ and last[buffer] >= begin:
                if first[buffer] < begin or last[buffer] > end_:
                    first[buffer] = min(first[buffer], begin)
                    last[buffer] = max(last[buffer], end_)
    owner: dict[int, int] = {}
    groups: dict[int, list[int]] = {buffer: [buffer] for buffer in first}
    end = dict(last)
    skippable = _inside_branches(plan)
    for number, row in enumerate(plan.instructions):
        for written, read in row.in_place:
            root = owner.get(read, read)
            if (
                written in first
                and root in groups
                and written not in owner
                and first[written] == number
                and last[read] == number
                and end[root] == number
                and plan.buffers[written].size == plan.buffers[read].size
                and number not in skippable
            ):
                groups[root] += groups.pop(written)
                owner[written] = root
                end[root] = last[written]
    return tuple(Slot(tuple(group), first[root], end[root]) for root, group in groups.items())


def _lifetimes(plan: Plan) -> tuple[dict[int, int], dict[int, int]]:
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, row in enumerate(plan.instructions):
        for buffer in (*row.reads, *row.writes):
            if plan.buffers[buffer].kind is BufferKind.ARENA:
                first.setdefault(buffer, number)
                last[buffer] = number
    return first, last


def _loops(plan: Plan) -> list[tuple[int, int]]:
    """Return the first and last instruction of each loop, inner loops before outer ones."""
    spans = {}
    for number, row in enumerate(plan.instructions):
        if row.opcode is Opcode.LOOP:
            spans[row.loop] = number, number
        elif row.opcode is Opcode.NEXT:
            spans[row.loop] = spans[row.loop][0], number
    return sorted(spans.values(), key=lambda span: span[1] - span[0])


def _inside_branches(plan: Plan) -> set[int]:
    """Return the instructions that may be skipped: sharing memory in place would mislead there."""
    inside: set[int] = set()
    for number, row in enumerate(plan.instructions):
        if row.opcode in (Opcode.JUMP, Opcode.JUMP_IF_FALSE, Opcode.LOOP):
            inside.update(range(number + 1, row.target))
    return inside


def assign_offsets(slots: Sequence[Slot], sizes: Sequence[int]) -> tuple[list[int], int]:
    """Return the byte offset of each slot and the size of the arena.

    Slots are placed in order of size, the largest first, each at the lowest place that is free for
    its whole lifetime (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference", 2020: greedy by size).

    Args:
        slots: lifetimes.
        sizes: bytes of each slot.
    """
    if len(slots) > MANY_SLOTS:
        return _assign_in_order(slots, sizes)
    offsets = [0] * len(slots)
    placed: list[int] = []
    total = 0
    for index in sorted(range(len(slots)), key=lambda i: -sizes[i]):
        size = -(-sizes[index] // ALIGNMENT) * ALIGNMENT
        slot = slots[index]
        offset = 0
        for other in placed:
            if slots[other].last < slot.first or slot.last < slots[other].first:
                continue
            if offset + size <= offsets[other]:
                break
            offset = max(offset, offsets[other] + -(-sizes[other] // ALIGNMENT) * ALIGNMENT)
        offsets[index] = offset
        total = max(total, offset + size)
        placed.append(index)
        placed.sort(key=lambda i: offsets[i])
    return offsets, total


def _assign_in_order(slots: Sequence[Slot], sizes: Sequence[int]) -> tuple[list[int], int]:
    """Return what `assign_offsets` does, for many slots: each takes the first gap when it is born.

    The arena may be a little larger, but the time does not grow with the square of the slots.
    """
    offsets = [0] * len(slots)
    ending: list[tuple[int, int, int]] = []
    gaps: list[tuple[int, int]] = []
    total = 0
    for index in sorted(range(len(slots)), key=lambda i: slots[i].first):
        while ending and ending[0][0] < slots[index].first:
            _, start, length = heappop(ending)
            insort(gaps, (start, length))
        size = -(-sizes[index] // ALIGNMENT) * ALIGNMENT
        place = next((k for k, (_, length) in enumerate(gaps) if length >= size), None)
        if place is None:
            offsets[index], total = total, total + size
        else:
            start, length = gaps.pop(place)
            offsets[index] = start
            if length > size:
                insort(gaps, (start + size, length - size))
        heappush(ending, (slots[index].last, offsets[index], size))
    return offsets, total
