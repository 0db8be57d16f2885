"""What a run leaves behind: the status, and outputs as arrays of the host or of the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import DeviceMemoryError
from symgraph.runtime.arena import ITEM_BYTES
from symgraph.runtime.cuda.device import Device
from symgraph.runtime.cuda.layout import STAGED_BYTES, Layout
from symgraph.runtime.plan import Plan

Array = np.ndarray[Any, Any]

APART_BYTES = 1 << 20
"""From this size, an output that stays on the device is written where the caller gets it, rather
than copied there: a graph then holds for one address of it, of which there are few, since memory
that the caller has let go of is used again."""

MOST_LATE = 64
"""Runs whose status may be unknown at a time; then the oldest one is waited for."""


def outputs_apart(plan: Plan, values: Sequence[int]) -> frozenset[int]:
    """Return the buffers of outputs that are large enough to have memory of their own."""
    return frozenset(
        buffer
        for buffer in plan.outputs
        if ITEM_BYTES[plan.buffers[buffer].dtype] * values[plan.buffers[buffer].size] >= APART_BYTES
    )


class Results:
    """Hands out what a run has left in the frame's memory.

    Args:
        plan: of what.
        device: where.
        values: of the plan's extents.
        start: the address of the status word, behind which the outputs lie.
        layout: their places.
        apart: outputs with memory of their own.
    """

    def __init__(
        self,
        plan: Plan,
        device: Device,
        values: Sequence[int],
        start: int,
        layout: Layout,
        apart: frozenset[int],
    ) -> None:
        """Take pinned memory for small results."""
        self._device, self._start = device, start
        self._may_fail = bool(plan.problems)
        self._offsets = layout.results.offsets[1:]
        self._apart = [buffer in apart for buffer in plan.outputs]
        self._shapes = [
            (tuple(values[e] for e in plan.buffers[n].shape), plan.buffers[n].dtype)
            for n in plan.outputs
        ]
        size = layout.results.bytes
        self._landing = device.pinned(size if size <= STAGED_BYTES else 8)
        self._status = self._landing[:8].view(np.int64)

    def arrays(self) -> list[Any]:
        """Return fresh arrays of the device for all outputs.

        Raises:
            DeviceMemoryError: there is no room for them.
        """
        try:
            return self._device.arrays(self._shapes)
        except DeviceMemoryError as error:
            raise DeviceMemoryError(
                f"there is no room for the results: {error}; no parameter was changed"
            ) from None

    def addresses(self, arrays: Sequence[Any]) -> tuple[int, ...]:
        """Return where the run is to write those outputs that have memory of their own."""
        pairs = zip(arrays, self._apart, strict=True)
        return tuple(array.data.ptr for array, apart in pairs if apart)

    def fill(self, arrays: Sequence[Any]) -> None:
        """Begin to copy the other outputs."""
        for array, apart, offset in zip(arrays, self._apart, self._offsets, strict=True):
            if not apart:
                self._device.copy(array.data.ptr, self._start + offset, array.nbytes)

    def on_host(self) -> tuple[int, list[Array]]:
        """Wait for the run, and return its status and the outputs as arrays of the host."""
        whole = self._landing.nbytes > 8
        results = [np.empty(shape, dtype) for shape, dtype in self._shapes]
        self._device.enqueue_download(self._landing, self._start)
        if not whole:
            for array, offset in zip(results, self._offsets, strict=True):
                self._device.enqueue_download(array, self._start + offset)
        self._device.synchronize()
        if whole:
            for array, offset in zip(results, self._offsets, strict=True):
                landed = self._landing[offset : offset + array.nbytes]
                array[...] = landed.view(array.dtype).reshape(array.shape)
        return (int(self._status[0]) if self._may_fail else 0), results


class LateStatus(NamedTuple):
    """The status of a run that nobody has waited for.

    Args:
        word: which word of pinned memory will hold it.
        event: behind the run.
        call_index: the number of the call, as one word.
        capacity: how many steps of loops it could keep.
    """

    word: int
    event: Any
    call_index: Array
    capacity: int


class LateStatuses:
    """The runs of an executable that may have failed without anybody knowing yet.

    Args:
        device: where they run.
    """

    def __init__(self, device: Device) -> None:
        """Begin with none."""
        self._device = device
        self._words: Array | None = None
        self._waiting: deque[LateStatus] = deque()
        self._next = 0

    def note(self, address: int, number: int, capacity: int) -> None:
        """Begin to copy the status of a run that has been started; the caller holds the device.

        `failed` has been called before: so there is a free word.
        """
        if self._words is None:
            self._words = self._device.pinned(8 * MOST_LATE).view(np.int64)
        word, self._next = self._next, (self._next + 1) % MOST_LATE
        self._device.enqueue_download(self._words[word : word + 1], address)
        event = self._device.event()
        self._waiting.append(LateStatus(word, event, np.array([number]), capacity))

    def failed(self, *, wait: bool = False) -> tuple[int, LateStatus, int] | None:
        """Return the status of the first run that has failed, the run, and how many have failed.

        They are not named again. If one has failed, all others are waited for.

        Args:
            wait: whether to wait for all runs in any case.
        """
        first: tuple[int, LateStatus] | None = None
        count = 0
        while self._waiting:
            certain = wait or first is not None or len(self._waiting) == MOST_LATE
            if not (certain or self._waiting[0].event.done):
                break
            late = self._waiting.popleft()
            late.event.synchronize()
            assert self._words is not None, "somebody has noted a run"
            status = int(self._words[late.word])
            if status:
                first, count = first or (status, late), count + 1
        return None if first is None else (*first, count)

    def __del__(self) -> None:
        """See to it that copies which are under way find where they write."""
        if self._words is not None and self._waiting:
            self._device.keep(self._words, self._waiting[-1].event)
