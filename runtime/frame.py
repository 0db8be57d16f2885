"""A frame: one plan bound to real extents, with memory of its own, ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.runtime import native as at
from symgraph.runtime.arena import ALIGNMENT, ITEM_BYTES, Slot, assign_offsets
from symgraph.runtime.executor import new_frame
from symgraph.runtime.plan import (
    LEFT,
    RIGHT,
    Argument,
    Buffer,
    BufferKind,
    Number,
    Opcode,
    Plan,
    Pointer,
    evaluate_extents,
)
from symgraph.runtime.recycling import OutputMemory

Array = np.ndarray[Any, Any]
Shapes = tuple[tuple[int, ...], ...]

GRAIN_WORK = 600_000
"""Work in the smallest chunk of a parallel loop, in units of about 0.03 ns: 20 microseconds."""


class ExtentMismatchError(ValueError):
    """Says that a relation between extents does not hold."""


class Frame:
    """Argument blocks, instruction rows and an arena for one set of extents.

    Attributes:
        address: where native code finds it.
        outputs: what makes the array of each output.
        parallel: whether some instruction may use a pool.
        shapes: the shapes of the feeds it is bound to.
        arena_bytes: size of the arena.
        call_index: one word: the number of the call.
    """

    __slots__ = (
        "_keep", "address", "arena_bytes", "call_index", "grains", "offsets", "outputs",
        "parallel", "shapes", "values", "words",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan,
        slots: Sequence[Slot],
        addresses: Sequence[int],
        constants: Sequence[Array],
        parameters: Sequence[Array],
        shapes: Shapes,
        threads: int,
    ) -> None:
        """Bind a plan to feeds of the given shapes, to be run by at most `threads` threads.

        Raises:
            ExtentMismatchError: a relation that the plan demands does not hold.
            MemoryError: the arena does not fit.
        """
        self.shapes = shapes
        self.values = bind_extents(plan, shapes)
        values = self.values
        sizes = [slot_bytes(plan, slot, values) for slot in slots]
        offsets, self.arena_bytes = assign_offsets(slots, sizes)
        self.offsets = dict(zip((slot.buffers for slot in slots), offsets, strict=True))
        arena = np.empty(self.arena_bytes + ALIGNMENT, np.uint8)
        base = -(-_address(arena) // ALIGNMENT) * ALIGNMENT
        places = {
            buffer: base + offset
            for slot, offset in zip(slots, offsets, strict=True)
            for buffer in slot.buffers
        }
        self.call_index = np.zeros(1, np.int64)
        fixed = {
            BufferKind.PARAMETER: [_address(array) for array in parameters],
            BufferKind.CONSTANT: [_address(array) for array in constants],
            BufferKind.CALL_INDEX: [_address(self.call_index)],
        }
        self.outputs = [
            OutputMemory(
                tuple(values[e] for e in plan.buffers[number].shape),
                np.dtype(plan.buffers[number].dtype),
            )
            for number in plan.outputs
        ]
        self.words = new_frame()
        self.address = _address(self.words)
        status = np.zeros(1, np.int64)
        table, arguments, patches = self._tables(
            plan, addresses, places, fixed, _address(status), threads
        )
        rows, dims, bases = self._feed_rows(plan, shapes)
        words = self.words
        words[at.TABLE], words[at.COUNT] = _address(table), len(table)
        words[at.STATUS] = _address(status)
        words[at.PATCHES], words[at.PATCH_COUNT] = _address(patches), len(patches)
        words[at.BASES] = _address(bases)
        words[at.FEEDS], words[at.FEED_COUNT] = _address(rows), len(rows)
        self.parallel = bool((table[:, at.GRAIN] > 0).any())
        self._keep = (
            arena, table, arguments, patches, rows, dims, bases, status, constants, parameters
        )  # fmt: skip

    def _tables(
        self,
        plan: Plan,
        addresses: Sequence[int],
        places: dict[int, int],
        fixed: dict[BufferKind, list[int]],
        status: int,
        threads: int,
    ) -> tuple[Array, Array, Array]:
        """Return the instruction rows, the argument words, and the patches of feeds and outputs."""
        values = self.values
        count = sum(len(row.arguments) for row in plan.instructions)
        words: list[int] = []
        patches: list[tuple[int, int, int]] = []
        arguments = np.zeros(max(count, 1), np.int64)
        start = _address(arguments)
        feed_count = len(plan.feeds)
        rows = []

        def fill(argument: Argument) -> int:
            if isinstance(argument, Number):
                return values[argument.extent]
            if not isinstance(argument, Pointer):
                return status
            buffer: Buffer = plan.buffers[argument.buffer]
            shift = values[argument.offset] if argument.offset >= 0 else 0
            shift *= ITEM_BYTES[buffer.dtype]
            if buffer.kind is BufferKind.ARENA:
                return places[argument.buffer] + shift
            if buffer.kind in (BufferKind.FEED, BufferKind.OUTPUT):
                number = buffer.number + (buffer.kind is BufferKind.OUTPUT) * feed_count
                patches.append((start + at.WORD * len(words), number, shift))
                return 0
            return fixed[buffer.kind][buffer.number] + shift

        for row in plan.instructions:
            block = start + at.WORD * len(words)
            for argument in row.arguments:
                words.append(fill(argument))
            extent = values[row.extent] if row.opcode is Opcode.CALL else 0
            grain = (
                grain_of(extent, values[row.work], threads * row.pieces if threads > 1 else 1)
                if row.opcode is Opcode.CALL
                else 0
            )
            kernel = addresses[row.kernel] if row.kernel >= 0 else 0
            rows.append((int(row.opcode), kernel, block, extent, grain, row.target, 0, 0))
        arguments[: len(words)] = words
        table = np.array(rows, np.int64).reshape(-1, at.ROW_WORDS)
        return table, arguments, np.array(patches, np.int64).reshape(-1, at.PATCH_WORDS)

    def _feed_rows(self, plan: Plan, shapes: Shapes) -> tuple[Array, Array, Array]:
        """Return the rows against which native code checks feeds and outputs."""
        expected = [
            *(
                (shape, np.dtype(feed.dtype))
                for shape, feed in zip(shapes, plan.feeds, strict=True)
            ),
            *((output.shape, output.dtype) for output in self.outputs),
        ]
        dims = np.array([e for shape, _ in expected for e in shape] or [0], np.int64)
        rows = np.zeros((len(expected), at.FEED_WORDS), np.int64)
        position = _address(dims)
        for number, (shape, dtype) in enumerate(expected):
            rows[number] = id(dtype), len(shape), position, number
            position += at.WORD * len(shape)
        return rows, dims, np.zeros(max(len(expected), 1), np.int64)


def bind_extents(plan: Plan, shapes: Shapes) -> list[int]:
    """Return the value of each extent rule, having checked the relations between them.

    Raises:
        ExtentMismatchError: one does not hold.
    """
    values = evaluate_extents(plan.extents, shapes)
    for relation, left, right, message in plan.checks:
        wrong = (
            values[left] != values[right] if relation == "equal" else values[left] < values[right]
        )
        if wrong:
            raise ExtentMismatchError(
                message.replace(LEFT, str(values[left])).replace(RIGHT, str(values[right]))
            )
    return values


def slot_bytes(plan: Plan, slot: Slot, values: Sequence[int]) -> int:
    """Return the bytes that a slot needs for these extents."""
    buffers = [plan.buffers[number] for number in slot.buffers]
    return max(ITEM_BYTES[buffer.dtype] * values[buffer.size] for buffer in buffers)


def grain_of(extent: int, work: int, pieces: int) -> int:
    """Return the chunk of a parallel loop that is to be cut in so many pieces.

    Pieces below `GRAIN_WORK` are not made; 0 says that one thread is faster. No result depends on
    how loops are cut.
    """
    if pieces < 2 or extent <= 1 or work < 2 * GRAIN_WORK:
        return 0
    smallest = -(-GRAIN_WORK * extent // work)
    grain = max(smallest, -(-extent // pieces))
    if grain > 1024:
        grain = -(-grain // 1024) * 1024
    return grain if grain < extent else 0


def _address(array: Array) -> int:
    return array.ctypes.data
