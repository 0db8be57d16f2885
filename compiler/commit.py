"""The end of a step: parameters change together, after everything that can fail or be interrupted.

An update whose kernel can write straight into its parameter is moved behind the commit point; the
others are computed before it and copied after it. If such a kernel may report a problem, a probe
runs in its old place: the same kernel without its stores.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from symgraph.compiler.lower_copy import lower_buffer_copy
from symgraph.runtime.plan import (
    Buffer,
    BufferKind,
    CudaCall,
    Instruction,
    Opcode,
    StatusAddress,
)
from symgraph.types import TensorType

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering


def commit_updates(lowering: Lowering, updates: list[tuple[int, int]]) -> list[Instruction]:
    """Return the instructions of the plan with its updates last, behind a commit.

    Args:
        lowering: the plan so far.
        updates: pairs (buffer of the new value, buffer of the parameter).
    """
    rows = lowering.instructions
    if not updates:
        return [*rows, Instruction(Opcode.HALT)]
    unguarded = {n for n, k in enumerate(lowering.kernels) if isinstance(k, CudaCall)}
    moved, direct = _movable(rows, dict(updates), set(lowering.probes), unguarded)
    renamed = {value: parameter for value, parameter in updates if value in direct}
    probes = {
        number: _probe(lowering, lowering.renamed(rows[number], renamed))
        for number in moved
        if _may_fail(rows[number])
    }
    early = _without(rows, moved, probes)
    late = [lowering.renamed(rows[number], renamed) for number in sorted(moved)]
    copies = [
        _copy(lowering, value, parameter) for value, parameter in updates if value not in direct
    ]
    return [*early, Instruction(Opcode.COMMIT), *late, *copies, Instruction(Opcode.HALT)]


def _without(
    rows: list[Instruction], moved: set[int], probes: dict[int, Instruction]
) -> list[Instruction]:
    """Return the rows that stay and the probes of others; jumps lead to where targets went."""
    gone = moved - set(probes)
    places = [0]
    for number in range(len(rows)):
        places.append(places[-1] + (number not in gone))
    return [
        row if row.target < 0 else replace(row, target=places[row.target])
        for number, row in enumerate(probes.get(n, row) for n, row in enumerate(rows))
        if number not in gone
    ]


def _may_fail(row: Instruction) -> bool:
    return any(isinstance(argument, StatusAddress) for argument in row.arguments)


def _probe(lowering: Lowering, row: Instruction) -> Instruction:
    """Return the row that finds the problems of `row` and writes nothing."""
    kernel = lowering.kernel(lowering.probes[row.kernel]())
    return replace(row, kernel=kernel, writes=(), label="check before the commit")


def _movable(
    rows: list[Instruction], updates: dict[int, int], probed: set[int], unguarded: set[int]
) -> tuple[set[int], set[int]]:
    """Return the rows that may run after the commit, and the new values they write in place.

    Args:
        rows: the plan so far.
        updates: for each new value the parameter it goes to.
        probed: the kernels that can be run for their problems alone.
        unguarded: those that would write even after a run has failed, of which a GPU's host learns
            only later.
    """
    if any(row.target >= 0 for row in rows):
        # Rows inside branches must stay where the jumps lead.
        inside = _inside_branches(rows)
    else:
        inside = set()
    moved: set[int] = set()
    direct: set[int] = set()
    readers: dict[int, set[int]] = {}
    for number, row in enumerate(rows):
        for buffer in row.reads:
            readers.setdefault(buffer, set()).add(number)
    for number, row in enumerate(rows):
        wanted = [buffer for buffer in row.writes if buffer in updates]
        if not wanted or number in inside or len(wanted) != len(row.writes):
            continue
        if row.kernel in unguarded:
            continue
        if _may_fail(row) and row.kernel not in probed:
            continue  # what can fail must do so before anything is written
        pairs = set(row.in_place)
        if all(
            not readers.get(buffer)
            and ((buffer, updates[buffer]) in pairs or updates[buffer] not in row.reads)
            for buffer in wanted
        ):
            moved.add(number)
            direct.update(wanted)
    return _without_conflicts(rows, updates, readers, moved)


def _without_conflicts(
    rows: list[Instruction],
    updates: dict[int, int],
    readers: dict[int, set[int]],
    moved: set[int],
) -> tuple[set[int], set[int]]:
    """Drop rows whose parameter another moved row (or a final copy's source) still reads."""
    while True:
        clash = {
            number
            for number in moved
            for buffer in rows[number].writes
            if (readers.get(updates[buffer], set()) & moved) - {number}
        }
        if not clash:
            break
        moved = moved - clash
    return moved, {buffer for number in moved for buffer in rows[number].writes}


def _inside_branches(rows: list[Instruction]) -> set[int]:
    inside: set[int] = set()
    for number, row in enumerate(rows):
        inside.update(
            range(min(number, row.target), max(number, row.target)) if row.target >= 0 else ()
        )
    return inside


def _copy(lowering: Lowering, value: int, parameter: int) -> Instruction:
    """Return an instruction that copies one buffer to another of the same shape."""
    target: Buffer = lowering.buffers[parameter]
    assert target.kind is BufferKind.PARAMETER, "only parameters are committed"
    storage = lowering.program.parameters[target.number]
    declared = TensorType(storage.dtype, storage.type.dims)
    before = len(lowering.instructions)
    lower_buffer_copy(lowering, value, declared, parameter, storage.loc)
    row = lowering.instructions.pop()
    assert len(lowering.instructions) == before, "a copy is one instruction"
    return row
