"""The loops of a plan: which instructions they repeat, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.dims import Extent
from symgraph.runtime.plan import Opcode, Plan


@dataclass(frozen=True)
class Loop:
    """A loop of a plan.

    Args:
        first: the instruction that begins it.
        last: the instruction that jumps back.
        steps: how many steps it takes, None where only data decide.
        is_bounded: whether no more steps are taken than there is room for, where data decide.
        is_reversed: whether it begins with the last row.
    """

    first: int
    last: int
    steps: Extent | None
    is_bounded: bool
    is_reversed: bool


def loops_around(plan: Plan, extents: Sequence[Extent]) -> list[tuple[Loop, ...]]:
    """Return for each instruction the loops that repeat it, the outermost first.

    Args:
        plan: what to look at.
        extents: the extents of the plan as formulas.
    """
    begun: dict[int, int] = {}
    found: list[Loop] = []
    for number, row in enumerate(plan.instructions):
        if row.opcode is Opcode.LOOP:
            begun[row.loop] = number
        elif row.opcode is Opcode.NEXT:
            found.append(_loop(plan, extents, begun[row.loop], number))
    around: list[tuple[Loop, ...]] = [()] * len(plan.instructions)
    # A loop that begins earlier is never inside one that begins later.
    for entry in sorted(found, key=lambda entry: entry.first):
        for number in range(entry.first + 1, entry.last):
            around[number] = (*around[number], entry)
    return around


def loop_at(plan: Plan, extents: Sequence[Extent], number: int) -> Loop:
    """Return the loop that instruction `number` begins."""
    row = plan.instructions[number]
    last = next(
        k
        for k, other in enumerate(plan.instructions)
        if other.opcode is Opcode.NEXT and other.loop == row.loop
    )
    return _loop(plan, extents, number, last)


def repetitions(around: Sequence[Loop]) -> Extent | None:
    """Return how often a call runs what is inside these loops; None where only data decide."""
    total: Extent = 1
    for loop in around:
        if loop.steps is None:
            return None
        total = total * loop.steps
    return total


def _loop(plan: Plan, extents: Sequence[Extent], first: int, last: int) -> Loop:
    row = plan.instructions[first]
    loop = plan.loops[row.loop]
    counted, bounded = bool(row.arguments), loop.limit >= 0
    steps = extents[loop.limit] if bounded and not counted and not loop.status else None
    return Loop(first, last, steps, bounded, loop.reverse)
