"""The few calls of CuPy that the runtime makes, in host memory, with kernels run by the emulator.

`FakeCupy` stands for the module. It is strict where CUDA is: about which memory a pointer points
to, on which device, and about what may be done while a stream is captured.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import warnings
import weakref
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.cuda.emulator import Emulator
from tests.cuda.fake_arrays import FakeArray
from tests.cuda.fake_handles import (
    Bound,
    Device,
    Event,
    ExternalStream,
    Graph,
    Memory,
    MemoryPointer,
    RawMemory,
    Stream,
    UnownedMemory,
    elapsed,
)
from tests.cuda.fake_machine import CUDARuntimeError, Machine, OutOfMemoryError, Piece, Queue

KINDS = {1: "HostToDevice", 2: "DeviceToHost", 3: "DeviceToDevice"}


class CompileException(Exception):
    """CuPy's error of NVRTC."""


class CUDADriverError(RuntimeError):
    """CuPy's error of the driver, of a launch for example."""


class _Current(threading.local):
    """What a thread has made current: a stack of devices, and of streams for each."""

    def __init__(self) -> None:
        self.devices = [0]
        self.streams: dict[int, list[Any]] = {}


class FakeCupy(ModuleType):
    """Stands for the module `cupy`.

    Args:
        machine: what it drives.
    """

    __version__ = "0.0.fake"

    def __init__(self, machine: Machine) -> None:
        super().__init__("cupy")
        self.machine = machine
        self.current = _Current()
        runtime = _runtime(self)
        bound = {
            name: type(name, (kind,), {"cupy": self, "__module__": "cupy"})
            for name, kind in _CLASSES.items()
        }
        self.ndarray = bound["ndarray"]
        # Events are known by addresses too.
        self.numbers = itertools.count(0x10, 16)
        self.events: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.cuda = SimpleNamespace(
            runtime=runtime,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            compiler=SimpleNamespace(
                CompileException=CompileException, compile_using_nvrtc=_compile
            ),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            nvrtc=SimpleNamespace(
                getVersion=lambda: (0, 0), getSupportedArchs=lambda: (75, 80, 90)
            ),
            ExternalStream=_deprecated,
            alloc=self._alloc,
            alloc_pinned_memory=self._alloc_pinned,
            get_current_stream=self._current_stream,
            get_elapsed_time=elapsed,
            **{name: bound[name] for name in _OF_CUDA},
        )
        self.at_address = bound["ExternalStream"]
        bound["Stream"].null = self.at_address(0)

    # What the parts below share.

    @property
    def device(self) -> int:
        return self.current.devices[-1]

    def queue_of(self, stream: Any) -> Queue:
        address = self._current_stream().ptr if stream is None else stream.ptr
        return self.machine.queue(address, self.device)

    def _current_stream(self, device_id: int | None = None) -> Any:
        streams = self.current.streams.get(self.device if device_id is None else device_id)
        return streams[-1] if streams else self.cuda.Stream.null

    # Functions of the module.

    def _alloc(self, size: int) -> Any:
        return self.cuda.MemoryPointer(Memory(self, size), 0)

    def _alloc_pinned(self, size: int) -> Any:
        kind = type("PinnedMemoryPointer", (ctypes.c_char * size,), {})

        def wrap(piece: Piece) -> Any:
            found = kind.from_address(piece.address)
            found.mem, found.ptr = piece, piece.address
            return found

        return self.machine.allocate_pinned(size, wrap)

    def get_default_memory_pool(self) -> Any:
        return SimpleNamespace(free_all_blocks=self.machine.finish)

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        return self.ndarray(shape, dtype)

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        """Return an array on the current device; one of the host is copied."""
        if isinstance(value, FakeArray):
            assert dtype is None or value.dtype == dtype, "conversions are not faked"
            return value
        array = np.asarray(value, dtype, order="C")
        found = self.empty(array.shape, array.dtype)
        if array.nbytes:
            queue = self.queue_of(None)
            self.machine.copy(found.data.ptr, array.ctypes.data, array.nbytes, KINDS[1], queue)
        return found

    array = asarray

    def asnumpy(self, value: Any) -> Any:
        return value.get()

    def ascontiguousarray(self, value: Any) -> Any:
        if value.flags.c_contiguous:
            return value
        found = self.empty(value.shape, value.dtype)

        def gather() -> None:
            found._host[...] = value._host

        self.queue_of(None).put(gather)
        return found

    def from_dlpack(self, value: Any) -> Any:
        """Return an array over the memory of another library's."""
        stream = self._current_stream()
        capsule = value.__dlpack__(stream=stream.ptr or 1)
        methods = {"__dlpack__": lambda *_, **__: capsule, "__dlpack_device__": lambda _: (1, 0)}
        host = np.from_dlpack(type("Reader", (), methods)())
        memory = self.cuda.UnownedMemory(host.ctypes.data, host.nbytes, value)
        return self.ndarray(
            host.shape, host.dtype, self.cuda.MemoryPointer(memory, 0), host.strides
        )


def _compile(source: str, options: tuple[str, ...] = ()) -> tuple[bytes, None]:
    """Return a module's machine code, for which the source stands."""
    assert isinstance(options, tuple), "CuPy adds a tuple"
    return source.encode(), None


def _deprecated(*_: Any) -> Any:
    warnings.warn("ExternalStream is deprecated.", DeprecationWarning, stacklevel=2)
    raise AssertionError("not to be used")


class Module(Bound):
    """Kernels, compiled when the first of them runs."""

    def load(self, cubin: bytes) -> None:
        self._machine.refuse_in_capture()
        self._emulator = Emulator.load(cubin.decode())

    def get_function(self, name: str) -> Any:
        self._machine.refuse_in_capture()
        self._machine.counts["compile"] += 1
        if name not in self._emulator.entries:
            raise CUDARuntimeError("CUDA_ERROR_NOT_FOUND: named symbol not found")
        return _Function(self.cupy, self._emulator, name)


class _Function:
    def __init__(self, cupy: FakeCupy, emulator: Emulator, name: str) -> None:
        self._cupy, self._emulator, self.name = cupy, emulator, name

    def __call__(
        self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0, stream: Any = None
    ) -> None:
        machine, queue = self._cupy.machine, self._cupy.queue_of(stream)
        assert isinstance(args, tuple) and isinstance(grid, tuple) and isinstance(block, tuple)
        assert all(type(word) in (int, np.int64) for word in args), "words are 64 bits wide"
        words = [int(word) for word in args]
        machine.counts["launch"] += 1
        machine.launched.append(self.name)
        machine.check_words(words, queue.device)
        self._emulator.check(self.name, grid, block, words, shared_mem)

        def run() -> None:
            machine.check_words(words, queue.device)
            self._emulator.launch(self.name, grid, block, words, shared_mem)

        queue.put(run)


_CLASSES = {
    "Device": Device,
    "Event": Event,
    "ExternalStream": ExternalStream,
    "Graph": Graph,
    "Memory": RawMemory,
    "MemoryPointer": MemoryPointer,
    "Module": Module,
    "Stream": Stream,
    "UnownedMemory": UnownedMemory,
    "ndarray": FakeArray,
}
_OF_CUDA = (
    "Device",
    "Event",
    "Graph",
    "Memory",
    "MemoryPointer",
    "Module",
    "Stream",
    "UnownedMemory",
)


def _runtime(cupy: FakeCupy) -> SimpleNamespace:
    machine = cupy.machine

    def get_device_count() -> int:
        if not machine.driver:
            raise CUDARuntimeError(
                "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime "
                "version"
            )
        if not machine.used:
            raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return len(machine.used)

    def memcpy_async(dst: int, src: int, size: int, kind: int, stream: int) -> None:
        machine.copy(dst, src, size, KINDS[kind], machine.queue(stream, cupy.device))

    def memset_async(ptr: int, value: int, size: int, stream: int) -> None:
        machine.fill(ptr, value, size, machine.queue(stream, cupy.device))

    def event_record(event: int, stream: int) -> None:
        cupy.events[event].record(cupy.at_address(stream))

    def stream_wait_event(stream: int, event: int, flags: int = 0) -> None:
        cupy.at_address(stream).wait_event(cupy.events[event])

    def pointer_attributes(ptr: int) -> Any:
        found = machine.device_of(ptr)
        kind = 0 if found is None else 2
        return SimpleNamespace(device=-2 if found is None else found, type=kind)

    return SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=get_device_count,
        getDevice=lambda: cupy.device,
        getDeviceProperties=lambda device: {
            "name": b"NVIDIA H200 (fake)",
            "multiProcessorCount": 132,
            "totalGlobalMem": machine.memory,
        },
        memGetInfo=lambda: cupy.cuda.Device().mem_info,
        memcpyAsync=memcpy_async,
        memsetAsync=memset_async,
        eventRecord=event_record,
        streamWaitEvent=stream_wait_event,
        memcpyHostToDevice=1,
        memcpyDeviceToHost=2,
        memcpyDeviceToDevice=3,
        memoryTypeManaged=3,
        pointerGetAttributes=pointer_attributes,
    )
