"""The emulator of kernels computes what a GPU does, and refuses what a GPU does not allow."""

import threading

import numpy as np
import pytest

from symgraph.runtime.cuda.prelude import PRELUDE
from tests.cuda import emulator
from tests.cuda.emulator import Emulator, KernelError

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="there is no g++ on PATH")

HEAD = 'extern "C" __global__ void'
CODE = (
    PRELUDE
    + r"""
template <typename T> __device__ __forceinline__ T sum_of_block(T value)
{
    __shared__ T parts[32];
    #pragma unroll
    for (int step = 16; step > 0; step >>= 1)
        value += __shfl_xor_sync(0xffffffff, value, step);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    T sum = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; warp++) sum += parts[warp];
    return sum;
}
HEAD row_sums(long long a0, long long a1, long long a2, long long guard)
{
    if (stopped(guard)) return;
    double sum = 0;
    for (Word i = threadIdx.x; i < a2; i += blockDim.x)
        sum += at<float>(a0)[blockIdx.x * a2 + i];
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) at<float>(a1)[blockIdx.x] = sum;
}
HEAD reversed(long long a0, long long a1, long long guard)
{
    extern __shared__ alignas(16) unsigned char shared_bytes[];
    float* values = (float*)shared_bytes;
    values[threadIdx.x + a1] = at<float>(a0)[threadIdx.x];
    __syncthreads();
    at<float>(a0)[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}
HEAD unwritten(long long a0, long long guard)
{
    __shared__ float values[64];
    if (threadIdx.x > 0) values[threadIdx.x] = 1;
    __syncthreads();
    at<float>(a0)[threadIdx.x] = values[threadIdx.x];
}
HEAD no_barrier(long long a0, long long guard)
{
    __shared__ float values[64];
    values[threadIdx.x] = threadIdx.x;
    at<float>(a0)[threadIdx.x] = values[threadIdx.x ^ 1];
}
HEAD last_one(long long a0, long long guard)
{
    at<long long>(a0)[0] = blockIdx.x * 100 + threadIdx.x;
}
HEAD returns_early(long long a0, long long guard)
{
    if (threadIdx.x == 3) return;
    __syncthreads();
}
HEAD two_barriers(long long a0, long long guard)
{
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}
HEAD torn_warp(long long a0, long long guard)
{
    if (threadIdx.x < 16) at<int>(a0)[threadIdx.x] = __shfl_down_sync(0xffffffff, 1, 1);
}
HEAD some_lanes(long long a0, long long guard)
{
    at<int>(a0)[threadIdx.x] = __shfl_xor_sync(0xffff, 1, 1);
}
HEAD vectors(long long a0, long long guard)
{
    typedef Pack<float, 4> Four;
    Four four = *at<Four>(a0);
    at<float>(a0)[0] = four.item[0] + four.item[3];
}
HEAD beyond(long long a0, long long guard)
{
    __shared__ int values[8];
    values[a0] = 1;
}
HEAD overflow(long long a0, long long guard) { at<int>(a0)[0] = at<int>(a0)[0] + 1; }
HEAD divides(long long a0, long long guard) { at<int>(a0)[0] = 7 / at<int>(a0)[0]; }
HEAD lanes(long long a0, long long guard)
{
    int lane = threadIdx.x, *out = at<int>(a0);
    out[lane] = __shfl_down_sync(0xffffffff, lane, 4);
    out[32 + lane] = __shfl_up_sync(0xffffffff, lane, 4);
    out[64 + lane] = __shfl_sync(0xffffffff, lane, 9);
    out[96 + lane] = __shfl_down_sync(0xffffffff, lane, 1, 8);
    out[128 + lane] = __ballot_sync(0xffffffff, lane % 2);
}
HEAD places(long long a0, long long guard)
{
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    at<int>(a0)[block * blockDim.x * blockDim.y * blockDim.z + thread] = block * 1000 + thread;
}
HEAD numbers(long long a0, long long guard)
{
    float x = 1.0f + 1.1920929e-7f;
    double* out = at<double>(a0);
    out[0] = x * x - (1.0f + 2.3841858e-7f);
    out[1] = fmaf(x, x, -(1.0f + 2.3841858e-7f));
    out[2] = rintf(2.5f) + rint(3.5) + floorf(-0.5f) + fminf(INFINITE_FLOAT, 2.0f);
    out[3] = __int_as_float(0x3f800000) + __longlong_as_double(0x4000000000000000LL);
    out[4] = max(3, 4) + min(2.5, 7.0) + sqrtf(9.0f);
    out[5] = atomicAdd(at<int>(a0 + 80), 5) + 10 * atomicMax(at<int>(a0 + 80), 9);
    out[6] = __double2int_rz(1e300) + __float2int_rn(-2.5f);
    out[7] = __umulhi(0x80000000u, 6u) + (double)__umul64hi(1ull << 63, 10ull);
}
"""
).replace("HEAD", HEAD)


def _launch(name, array, *words, block=64, **options):
    Emulator.load(CODE).launch(
        name, (1, 1, 1), (block, 1, 1), [array.ctypes.data, *words, 0], **options
    )


def _filled(dtype="float32", size=64):
    """Return an array on a multiple of 64 bytes."""
    raw = np.zeros(size * np.dtype(dtype).itemsize + 64, np.uint8)
    return raw[-raw.ctypes.data % 64 :][: size * np.dtype(dtype).itemsize].view(dtype)


@pytest.mark.parametrize("reverse", [False, True])
def test_barriers_and_exchanges(reverse):
    x = np.random.default_rng(0).random((5, 1000), np.float32)
    y = np.zeros(5, np.float32)
    Emulator.load(CODE).launch(
        "row_sums", (5, 1, 1), (96, 1, 1), [x.ctypes.data, y.ctypes.data, 1000, 0], reverse=reverse
    )
    np.testing.assert_allclose(y, x.sum(1, dtype=np.float64), rtol=1e-7)


def test_a_guard_stops_a_kernel():
    x, y, status = np.ones(64, np.float32), np.zeros(1, np.float32), np.ones(1, np.int64)
    words = [x.ctypes.data, y.ctypes.data, 64, status.ctypes.data]
    Emulator.load(CODE).launch("row_sums", (1, 1, 1), (32, 1, 1), words)
    assert y[0] == 0


def test_dynamic_shared_memory():
    x = np.arange(64, dtype=np.float32)
    _launch("reversed", x, 0, shared=256)
    np.testing.assert_array_equal(x, np.arange(64)[::-1])


def test_writes_behind_dynamic_shared_memory_are_found():
    with pytest.raises(KernelError, match=r"reversed: .* wrote behind its dynamic shared memory"):
        _launch("reversed", _filled(), 1, shared=256)
    with pytest.raises(KernelError, match="wrote before"):
        _launch("reversed", _filled(), -1, shared=256)


def test_shared_memory_begins_as_nan():
    x = _filled()
    _launch("unwritten", x)
    assert np.isnan(x[0])
    assert (x[1:] == 1).all()


def test_a_missing_barrier_shows_in_one_of_the_orders():
    forward, backward = _filled(), _filled()
    _launch("no_barrier", forward)
    _launch("no_barrier", backward, reverse=True)
    expected = np.arange(64) ^ 1
    assert not np.array_equal(forward, expected)
    assert not np.array_equal(backward, expected)
    assert not np.array_equal(forward, backward, equal_nan=True)


def test_order_of_blocks_and_threads(monkeypatch):
    last = np.zeros(1, np.int64)
    module = Emulator.load(CODE)

    def run(**options):
        module.launch("last_one", (3, 1, 1), (5, 1, 1), [last.ctypes.data, 0], **options)
        return last[0]

    assert run() == 204
    assert run(reverse=True) == 0
    monkeypatch.setattr(Emulator, "reverse", True)
    assert run() == 0
    assert run(reverse=False) == 204


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("returns_early", "thread 0 waits at __syncthreads .*, thread 3 has returned"),
        ("two_barriers", "thread 0 waits at __syncthreads .*, thread 32 waits at __syncthreads"),
        ("torn_warp", "thread 0 waits for its warp .*, thread 16 has returned"),
        ("some_lanes", "an exchange between some of the lanes"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_threads_that_part_ways(name, message, reverse):
    with pytest.raises(KernelError, match=message):
        _launch(name, _filled(), reverse=reverse)


def test_half_a_warp_exchanges_nothing():
    with pytest.raises(KernelError, match="blocks of 40 threads cannot exchange"):
        _launch("lanes", _filled(size=1000), block=40)


def test_misaligned_vectors_are_found():
    x = _filled()
    x[:4] = 1, 2, 3, 4
    _launch("vectors", x, block=1)
    assert x[0] == 5
    with pytest.raises(KernelError, match=r"misaligned address\n.*line \d+: Four four"):
        _launch("vectors", x[1:])


def test_undefined_arithmetic_is_found():
    number = np.array([np.iinfo(np.int32).max, 0], np.int32)
    with pytest.raises(KernelError, match="signed overflow"):
        _launch("overflow", number)
    number[0] = 0
    with pytest.raises(KernelError, match="division by zero"):
        _launch("divides", number)
    with pytest.raises(KernelError, match="index out of bounds"):
        Emulator.load(CODE).launch("beyond", (1, 1, 1), (32, 1, 1), [8, 0])


def test_exchanges_between_lanes():
    found = np.zeros((5, 32), np.int32)
    _launch("lanes", found, block=32)
    lane = np.arange(32)
    down = np.where(lane < 28, lane + 4, lane)
    up = np.where(lane >= 4, lane - 4, lane)
    eights = np.where(lane % 8 < 7, lane + 1, lane)
    expected = [down, up, np.full(32, 9), eights, np.full(32, np.int32(-0x55555556))]
    np.testing.assert_array_equal(found, expected)


def test_places_of_threads():
    found = np.zeros((24, 30), np.int32)
    Emulator.load(CODE).launch("places", (2, 3, 4), (5, 3, 2), [found.ctypes.data, 0])
    np.testing.assert_array_equal(found, np.arange(24)[:, None] * 1000 + np.arange(30))


def test_arithmetic():
    out = np.zeros(11)
    _launch("numbers", out, block=1)
    limit = float(np.iinfo(np.int32).max) - 2
    np.testing.assert_array_equal(out[:8], [0, 2.0**-46, 7, 3, 9.5, 50, limit, 8])


@pytest.mark.parametrize(
    ("grid", "block", "count", "shared", "message"),
    [
        ((0, 1, 1), (32, 1, 1), 2, 0, "a launch of"),
        ((1, 70000, 1), (32, 1, 1), 2, 0, "a launch of"),
        ((1, 1, 1), (2048, 1, 1), 2, 0, "a launch of"),
        ((1, 1, 1), (64, 32, 1), 2, 0, "a block of"),
        ((1, 1, 1), (32, 1, 1), 3, 0, "takes 2 words, not 3"),
        ((1, 1, 1), (32, 1, 1), 2, 50000, "50000 bytes of shared memory"),
    ],
)
def test_launches_that_a_gpu_refuses(grid, block, count, shared, message):
    with pytest.raises(KernelError, match=message):
        Emulator.load(CODE).launch("places", grid, block, [0] * count, shared)
    with pytest.raises(KernelError, match="no kernel 'nothing'"):
        Emulator.load(CODE).launch("nothing", grid, block, [])


@pytest.mark.parametrize(
    "statement", ["atomicAdd(at<float>(a0), 1.0f);", "std::max(1, 2);", "expf(1.0f);"]
)
def test_what_kernels_must_not_use_does_not_compile(statement):
    module = Emulator.load(f"{PRELUDE}\n{HEAD} k(long long a0, long long guard) {{ {statement} }}")
    with pytest.raises(KernelError, match=r"g\+\+ refuses the kernels"):
        module.build()


def test_modules_are_compiled_by_many_at_once():
    code = f"{PRELUDE}\n{HEAD} k(long long a0, long long guard) {{ at<int>(a0)[0] = 7; }}"
    found = np.zeros(4, np.int32)

    def run(index):
        Emulator(code).launch("k", (1, 1, 1), (1, 1, 1), [found.ctypes.data + 4 * index, 0])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found == 7).all()
