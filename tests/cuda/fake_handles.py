"""The fake's classes of `cupy.cuda`: memory, devices, streams, events and graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.cuda.fake_machine import (
    CUDARuntimeError,
    Machine,
    OutOfMemoryError,
    Queue,
    Work,
    now,
)


class Memory:
    """Device memory, given back when it is no longer referred to."""

    def __init__(self, cupy: Any, size: int) -> None:
        self._machine = cupy.machine
        self._queue = cupy.queue_of(None)
        self.size, self.device_id = size, cupy.device
        self._piece = cupy.machine.allocate(max(size, 1), cupy.device, self._queue)
        self.ptr = self._piece.address

    def __del__(self) -> None:
        if hasattr(self, "_piece"):
            self._machine.release(self._piece, self._queue)


class Bound:
    """A class of the module; `cupy` is the module that it belongs to."""

    cupy: Any

    @property
    def _machine(self) -> Machine:
        return self.cupy.machine


class RawMemory(Bound):
    """Device memory of no pool: giving it back waits for all work of the device."""

    def __init__(self, size: int) -> None:
        self.size, self.device_id = size, self.cupy.device
        queue = self.cupy.queue_of(None)
        try:
            self._piece = self._machine.allocate(max(size, 1), self.cupy.device, queue)
        except OutOfMemoryError as error:
            raise CUDARuntimeError(f"cudaErrorMemoryAllocation: {error}") from None
        self.ptr = self._piece.address

    def __del__(self) -> None:
        if hasattr(self, "_piece"):
            self._machine.finish()
            self._machine.release(self._piece, self._machine.default[self.device_id])
            self._machine.finish()


class UnownedMemory(Bound):
    """Memory of somebody else's."""

    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1) -> None:
        self.ptr, self.size, self._owner = ptr, size, owner
        found = self._machine.device_of(ptr, size)
        if found is None:
            raise CUDARuntimeError(f"cudaErrorInvalidValue: {ptr:#x} is no memory of a device")
        self.device_id = found


class MemoryPointer(Bound):
    """An address with what keeps it alive."""

    def __init__(self, mem: Any, offset: int) -> None:
        self.mem, self.ptr, self.device_id = mem, mem.ptr + offset, mem.device_id


class Device(Bound):
    """A device, and a context in which it is the current one."""

    def __init__(self, device: int | None = None) -> None:
        self.id = self.cupy.device if device is None else device

    @property
    def compute_capability(self) -> str:
        return self._machine.capability

    @property
    def attributes(self) -> dict[str, int]:
        return {"MultiProcessorCount": 132, "MaxSharedMemoryPerBlockOptin": 227 << 10}

    @property
    def mem_info(self) -> tuple[int, int]:
        used = self._machine.used[self.id]
        return self._machine.memory - used, self._machine.memory

    def use(self) -> None:
        if not 0 <= self.id < len(self._machine.used):
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.cupy.current.devices[-1] = self.id

    def synchronize(self) -> None:
        for queue in list(self._machine.queues.values()):
            if queue.device == self.id:
                self._machine.synchronize(queue)

    def __enter__(self) -> Device:
        self.cupy.current.devices.append(self.cupy.device)
        self.use()
        return self

    def __exit__(self, *_: Any) -> None:
        self.cupy.current.devices.pop()


class _Stream(Bound):
    ptr: int

    @property
    def _queue(self) -> Queue:
        return self._machine.queue(self.ptr, self.device_id)

    @property
    def device_id(self) -> int:
        found = self._machine.queues.get(self.ptr)
        return self.cupy.device if found is None else found.device

    def synchronize(self) -> None:
        self._machine.synchronize(self._queue)

    def record(self, event: Any = None) -> Any:
        event = self.cupy.cuda.Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Any) -> None:
        event._delay(self._queue)

    def begin_capture(self, mode: int | None = None) -> None:
        self._machine.begin_capture(self._queue)

    def end_capture(self) -> Any:
        return self.cupy.cuda.Graph(self._machine.end_capture(self._queue))

    def is_capturing(self) -> bool:
        return self._queue.captured is not None

    def __enter__(self) -> Any:
        if self.ptr and self.device_id != self.cupy.device:
            raise RuntimeError("This stream was not created on the current device")
        self.cupy.current.streams.setdefault(self.cupy.device, []).append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        self.cupy.current.streams[self.cupy.device].pop()


class Stream(_Stream):
    """A stream of its own."""

    null: Any

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self.ptr = 0 if null else self._machine.new_queue(self.cupy.device).address


class ExternalStream(_Stream):
    """A stream of somebody else's."""

    def __init__(self, ptr: int, device_id: int = -1) -> None:
        self.ptr = ptr


class Event(Bound):
    """A mark in a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.timed = not disable_timing
        self._mark: tuple[Queue, Work] | None = None
        self.ptr = next(self.cupy.numbers)
        self.cupy.events[self.ptr] = self
        self.captured = False
        self.time: float | None = None

    def record(self, stream: Any = None) -> None:
        queue = self.cupy.queue_of(None) if stream is None else stream._queue
        self.time = None
        self.captured = queue.captured is not None

        def stamp() -> None:
            self.time = now()

        # Where it is captured it orders work, and takes no time stamp.
        self._mark = queue, Work(stamp) if self.captured else queue.put(stamp)

    def _delay(self, queue: Queue) -> None:
        """Let a stream wait for this event, as it is marked now."""
        if self._mark is None:
            return
        source, work = self._mark
        if self.captured or queue.captured is not None:
            if self.captured and source is queue:
                return
            raise CUDARuntimeError("cudaErrorStreamCaptureIsolation: streams inside and outside")
        queue.put(lambda: source.finish(work))

    @property
    def done(self) -> bool:
        return self._mark is None or self._mark[1].done

    def synchronize(self) -> None:
        if self.captured:
            raise CUDARuntimeError("cudaErrorCapturedEvent: the event was captured")
        if self._mark is not None:
            self._machine.synchronize(*self._mark)


def elapsed(first: Event, last: Event) -> float:
    if not (first.timed and last.timed):
        raise CUDARuntimeError("cudaErrorInvalidResourceHandle: an event without timing")
    if first.time is None or last.time is None:
        raise CUDARuntimeError("cudaErrorNotReady: device not ready")
    return (last.time - first.time) * 1e3


class Graph(Bound):
    """What was captured."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self.nodes = list(nodes)

    def launch(self, stream: Any = None) -> None:
        self._machine.launch_graph(self.nodes, self.cupy.queue_of(stream))

    def upload(self, stream: Any = None) -> None:
        self._machine.refuse_in_capture()
