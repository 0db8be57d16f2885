"""What the fake of CuPy keeps: devices with their memory, streams of work, and counts of both.

Work is not done when it is put into a stream but when somebody waits for it, as late as a GPU may
do it: whoever reads results or reuses host memory too early is found out. `late=False` does it at
once. Addresses are those of host memory, known to be a device's by a table.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

FENCE = 256
"""Bytes before and behind each piece of device memory that nobody may write."""
ALIGNMENT = 512
NOT_WHILE_CAPTURING = (
    "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"
)
_FENCED = b"\xa5" * FENCE


class CUDARuntimeError(RuntimeError):
    """An error of CUDA's runtime."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.status = 1


class OutOfMemoryError(MemoryError):
    """CuPy's error."""


class Piece:
    """A piece of memory, of a device or pinned, in host memory, filled with NaN."""

    def __init__(self, size: int, device: int) -> None:
        self.size, self.device = size, device
        self._whole = ctypes.create_string_buffer(size + 2 * FENCE + ALIGNMENT)
        start = ctypes.addressof(self._whole) + FENCE
        self.address = -(-start // ALIGNMENT) * ALIGNMENT
        ctypes.memset(self.address, 0xFF, size)
        for fence in (self.address - FENCE, self.address + size):
            ctypes.memmove(fence, _FENCED, FENCE)

    def check(self) -> None:
        """Raise if something was written before or behind it."""
        for side, fence in (("before", -FENCE), ("behind", self.size)):
            assert ctypes.string_at(self.address + fence, FENCE) == _FENCED, (
                f"something was written {side} the {self.size} bytes at {self.address:#x}"
            )

    def holds(self, address: int, size: int = 0) -> bool:
        return self.address <= address and address + size <= self.address + self.size


class Work:
    """One thing that a stream is to do."""

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run
        self.done = False


class Queue:
    """A stream: what is to be done, in order."""

    def __init__(self, machine: Machine, device: int, address: int) -> None:
        self.machine, self.device, self.address = machine, device, address
        self._waiting: deque[Work] = deque()
        self.captured: list[Callable[[], None]] | None = None
        self.invalid = False
        self.capturer = 0

    def put(self, run: Callable[[], None]) -> Work:
        """Record this, or do it some time later."""
        with self.machine.lock:
            work = Work(run)
            if self.captured is not None:
                self.captured.append(run)
                return work
            return self.enqueue(work)

    def enqueue(self, work: Work) -> Work:
        """Do this some time later, even when the stream is recorded."""
        with self.machine.lock:
            self._waiting.append(work)
            if not self.machine.late:
                self.finish()
            return work

    def finish(self, last: Work | None = None) -> None:
        """Do what waits, up to and with `last`."""
        with self.machine.lock:
            while self._waiting and not (last is not None and last.done):
                work = self._waiting.popleft()
                work.run()
                work.done = True

    def abandon(self) -> None:
        """Forget what waits."""
        self._waiting.clear()


class Machine:
    """A host with GPUs.

    Args:
        devices: how many.
        capability: their compute capability.
        memory: bytes of each.
        driver: whether there is a driver.

    Attributes:
        counts: how often each kind of thing was done: launch, graph_launch, replayed (things that
            graphs did), copy, memset, alloc, pinned, synchronize, capture, compile.
        launched: names of kernels, in the order in which they were put into streams.
        late: whether work is put off as long as it may be.
    """

    def __init__(
        self, devices: int = 1, capability: str = "90", memory: int = 1 << 30, driver: bool = True
    ) -> None:
        self.lock = threading.RLock()
        self.capability, self.memory, self.driver = capability, memory, driver
        self.used = [0] * devices
        self.counts: Counter[str] = Counter()
        self.launched: list[str] = []
        self.late = True
        self._addresses = itertools.count(0x5000, 16)
        self.queues: dict[int, Queue] = {}
        self.default = [self.new_queue(device) for device in range(devices)]
        self.pieces: dict[int, Piece] = {}
        self.pinned: dict[int, Piece] = {}

    def new_queue(self, device: int) -> Queue:
        queue = Queue(self, device, next(self._addresses))
        self.queues[queue.address] = queue
        return queue

    def queue(self, address: int, device: int) -> Queue:
        """Return the stream at an address; 0, 1 and 2 are the device's default streams."""
        if address in (0, 1, 2):
            return self.default[device]
        if address not in self.queues:
            raise CUDARuntimeError(f"cudaErrorInvalidResourceHandle: no stream at {address:#x}")
        found = self.queues[address]
        if found.device != device:
            raise CUDARuntimeError("cudaErrorInvalidResourceHandle: a stream of another device")
        return found

    # Memory.

    def allocate(self, size: int, device: int, queue: Queue) -> Piece:
        """Return new device memory; it is given back behind what `queue` holds then."""
        self.refuse_in_capture()
        with self.lock:
            self.counts["alloc"] += 1
            if self.used[device] + size > self.memory:
                self.finish()
            if self.used[device] + size > self.memory:
                raise OutOfMemoryError(f"out of memory allocating {size:,} bytes")
            self.used[device] += size
            piece = Piece(size, device)
            self.pieces[piece.address] = piece
            return piece

    def release(self, piece: Piece, queue: Queue) -> None:
        """Give memory back; what was put into the stream before may still use it."""

        def give_back() -> None:
            self.pieces.pop(piece.address, None)
            self.used[piece.device] -= piece.size
            piece.check()

        queue.enqueue(Work(give_back))

    def allocate_pinned(self, size: int, owner: Callable[[Piece], Any]) -> Any:
        self.refuse_in_capture()
        with self.lock:
            self.counts["pinned"] += 1
            piece = Piece(size, -1)
            self.pinned[piece.address] = piece
            found = owner(piece)
            # At the end of the interpreter memory goes when nobody refers to it, and not before.
            weakref.finalize(found, self.pinned.pop, piece.address, None).atexit = False
            return found

    def device_of(self, address: int, size: int = 0) -> int | None:
        """Return which device's memory these bytes lie in."""
        for piece in list(self.pieces.values()):
            if piece.holds(address, size):
                return piece.device
        return None

    def is_pinned(self, address: int, size: int) -> bool:
        return any(piece.holds(address, size) for piece in list(self.pinned.values()))

    def demand(self, address: int, size: int, device: int) -> None:
        """Raise unless these bytes are memory of this device."""
        found = self.device_of(address, size)
        if found != device:
            where = "in no memory of a device" if found is None else f"on device {found}"
            raise CUDARuntimeError(
                f"cudaErrorInvalidValue: {size} bytes at {address:#x} lie {where}, "
                f"but are used on device {device}"
            )

    def check_words(self, words: Sequence[int], device: int) -> None:
        """Raise if a word looks like an address and is not one of the device."""
        for word in words:
            if 1 << 40 <= word < 1 << 47:
                self.demand(word, 0, device)

    def finish(self) -> None:
        """Do all work."""
        for queue in list(self.queues.values()):
            queue.finish()

    def check(self) -> None:
        """Do all work, and raise if anything was written where nothing may be."""
        self.finish()
        for piece in [*self.pieces.values(), *self.pinned.values()]:
            piece.check()

    # Order.

    def refuse_in_capture(self) -> None:
        """Raise while this thread captures a stream, which is not captured any more then."""
        for queue in list(self.queues.values()):
            if queue.captured is not None and queue.capturer == threading.get_ident():
                queue.invalid = True
                raise CUDARuntimeError(NOT_WHILE_CAPTURING)

    def synchronize(self, queue: Queue, last: Work | None = None) -> None:
        self.refuse_in_capture()
        self.counts["synchronize"] += 1
        queue.finish(last)

    def copy(self, target: int, source: int, size: int, kind: str, queue: Queue) -> None:
        """Put a copy into a stream.

        Args:
            target: where to.
            source: where from.
            size: bytes.
            kind: "HostToDevice" or so.
            queue: the stream.
        """
        self.counts["copy"] += 1
        self.counts[f"copy{kind}"] += 1
        from_host, to_host = kind.startswith("Host"), kind.endswith("Host")
        host = [at for at, on_host in ((source, from_host), (target, to_host)) if on_host]
        device = [at for at, on_host in ((source, from_host), (target, to_host)) if not on_host]
        for address in host:
            if self.device_of(address) is not None:
                raise CUDARuntimeError(f"cudaErrorInvalidValue: {kind} of memory on a device")
        pageable = not all(self.is_pinned(address, size) for address in host)
        if pageable:
            self.refuse_in_capture()
        for address in device:
            self.demand(address, size, queue.device)
        # The driver reads pageable memory before the call returns, and writes it likewise.
        held = ctypes.string_at(source, size) if pageable and from_host else None

        def move() -> None:
            for address in device:
                self.demand(address, size, queue.device)
            if not pageable:
                assert all(self.is_pinned(address, size) for address in host), (
                    "pinned memory is gone"
                )
            ctypes.memmove(target, held if held is not None else source, size)

        work = queue.put(move)
        if pageable and to_host:
            queue.finish(work)

    def fill(self, address: int, value: int, size: int, queue: Queue) -> None:
        """Put the setting of bytes into a stream."""
        self.counts["memset"] += 1
        self.demand(address, size, queue.device)

        def set_bytes() -> None:
            self.demand(address, size, queue.device)
            ctypes.memset(address, value, size)

        queue.put(set_bytes)

    # Graphs.

    def begin_capture(self, queue: Queue) -> None:
        if queue in self.default:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: the default stream")
        self.refuse_in_capture()
        self.counts["capture"] += 1
        queue.captured, queue.invalid, queue.capturer = [], False, threading.get_ident()

    def end_capture(self, queue: Queue) -> list[Callable[[], None]]:
        if queue.captured is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is not captured")
        captured, queue.captured = queue.captured, None
        if queue.invalid:
            raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated: the capture was broken off")
        return captured

    def launch_graph(self, nodes: Sequence[Callable[[], None]], queue: Queue) -> None:
        """Put all that was captured into a stream."""
        self.refuse_in_capture()
        self.counts["graph_launch"] += 1
        self.counts["replayed"] += len(nodes)

        def run() -> None:
            for node in nodes:
                node()

        queue.put(run)


def now() -> float:
    return time.perf_counter()
