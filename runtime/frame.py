"""A frame: one plan bound to real extents, with memory of its own, ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.runtime import native as at
from symgraph.runtime.arena import ALIGNMENT, ITEM_BYTES, Slot, assign_offsets
from symgraph.runtime.executor import new_frame
from symgraph.runtime.plan import LEFT, RIGHT, BufferKind, Plan, evaluate_extents
from symgraph.runtime.recycling import OutputMemory
from symgraph.runtime.tables import Places, build_tables

Array = np.ndarray[Any, Any]
Shapes = tuple[tuple[int, ...], ...]


class ExtentMismatchError(ValueError):
    """Says that a relation between extents does not hold."""


class Frame:
    """Argument blocks, instruction rows and an arena for one set of extents.

    Attributes:
        address: where native code finds it.
        outputs: what makes the array of each output.
        parallel: whether some instruction may use a pool.
        shapes: the shapes of the feeds it is bound to.
        capacity: how many steps its loops of unknown length can keep.
        arena_bytes: size of the arena.
        call_index: one word: the number of the call.
    """

    __slots__ = (
        "_keep", "address", "arena_bytes", "call_index", "capacity", "grains", "offsets", "outputs",
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
        capacity: int,
        threads: int,
    ) -> None:
        """Bind a plan to feeds of the given shapes, to be run by at most `threads` threads.

        Raises:
            ExtentMismatchError: a relation that the plan demands does not hold.
            MemoryError: the arena does not fit.
        """
        self.shapes = shapes
        self.capacity = capacity
        self.values = bind_extents(plan, shapes, capacity)
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
        tables = build_tables(
            plan, addresses, Places(values, places, fixed, _address(status)), threads
        )
        table, patches = tables.rows, tables.patches
        rows, dims, bases = self._feed_rows(plan, shapes)
        words = self.words
        words[at.TABLE], words[at.COUNT] = _address(table), len(table)
        words[at.STATUS] = _address(status)
        words[at.PATCHES], words[at.PATCH_COUNT] = _address(patches), len(patches)
        words[at.BASES] = _address(bases)
        words[at.FEEDS], words[at.FEED_COUNT] = _address(rows), len(rows)
        self.parallel = bool((table[:, at.GRAIN] > 0).any())
        self._keep = arena, tables, rows, dims, bases, status, constants, parameters

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


def bind_extents(plan: Plan, shapes: Shapes, capacity: int) -> list[int]:
    """Return the value of each extent rule, having checked the relations between them.

    Args:
        plan: what the rules are of.
        shapes: the shapes of the feeds.
        capacity: how many steps loops of unknown length can keep.

    Raises:
        ExtentMismatchError: one does not hold.
    """
    values = evaluate_extents(plan.extents, (*shapes, (capacity,)))
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


def _address(array: Array) -> int:
    return array.ctypes.data
