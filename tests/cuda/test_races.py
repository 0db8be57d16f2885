"""No two threads of a kernel use the same memory without a barrier between them."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import nn
from symgraph.runtime.cuda.prelude import PRELUDE
from tests.cuda.emulator import Emulator, KernelError
from tests.cuda.small_models import NAMES, training_step

RANDOM = np.random.default_rng(0)


@pytest.fixture
def watched(cuda, monkeypatch):
    monkeypatch.setattr(Emulator, "races", True)
    return cuda


def _normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def _ids(*shape, below):
    return RANDOM.integers(0, below, shape)


def _gradient(function):
    """Return a function that gives the gradient of the sum of squares of another one's result."""

    def gradient(first, *others):
        return sg.grad(sg.sum(sg.square(function(first, *others))), first)

    return gradient


def _convolution(groups):
    def convolution(x, w):
        y = nn.conv2d(x, w, pad=1, groups=groups)
        loss = sg.sum(sg.square(y))
        return sg.grad(loss, x) + sg.sum(sg.grad(loss, w)) + sg.sum(y)

    return convolution


def _layer_norm(x, gamma, beta):
    return nn.layer_norm(x, gamma, beta)


# Large enough that rows, columns and tiles have several warps, and several blocks.
CASES = {
    "long rows": (nn.softmax, [_normal(3, 5000)]),
    "short rows": (nn.softmax, [_normal(300, 33)]),
    "gradient of rows": (_gradient(nn.softmax), [_normal(5, 2050)]),
    "normalised rows": (_layer_norm, [_normal(9, 700), _normal(700), _normal(700)]),
    "gradient of normalised rows": (
        _gradient(_layer_norm),
        [_normal(90, 70), _normal(70), _normal(70)],
    ),
    "one row": (sg.sum, [_normal(40000)]),
    "everything": (lambda x: sg.max(x * x), [_normal(200, 300)]),
    "columns": (lambda x: sg.sum(x * x, 0), [_normal(3000, 40)]),
    "few columns": (lambda x: sg.max(x, 0), [_normal(5000, 3)]),
    "columns used again": (lambda x: x - sg.mean(x, 0), [_normal(900, 40)]),
    "both": (lambda x: sg.sum(x, (0, 2)), [_normal(20, 9, 70)]),
    "transposed": (lambda x, y: x.T * y + 1, [_normal(100, 70), _normal(70, 100)]),
    "argmax of rows": (lambda x: sg.argmax(x, 1), [_normal(3, 9000)]),
    "argmax of columns": (lambda x: sg.argmax(x, 0), [_normal(900, 5)]),
    "running sums of rows": (lambda x: sg.cumsum(x, 1), [_normal(2, 9000)]),
    "running sums of short rows": (lambda x: sg.cumsum(x, 1), [_normal(70, 30)]),
    "running sums of columns": (lambda x: sg.cumsum(x, 0), [_normal(700, 5)]),
    "embedding": (lambda w, i: sg.take(w, i, axis=0), [_normal(50, 40), _ids(300, below=50)]),
    "gradient of an embedding": (
        _gradient(lambda w, i: sg.take(w, i, axis=0)),
        [_normal(20, 40), _ids(3000, below=20)],
    ),
    "products of integers": (
        sg.matmul,
        [_ids(100, 70, below=9), _ids(70, 90, below=9)],
    ),
    "convolution": (_convolution(1), [_normal(3, 12, 9, 9), _normal(10, 12, 3, 3)]),
    "convolution of groups": (_convolution(2), [_normal(3, 24, 9, 9), _normal(20, 12, 3, 3)]),
    "convolution of channels": (_convolution(6), [_normal(9, 6, 20, 20), _normal(6, 1, 3, 3)]),
    "largest of windows": (
        _gradient(lambda x: nn.max_pool2d(x, 3, 2)),
        [_normal(2, 3, 30, 30)],
    ),
    "means of windows": (
        _gradient(lambda x: nn.average_pool2d(x, 3, 2, 1)),
        [_normal(2, 3, 30, 30)],
    ),
    "windows": (_gradient(lambda x: nn.im2col(x, 3)), [_normal(2, 3, 15, 15)]),
}


@pytest.mark.parametrize("name", CASES)
def test_library(watched, name):
    function, arrays = CASES[name]
    inputs = [
        sg.Placeholder(f"x{number}", array.shape, array.dtype.name)
        for number, array in enumerate(arrays)
    ]
    result = function(*inputs)
    expected, found = (
        sg.compile(result, inputs=inputs, device=device)(*arrays) for device in ("cpu", "cuda")
    )
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_models(watched, name):
    training_step(name).run("cuda", steps=2)


APART = "at<float>(a0)[blockIdx.x * 64 + threadIdx.x]"
OTHER = "at<float>(a0)[blockIdx.x * 64 + 63 - threadIdx.x]"
SHARED = "__shared__ float shared[64]; shared[threadIdx.x] = 1;"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"{SHARED} {APART} = shared[63 - threadIdx.x];", "shared memory that thread 31 of"),
        (
            f"{SHARED} __syncthreads(); {APART} = shared[63 - threadIdx.x]; shared[threadIdx.x]++;",
            "thread 32 reads shared memory that thread 31 of block 0 writes",
        ),
        ("at<float>(a0)[threadIdx.x] = 1;", "global memory that thread 0 of block 0 writes"),
        (f"const float x = {OTHER}; {APART} = x;", "reads global memory that thread 31 of block"),
        (f"{APART} = 1; __syncthreads(); at<float>(a0)[0] = {OTHER};", "thread 0 of block 0 wr"),
    ],
)
def test_races_are_found(watched, body, message):
    with pytest.raises(KernelError, match=message):
        _launch(body)


@pytest.mark.parametrize(
    "body",
    [
        f"{SHARED} __syncthreads(); {APART} = shared[63 - threadIdx.x];",
        f"{APART} = 1; __syncthreads(); const float x = {OTHER}; __syncthreads(); {APART} = x;",
        "report(a0, 3); if (stopped(a0)) return;",
        "atomicAdd(at<int>(a0), 1);",
    ],
)
def test_order_is_no_race(watched, body):
    _launch(body)


def _launch(body):
    memory = np.zeros(256, np.float32)
    head = 'extern "C" __global__ void k(long long a0, long long guard)'
    module = Emulator.load(f"{PRELUDE}\n{head}\n{{\n{body}\n}}\n")
    module.launch("k", (2, 1, 1), (64, 1, 1), [memory.ctypes.data, 0])
