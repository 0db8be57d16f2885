"""Bringing batches to a device ahead of use, through pinned memory and on a stream of its own.

A slot is what one batch travels through: pinned memory of the host, and as much of the device. It
goes round: a producer fills it, the consumer uses its arrays, and when the last of them is gone it
is filled again. Nobody waits on the way, the streams do: the one that copies waits for what the
consumer had enqueued, and the consumer's for the copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import DeviceMemoryError
from symgraph.runtime.cuda.device import Device
from symgraph.runtime.cuda.driver import cupy

Array = np.ndarray[Any, Any]

ALIGNMENT = 256
"""Bytes; each array of a batch begins at a multiple."""


class Slot:
    """Memory for one batch, on both sides.

    Args:
        pinned: the host's side, as bytes.
        memory: the device's side, an allocation of CuPy's.
        arrived: is recorded behind each copy.

    Attributes:
        free: events behind which nobody reads the device's side any more.
    """

    __slots__ = ("arrived", "free", "memory", "pinned")

    def __init__(self, pinned: Array, memory: Any, arrived: Any) -> None:
        """Hold the memory; nothing has been copied yet."""
        self.pinned, self.memory, self.arrived = pinned, memory, arrived
        self.free: tuple[Any, ...] = ()


class _Ring(NamedTuple):
    """Slots that go round: those that are free, and those that came back since the last look."""

    free: SimpleQueue[Slot]
    returned: SimpleQueue[Slot]


class _Lease:
    """Gives a slot back when the last array in it is gone.

    It may be finalised anywhere, so it only puts the slot in a queue that allows for that.
    """

    __slots__ = ("_home", "_slot")

    def __init__(self, slot: Slot, home: SimpleQueue[Slot]) -> None:
        self._slot, self._home = slot, home

    def __del__(self) -> None:
        self._home.put(self._slot)


class Uploader:
    """Copies batches to one device. One thread may upload while another one receives.

    Args:
        device: where to.
    """

    def __init__(self, device: Device) -> None:
        """Take a stream."""
        self._device, self._cupy = device, cupy()
        self._ring = _Ring(SimpleQueue(), SimpleQueue())
        with device.using():
            self._stream = self._cupy.cuda.Stream(non_blocking=True)

    # The producer's side.

    def upload(self, arrays: Sequence[Array]) -> Upload:
        """Begin to copy arrays, which may change again when this returns.

        Raises:
            DeviceMemoryError: the device has no room for them.
        """
        places, size = _places(arrays)
        ring = self._ring
        with self._cupy.cuda.Device(self._device.index):
            slot = self._slot(ring.free, size)
            # The copy before must have left the pinned memory.
            slot.arrived.synchronize()
            for event in slot.free:
                self._stream.wait_event(event)
            slot.free = ()
            for place, array in zip(places, arrays, strict=True):
                _lay(slot.pinned[place : place + array.nbytes], array)
            if size:
                self._copy(slot, size)
            self._stream.record(slot.arrived)
        parts = zip(places, arrays, strict=True)
        described = [(place, array.shape, array.dtype.name) for place, array in parts]
        return Upload(slot, described, ring.returned)

    def _copy(self, slot: Slot, size: int) -> None:
        runtime = self._cupy.cuda.runtime
        source, kind = slot.pinned.ctypes.data, runtime.memcpyHostToDevice
        runtime.memcpyAsync(slot.memory.ptr, source, size, kind, self._stream.ptr)

    def _slot(self, free: SimpleQueue[Slot], size: int) -> Slot:
        """Return the slot that has been free for longest, or a new one; small ones are dropped."""
        while True:
            try:
                slot = free.get_nowait()
            except Empty:
                return self._new_slot(size)
            if slot.pinned.nbytes >= size:
                return slot
            slot.arrived.synchronize()

    def _new_slot(self, size: int) -> Slot:
        cuda = self._cupy.cuda
        event = cuda.Event(block=True, disable_timing=True)
        refusal = (cuda.memory.OutOfMemoryError, cuda.runtime.CUDARuntimeError)
        try:
            try:
                memory = self._memory(size)
            except refusal:
                self._cupy.get_default_memory_pool().free_all_blocks()
                memory = self._memory(size)
        except refusal as error:
            raise DeviceMemoryError(
                f"{self._device.name} has no {size:,} bytes left for a batch: {error}"
            ) from None
        return Slot(self._device.pinned(size), memory, event)

    def _memory(self, size: int) -> Any:
        # Not of a pool: that would hand it on to whoever comes next, on any stream.
        return self._cupy.cuda.Memory(max(size, 1))

    def settle(self) -> None:
        """Wait until everything that was begun has arrived."""
        self._stream.synchronize()

    def drop(self) -> None:
        """Keep no memory, neither what is free nor, later, what is in use; call `settle` before."""
        self._ring = _Ring(SimpleQueue(), SimpleQueue())

    # The consumer's side.

    def receive(self, upload: Upload) -> list[Any]:
        """Return CuPy's arrays of what was uploaded.

        They may be read on the present thread's current stream, and by compiled functions. Work on
        other streams must be waited for before the arrays are let go of.
        """
        device = self._device
        # The default stream has one address on all devices: that of the current one is meant.
        with self._cupy.cuda.Device(device.index):
            device.current_stream().wait_event(upload.slot.arrived)
        lease = _Lease(upload.slot, upload.home)
        memory = upload.slot.memory
        owned = self._cupy.cuda.UnownedMemory(memory.ptr, memory.size, lease, device.index)
        return [
            self._cupy.ndarray(shape, dtype, self._cupy.cuda.MemoryPointer(owned, place))
            for place, shape, dtype in upload.parts
        ]

    def recycle(self) -> None:
        """Let those slots be filled again whose arrays are gone.

        Raises:
            DeviceError: the process is a child by fork; CUDA does not survive that.
        """
        free, returned = self._ring
        # First of all: a child by fork may not so much as ask for a stream.
        with self._device.using():
            if returned.empty():
                return
        current = self._device.current_stream()
        with self._device.using():
            behind = (_recorded(self._cupy, current), _recorded(self._cupy, self._device.stream))
            for _ in range(returned.qsize()):
                slot = returned.get()
                slot.free = behind
                free.put(slot)


class Upload(NamedTuple):
    """A batch on its way.

    Args:
        slot: what it travels through.
        parts: for each array where it begins, its shape and its dtype.
        home: where the slot goes when it is no longer used.
    """

    slot: Slot
    parts: list[tuple[int, tuple[int, ...], str]]
    home: SimpleQueue[Slot]


def _recorded(module: Any, stream: Any) -> Any:
    return stream.record(module.cuda.Event(disable_timing=True))


def _lay(memory: Array, array: Array) -> None:
    """Copy an array to bytes, in C order and in the byte order of the machine."""
    memory.view(array.dtype.name).reshape(array.shape)[...] = array


def _places(arrays: Sequence[Array]) -> tuple[list[int], int]:
    """Return where each array begins in a slot, and how many bytes they take."""
    places, position = [], 0
    for array in arrays:
        places.append(position)
        position += math.ceil(array.nbytes / ALIGNMENT) * ALIGNMENT
    return places, position
