"""The fake of CuPy: it has CuPy's names, and is as strict as CUDA."""

import ctypes
import gc
import threading

import numpy as np
import pytest

from symgraph.runtime.cuda.prelude import PRELUDE
from tests.cuda import emulator
from tests.cuda.fake_cupy import FakeCupy
from tests.cuda.fake_machine import CUDARuntimeError, Machine, OutOfMemoryError

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="there is no g++ on PATH")

ADD = (
    PRELUDE
    + """
extern "C" __global__ void add(long long a0, long long a1, long long guard)
{
    at<float>(a0)[threadIdx.x] += (float)a1;
}
"""
)
OWN_NAMES = {"machine", "current", "device", "queue_of", "numbers", "events", "at_address"}
OF_INSTANCES = {"cupy", "ptr", "device_id", "captured", "time", "timed", "nodes"}


@pytest.fixture
def machine():
    machine = Machine(devices=2)
    yield machine
    machine.check()


@pytest.fixture
def cupy(machine):
    return FakeCupy(machine)


@pytest.fixture
def stream(cupy):
    with cupy.cuda.Stream(non_blocking=True) as stream:
        yield stream


def _adder(cupy):
    module = cupy.cuda.Module()
    module.load(cupy.cuda.compiler.compile_using_nvrtc(ADD, ("--fmad=false",))[0])
    return module.get_function("add")


def _add(cupy, array, number, size=4, function=None):
    function = function or _adder(cupy)
    pointer = array if isinstance(array, int) else array.data.ptr
    function((1, 1, 1), (size, 1, 1), (np.int64(pointer), np.int64(number), np.int64(0)))


def _public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_name_is_one_of_cupy(cupy):
    real = pytest.importorskip("cupy", exc_type=ImportError)
    names = {name for name in vars(FakeCupy) if not name.startswith("_")} - OWN_NAMES
    missing = [name for name in names if not hasattr(real, name)]
    for fake, genuine in ((cupy.cuda, real.cuda), (cupy.cuda.runtime, real.cuda.runtime)):
        missing += [name for name in vars(fake) if not hasattr(genuine, name)]
    kinds = [*vars(cupy.cuda).items(), ("ndarray", cupy.ndarray)]
    for name, kind in kinds:
        if isinstance(kind, type):
            genuine = getattr(real.cuda, name, None) or getattr(real, name)
            found = _public(kind) - OF_INSTANCES - _public(genuine)
            missing += [f"{name}.{attribute}" for attribute in found]
    assert not missing


def test_work_is_done_when_somebody_waits(cupy, machine, stream):
    array = cupy.asarray(np.zeros(4, np.float32))
    _add(cupy, array, 3)
    assert np.isnan(array._host).all()
    stream.synchronize()
    np.testing.assert_array_equal(array._host, 3)
    machine.late = False
    _add(cupy, array, 3)
    np.testing.assert_array_equal(array._host, 6)


def test_streams_wait_for_events(cupy, stream):
    array = cupy.asarray(np.zeros(4, np.float32))
    event = stream.record()
    _add(cupy, array, 1)
    other = cupy.cuda.Stream(non_blocking=True)
    other.wait_event(event)
    with other:
        found = array.get()
    np.testing.assert_array_equal(found, 0)
    event = stream.record()
    other.wait_event(event)
    with other:
        np.testing.assert_array_equal(array.get(), 1)
    assert event.done
    assert cupy.cuda.get_elapsed_time(event, event) == 0


def test_times_are_known_when_events_have_happened(cupy, stream):
    event = stream.record(cupy.cuda.Event())
    with pytest.raises(CUDARuntimeError, match="cudaErrorNotReady"):
        cupy.cuda.get_elapsed_time(event, event)


def test_pageable_memory_may_change_and_pinned_may_not(cupy, stream):
    runtime = cupy.cuda.runtime
    target = cupy.empty((2, 4), np.float32)
    pageable = np.ones(4, np.float32)
    pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(16), np.float32, 4)
    pinned[:] = 1
    for row, source in enumerate((pageable, pinned)):
        runtime.memcpyAsync(target.data.ptr + 16 * row, source.ctypes.data, 16, 1, stream.ptr)
        source[:] = 2
    np.testing.assert_array_equal(target.get(), [[1] * 4, [2] * 4])


@pytest.mark.parametrize("where", ["host", "freed", "other device"])
def test_kernels_and_copies_take_only_memory_of_their_device(cupy, stream, where):
    host = np.zeros(4, np.float32)
    array = cupy.empty(4, np.float32)
    pointer = array.data.ptr
    if where == "host":
        pointer = host.ctypes.data
    if where == "freed":
        del array
        stream.synchronize()
    if where == "other device":
        with cupy.cuda.Device(1):
            array = cupy.empty(4, np.float32)
        pointer = array.data.ptr
    with pytest.raises(CUDARuntimeError, match="cudaErrorInvalidValue"):
        _add(cupy, pointer, 1)
    with pytest.raises(CUDARuntimeError, match="cudaErrorInvalidValue"):
        cupy.cuda.runtime.memcpyAsync(host.ctypes.data, pointer, 16, 2, stream.ptr)
    with pytest.raises(CUDARuntimeError, match="cudaErrorInvalidValue"):
        cupy.cuda.runtime.memsetAsync(pointer, 0, 16, stream.ptr)


def test_streams_belong_to_a_device(cupy, stream):
    with cupy.cuda.Device(1):
        with pytest.raises(CUDARuntimeError, match="another device"):
            cupy.cuda.runtime.memsetAsync(0, 0, 1, stream.ptr)
        with pytest.raises(RuntimeError, match="not created on the current device"), stream:
            pass


def test_memory_is_freed_behind_what_uses_it(cupy, machine, stream):
    array = cupy.asarray(np.zeros(4, np.float32))
    _add(cupy, array, 1)
    del array
    gc.collect()
    assert machine.used[0] == 16
    stream.synchronize()
    assert machine.used[0] == 0


def test_writes_behind_memory_are_found(machine):
    cupy = FakeCupy(machine)
    array = cupy.asarray(np.zeros(3, np.float32))
    _add(cupy, array, 1, size=4)
    with pytest.raises(AssertionError, match="something was written behind the 12 bytes"):
        machine.check()
    ctypes.memset(array.data.ptr + 12, 0xA5, 4)


def test_memory_ends(machine):
    machine.memory = 1000
    cupy = FakeCupy(machine)
    first = cupy.empty(200, np.float32)
    with pytest.raises(OutOfMemoryError, match="out of memory allocating 400 bytes"):
        cupy.empty(100, np.float32)
    assert cupy.cuda.runtime.memGetInfo() == (200, 1000)
    del first
    assert cupy.empty(100, np.float32).nbytes == 400


def test_graphs_repeat_what_was_captured(cupy, machine, stream):
    array = cupy.asarray(np.zeros(4, np.float32))
    function = _adder(cupy)
    stream.begin_capture()
    _add(cupy, array, 1, function=function)
    _add(cupy, array, 2, function=function)
    assert stream.is_capturing()
    graph = stream.end_capture()
    np.testing.assert_array_equal(array.get(), 0)
    before = dict(machine.counts)
    for _ in range(3):
        graph.launch(stream)
    np.testing.assert_array_equal(array.get(), 9)
    assert machine.counts["launch"] == before["launch"] == 2
    assert machine.counts["graph_launch"] == 3
    assert machine.counts["replayed"] == 6


def _capture_refuses(stream, work, match="cudaErrorStreamCaptureUnsupported"):
    stream.begin_capture()
    with pytest.raises(CUDARuntimeError, match=match):
        work()
    with pytest.raises(CUDARuntimeError, match="cudaErrorStreamCaptureInvalidated"):
        stream.end_capture()


def test_what_cannot_be_captured(cupy, stream):
    array = cupy.asarray(np.zeros(4, np.float32))
    event = stream.record()
    _capture_refuses(stream, lambda: cupy.empty(1))
    _capture_refuses(stream, lambda: cupy.cuda.alloc_pinned_memory(1))
    _capture_refuses(stream, stream.synchronize)
    _capture_refuses(stream, event.synchronize)
    _capture_refuses(stream, array.get)
    _capture_refuses(stream, lambda: cupy.asarray(np.zeros(4)))
    with pytest.raises(CUDARuntimeError, match="the default stream"):
        cupy.cuda.Stream.null.begin_capture()
    stream.begin_capture()
    with pytest.raises(CUDARuntimeError, match="cudaErrorStreamCaptureIsolation"):
        stream.wait_event(event)
    stream.end_capture()


def test_capture_is_of_one_thread(cupy, stream):
    stream.begin_capture()
    found = []
    thread = threading.Thread(target=lambda: found.append(cupy.empty(3)))
    thread.start()
    thread.join()
    stream.end_capture()
    assert found[0].shape == (3,)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"driver": False}, "cudaErrorInsufficientDriver"), ({"devices": 0}, "cudaErrorNoDevice")],
)
def test_machines_without_a_gpu(options, message):
    with pytest.raises(CUDARuntimeError, match=message):
        FakeCupy(Machine(**options)).cuda.runtime.getDeviceCount()


def test_devices(cupy):
    with cupy.cuda.Device(1):
        array = cupy.empty(3)
        assert cupy.cuda.runtime.getDevice() == array.device.id == 1
    assert cupy.cuda.runtime.getDevice() == 0
    with pytest.raises(CUDARuntimeError, match="cudaErrorInvalidDevice"), cupy.cuda.Device(2):
        pass


def test_arrays(cupy, stream):
    host = np.arange(12, dtype=np.float32).reshape(3, 4)
    array = cupy.asarray(host)
    np.testing.assert_array_equal(array[1:, ::2].get(), host[1:, ::2])
    assert array[1:].flags.c_contiguous
    assert not array[:, ::2].flags.c_contiguous
    assert array[1:].__cuda_array_interface__["data"] == (array.data.ptr + 16, False)
    assert array.__dlpack_device__() == (2, 0)
    lent = cupy.from_dlpack(array)
    assert lent.data.ptr == array.data.ptr
    del array
    np.testing.assert_array_equal(lent.get(), host)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(lent)
