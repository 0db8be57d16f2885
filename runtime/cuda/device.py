"""One NVIDIA GPU: memory, copies, kernels, graphs. All calls of CuPy stand here and in `driver`.

Everything that compiled functions do on a device goes to one stream, in the order of the calls. So
a step that reads parameters never meets half an update, and no lock has to outlive a call that does
not wait for its results.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import numpy as np

from symgraph.errors import DeviceError, DeviceMemoryError
from symgraph.location import user_location
from symgraph.runtime.cuda.cublas import Cublas
from symgraph.runtime.cuda.driver import cupy
from symgraph.runtime.cuda.limits import WORKSPACE_BYTES
from symgraph.runtime.cuda.modules import ModuleTable
from symgraph.runtime.cuda.source import CudaKernel, Launch

Array = np.ndarray[Any, Any]

LEAST_CAPABILITY = 70
"""Compute capability 7.0 (Volta): since then the threads of a warp may wait for each other."""

_devices: dict[int, Device] = {}
_opening = threading.Lock()


class Block:
    """Device memory, given back when nothing refers to it any more.

    Attributes:
        address: where it lies.
        bytes: how much it is.
    """

    __slots__ = ("__weakref__", "_owner", "address", "bytes")

    def __init__(self, owner: Any, size: int) -> None:
        """Hold what CuPy has allocated."""
        self._owner = owner
        self.address: int = owner.ptr
        self.bytes = size


class Device:
    """A device that is open.

    Attributes:
        name: "cuda:0", say.
        index: its number.
        stream: where all work goes.
        lock: held by whoever puts work into the stream that belongs together.
    """

    def __init__(self, index: int, capability: int) -> None:
        """Take a stream; `open_device` is the way here."""
        self.name = f"cuda:{index}"
        self.index = index
        self.capability = capability
        self.lock = threading.RLock()
        self._cupy = cupy()
        self._process = os.getpid()
        self._handle = self._cupy.cuda.Device(index)
        with self._handle:
            self.stream = self._cupy.cuda.Stream(non_blocking=True)
        self.modules = ModuleTable(self._cupy, capability)
        self._shared: Block | None = None
        self._kept: deque[tuple[Any, Array]] = deque()
        self._reader: Any = None

    @contextmanager
    def using(self, reader: Any = None) -> Iterator[None]:
        """Make the device and its stream those of the present thread, which has them to itself.

        Args:
            reader: the stream of CuPy's that will read the arrays taken meanwhile.

        Raises:
            DeviceError: the process is a child by fork; CUDA does not survive that.
        """
        self._check_process()
        with self.lock, self._handle, self.stream:
            before, self._reader = self._reader, reader
            try:
                yield
            finally:
                self._reader = before

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise DeviceError(
                f"{self.name} was in use when this process was forked, and CUDA does not survive a "
                "fork: start processes with multiprocessing's 'spawn'"
            )

    # Memory. Callers hold `using()`.

    def allocate(self, size: int) -> Block:
        """Return memory of so many bytes, aligned for vectors.

        Raises:
            DeviceMemoryError: there is not so much.
        """
        try:
            return Block(self._cupy.cuda.alloc(max(size, 1)), size)
        except self._cupy.cuda.memory.OutOfMemoryError:
            raise self._refused(size) from None

    def _refused(self, size: int) -> DeviceMemoryError:
        free, total = self._cupy.cuda.runtime.memGetInfo()
        return DeviceMemoryError(
            f"{self.name} has no {size:,} bytes of memory left: {free:,} of {total:,} are free"
        )

    def shared_block(self, size: int) -> Block:
        """Return memory of at least so many bytes, in which others work too, before or after.

        Calls on one stream never overlap, so all functions may use the same block. It grows by
        being replaced, and the smaller one must be gone by then: hold it by weak references.

        Raises:
            DeviceMemoryError: there is not so much.
        """
        if self._shared is None or self._shared.bytes < size:
            self._shared = None
            self._shared = self.allocate(size)
        return self._shared

    def pinned(self, size: int) -> Array:
        """Return host memory that the device reads and writes by itself, as bytes."""
        while self._kept and self._kept[0][0].done:
            self._kept.popleft()
        memory = self._cupy.cuda.alloc_pinned_memory(max(size, 1))
        return np.frombuffer(memory, np.uint8, max(size, 1))

    def keep(self, memory: Array, event: Any) -> None:
        """Keep pinned memory until the stream has passed an event.

        CuPy would hand it to somebody else while copies are under way. Finalisers may call this, at
        any time and in any thread: it waits for nothing.
        """
        # A child of fork may ask CUDA nothing, and its copy of the memory is not used.
        if os.getpid() != self._process or not event.done:
            self._kept.append((event, memory))

    def upload(self, address: int, array: Array) -> None:
        """Copy an array of the host, which may change again when this returns."""
        if array.nbytes:
            with self.using():
                self._copy(address, array.ctypes.data, array.nbytes, "HostToDevice")
                self.stream.synchronize()

    def download(self, array: Array, address: int) -> None:
        """Copy to an array of the host, behind everything that has been enqueued."""
        if array.nbytes:
            with self.using():
                self._copy(array.ctypes.data, address, array.nbytes, "DeviceToHost")
                self.stream.synchronize()

    def enqueue_upload(self, address: int, source: Array) -> None:
        """Begin a copy from host memory that stays as it is until the copy is over."""
        if source.nbytes:
            self._copy(address, source.ctypes.data, source.nbytes, "HostToDevice")

    def enqueue_download(self, target: Array, address: int) -> None:
        """Begin a copy to the host."""
        if target.nbytes:
            self._copy(target.ctypes.data, address, target.nbytes, "DeviceToHost")

    def copy(self, target: int, source: int, size: int) -> None:
        """Begin a copy from device memory to device memory."""
        if size:
            self._copy(target, source, size, "DeviceToDevice")

    def fill(self, address: int, size: int, value: int = 0) -> None:
        """Begin to set bytes."""
        if size:
            self._cupy.cuda.runtime.memsetAsync(address, value, size, self.stream.ptr)

    def read(self, address: int, dtype: str) -> int:
        """Return one number of the device, behind everything that has been enqueued."""
        cell = np.zeros(1, dtype)
        self.download(cell, address)
        return int(cell[0])

    def synchronize(self) -> None:
        """Wait for everything that has been enqueued."""
        self.stream.synchronize()

    def _copy(self, target: int, source: int, size: int, kind: str) -> None:
        runtime = self._cupy.cuda.runtime
        runtime.memcpyAsync(
            target, source, size, getattr(runtime, "memcpy" + kind), self.stream.ptr
        )

    # Work.

    @cached_property
    def cublas(self) -> Cublas:
        """Return cuBLAS, bound to the stream."""
        self._workspace = self.allocate(WORKSPACE_BYTES)
        return Cublas(self.stream.ptr, self._workspace.address, WORKSPACE_BYTES)

    def launch(self, kernel: CudaKernel, words: Sequence[int], guard: int = 0) -> None:
        """Start a kernel on argument words."""
        self.starter(kernel, kernel.launch(words))(words, guard)

    def starter(self, kernel: CudaKernel, launch: Launch) -> Callable[[Sequence[int], int], None]:
        """Return what starts a kernel with a given grid on argument words and a guard."""
        grid, block, shared = launch
        if 0 in grid or 0 in block:
            return lambda words, guard: None
        function = self.modules.function(kernel)
        whole = np.int64

        def start(words: Sequence[int], guard: int) -> None:
            function(grid, block, (*map(whole, words), whole(guard)), shared_mem=shared)

        return start

    def record(self, work: Callable[[], None]) -> Any:
        """Return a graph of what `work` puts into the stream, of which nothing is run yet.

        It is None where the recording did not succeed, as when another thread waits for the whole
        device meanwhile, which CUDA takes for a mistake.
        """
        cuda = self._cupy.cuda
        broken = (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError, DeviceError)
        self.stream.begin_capture()
        try:
            work()
        except BaseException as error:
            with suppress(*broken):
                self.stream.end_capture()
            if isinstance(error, broken):
                return None
            raise
        try:
            return self.stream.end_capture()
        except broken:
            return None

    def replay(self, graph: Any) -> None:
        """Start all that a graph holds."""
        graph.launch(self.stream)

    # Other streams, by their addresses: CuPy has no lasting class for those that are not its own.

    def wait_for(self, stream: int) -> None:
        """Let later work wait for what another stream of this device holds now."""
        self._wait(self.stream.ptr, stream)

    def release_to(self, stream: int) -> None:
        """Let another stream of this device wait for what has been enqueued here."""
        self._wait(stream, self.stream.ptr)

    def _wait(self, waiting: int, other: int) -> None:
        cuda = self._cupy.cuda
        event = cuda.Event(disable_timing=True)
        cuda.runtime.eventRecord(event.ptr, other)
        cuda.runtime.streamWaitEvent(waiting, event.ptr)

    def current_stream(self) -> Any:
        """Return the stream of this device that the present thread has made CuPy's current one."""
        self._check_process()
        return self._cupy.cuda.get_current_stream(self.index)

    def arrays(self, kinds: Sequence[tuple[tuple[int, ...], str]]) -> list[Any]:
        """Return new arrays of CuPy's, of these shapes and dtypes.

        CuPy gives memory that is let go of to whoever asks next on the same stream, and nobody
        waits. So they are taken for the stream that will read them: on ours, something else could
        be written there before they are read.

        Raises:
            DeviceMemoryError: there is no room for them.
        """
        reader = self._reader or self.stream
        try:
            with reader:
                found = [self._cupy.empty(shape, dtype) for shape, dtype in kinds]
        except self._cupy.cuda.memory.OutOfMemoryError:
            sizes = [math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in kinds]
            raise self._refused(sum(sizes)) from None
        if reader is not self.stream:
            # Work with what was there before may still be under way, begun by any thread.
            self.wait_for(reader.ptr)
        return found

    def event(self, *, timed: bool = False) -> Any:
        """Return an event that the stream passes when it gets there, and takes the time of."""
        return self.stream.record(self._cupy.cuda.Event(disable_timing=not timed))

    def nanoseconds(self, first: Any, last: Any) -> int:
        """Return the time between two events that were timed and are over."""
        return int(self._cupy.cuda.get_elapsed_time(first, last) * 1e6)


def open_device(name: str) -> Device:
    """Return a device by its name, "cuda:0", say; it is opened once for the process.

    Raises:
        DeviceError: there is no CuPy, no driver, no such device, or it is too old.
    """
    index = int(name.removeprefix("cuda:"))
    with _opening:
        if index not in _devices:
            _devices[index] = _opened(index)
        return _devices[index]


def _opened(index: int) -> Device:
    where = f"\n  at {user_location()}"
    module = cupy()
    try:
        count = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(
            f"device 'cuda:{index}' cannot be used: {error}\n"
            f"  is a driver of NVIDIA's loaded? nvidia-smi tells{where}"
        ) from None
    if index >= count:
        listed = ", ".join(f"'cuda:{number}'" for number in range(count)) or "none at all"
        raise DeviceError(f"there is no device 'cuda:{index}': there are {listed}{where}")
    text = str(module.cuda.Device(index).compute_capability)
    capability = int(text)
    least = LEAST_CAPABILITY if capability < LEAST_CAPABILITY else _least_compiled(module)
    if capability < least:
        raise DeviceError(
            f"device 'cuda:{index}' has compute capability {text[:-1]}.{text[-1]}, but at least "
            f"{least // 10}.{least % 10} is needed, with this CuPy and its compiler{where}"
        )
    return Device(index, capability)


def _least_compiled(module: Any) -> int:
    """Return the lowest compute capability that CuPy's compiler knows."""
    try:
        return int(min(module.cuda.nvrtc.getSupportedArchs()))
    except (ImportError, RuntimeError):
        return LEAST_CAPABILITY  # who compiles kernels says what is missing
