"""The tables that native code walks: instruction rows, their arguments, and what is to be moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.runtime import native as at
from symgraph.runtime.arena import ITEM_BYTES
from symgraph.runtime.plan import (
    Argument,
    Buffer,
    BufferKind,
    Loop,
    Number,
    Opcode,
    Plan,
    Pointer,
)

Array = np.ndarray[Any, Any]

GRAIN_WORK = 600_000
"""Work in the smallest chunk of a parallel loop, in units of about 0.03 ns: 20 microseconds."""

ENDLESS = 1 << 62
"""The limit of a loop that only a jump ends."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are.

    Args:
        values: the value of each extent rule.
        arena: the address of each buffer in the arena.
        fixed: for the other kinds of buffers whose address is known, those addresses.
        status: the address of the status word.
    """

    values: Sequence[int]
    arena: Mapping[int, int]
    fixed: Mapping[BufferKind, Sequence[int]]
    status: int


@dataclass(frozen=True, slots=True)
class Tables:
    """What native code reads.

    Args:
        rows: instruction rows.
        patches: where the addresses of feeds and outputs go at each call.
        keep: the arrays that rows and patches point to.
    """

    rows: Array
    patches: Array
    keep: tuple[Array, ...]


def build_tables(plan: Plan, addresses: Sequence[int], places: Places, threads: int) -> Tables:
    """Return the tables of a plan.

    Args:
        plan: what to lay out.
        addresses: the address of each kernel.
        places: where its buffers are.
        threads: how many threads a kernel may use.
    """
    return _Layout(plan, places).tables(addresses, threads)


class _Layout:
    """Fills argument words, and notes which of them change at a call or in a loop."""

    def __init__(self, plan: Plan, places: Places) -> None:
        self.plan = plan
        self.places = places
        self.patches: list[tuple[int, int, int]] = []
        self.moves: list[list[tuple[int, int, int, int]]] = [[] for _ in plan.loops]
        count = sum(len(row.arguments) for row in plan.instructions)
        self.arguments = np.zeros(max(count, 1), np.int64)
        # Each window needs a word for where its first row is, and so does what it is a window of.
        depth = sum(
            self._depth(argument.buffer)
            for row in plan.instructions
            for argument in row.arguments
            if isinstance(argument, Pointer)
        )
        self.cells = np.zeros(max(depth, 1), np.int64)
        self.cells_taken = 0

    def tables(self, addresses: Sequence[int], threads: int) -> Tables:
        """Return the finished tables."""
        values, start = self.places.values, _address(self.arguments)
        rows = []
        position = 0
        for row in self.plan.instructions:
            block = start + at.WORD * position
            for argument in row.arguments:
                word = start + at.WORD * position
                self.arguments[position] = self._fill(argument, word)
                position += 1
            called = row.opcode is Opcode.CALL
            extent = values[row.extent] if called else 0
            pieces = threads * row.pieces if threads > 1 else 1
            grain = grain_of(extent, values[row.work], pieces) if called else 0
            kernel = addresses[row.kernel] if row.kernel >= 0 else 0
            rows.append([int(row.opcode), kernel, block, extent, grain, row.target, 0, 0])
        records, moves = self._loop_records()
        counted = {row.loop for row in self.plan.instructions if row.loop >= 0 and row.arguments}
        for number in counted:
            records[number, at.LOOP_COUNTED] = 1
        for entry, row in zip(rows, self.plan.instructions, strict=True):
            if row.loop >= 0:
                entry[at.RECORD] = _address(records) + row.loop * at.LOOP_WORDS * at.WORD
        table = np.array(rows, np.int64).reshape(-1, at.ROW_WORDS)
        patches = np.array(self.patches, np.int64).reshape(-1, at.PATCH_WORDS)
        return Tables(table, patches, (self.arguments, self.cells, records, *moves))

    def _loop_records(self) -> tuple[Array, list[Array]]:
        """Return one record for each loop, and the windows that it moves."""
        records = np.zeros((max(len(self.plan.loops), 1), at.LOOP_WORDS), np.int64)
        tables = []
        for number, loop in enumerate(self.plan.loops):
            moves = np.array(self.moves[number], np.int64).reshape(-1, at.MOVE_WORDS)
            tables.append(moves)
            records[number, at.LOOP_LIMIT] = self._limit(loop)
            records[number, at.LOOP_REVERSE] = loop.reverse
            records[number, at.LOOP_STATUS] = loop.status
            records[number, at.MOVES] = _address(moves)
            records[number, at.MOVE_COUNT] = len(moves)
        return records, tables

    def _limit(self, loop: Loop) -> int:
        return ENDLESS if loop.limit < 0 else self.places.values[loop.limit]

    def _depth(self, buffer: int) -> int:
        depth = 0
        while self.plan.buffers[buffer].kind is BufferKind.WINDOW:
            buffer, depth = self.plan.buffers[buffer].number, depth + 1
        return depth

    def _fill(self, argument: Argument, word: int) -> int:
        """Return what an argument word holds at first, noting when it changes."""
        if isinstance(argument, Number):
            return self.places.values[argument.extent]
        if not isinstance(argument, Pointer):
            return self.places.status
        buffer = self.plan.buffers[argument.buffer]
        shift = self.places.values[argument.offset] if argument.offset >= 0 else 0
        return self._pointer(argument.buffer, shift * ITEM_BYTES[buffer.dtype], word)

    def _pointer(self, number: int, shift: int, word: int) -> int:
        """Return what a word holds that points `shift` bytes behind the start of a buffer."""
        buffer: Buffer = self.plan.buffers[number]
        if buffer.kind is BufferKind.ARENA:
            return self.places.arena[number] + shift
        if buffer.kind is BufferKind.WINDOW:
            cell = self.cells_taken
            self.cells_taken += 1
            origin = _address(self.cells) + at.WORD * cell
            self.cells[cell] = self._pointer(buffer.number, shift, origin)
            row = self.places.values[buffer.size] * ITEM_BYTES[buffer.dtype]
            step = -row if self.plan.loops[buffer.loop].reverse else row
            self.moves[buffer.loop].append((word, origin, row, step))
            return 0
        if buffer.kind in (BufferKind.FEED, BufferKind.OUTPUT):
            outputs = len(self.plan.feeds) * (buffer.kind is BufferKind.OUTPUT)
            self.patches.append((word, buffer.number + outputs, shift))
            return 0
        return self.places.fixed[buffer.kind][buffer.number] + shift


def grain_of(extent: int, work: int, pieces: int) -> int:
    """Return the chunk of a parallel loop that is to be cut in so many pieces.

    Pieces below `GRAIN_WORK` are not made; 0 says that one thread is faster. No result depends on
    how loops are cut.
    """
    if pieces < 2 or extent <= 1 or work < 2 * GRAIN_WORK:
        return 0
    # To the nearest: three large pieces for two threads are better cut one by one.
    smallest = max(1, (2 * GRAIN_WORK * extent + work) // (2 * work))
    grain = max(smallest, -(-extent // pieces))
    if grain > 1024:
        grain = -(-grain // 1024) * 1024
    return grain if grain < extent else 0


def _address(array: Array) -> int:
    return array.ctypes.data
