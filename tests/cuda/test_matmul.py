"""Matrix products on the emulated GPU: every dtype, layout and size."""

from types import SimpleNamespace

import numpy as np
import pytest

import symgraph as sg
from symgraph.compiler.cuda.matmul import gemm_call
from symgraph.compiler.cuda.matmul_kernel import matmul_kernel
from symgraph.runtime.cuda import products
from symgraph.runtime.cuda.calls import CALLS, gemm
from symgraph.runtime.cuda.prelude import PRELUDE
from symgraph.runtime.cuda.products import Operand, multiply, operand
from tests.cuda.emulator import Emulator, compiler

DTYPES = ("float32", "float64", "int32", "int64")
FLOATS = DTYPES[:2]
RTOL = {"float32": 1e-5, "float64": 1e-12, "int32": 0, "int64": 0}


def _numbers(dtype, *shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    if dtype.startswith("int"):
        return rng.integers(-9, 10, size=shape).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def _check(build, *arrays):
    """Compare a product on the device with NumPy's, for fixed and for open extents."""
    dtype = str(arrays[0].dtype)
    wanted = build(np, *arrays)
    for open_extents in (False, True):
        nodes = [
            sg.Placeholder(f"x{i}", (None,) * a.ndim if open_extents else a.shape, dtype)
            for i, a in enumerate(arrays)
        ]
        found = sg.compile(build(sg, *nodes), inputs=nodes, device="cuda")(*arrays)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(3, 4, 5), (1, 7, 1), (5, 1, 6), (1, 1, 1), (65, 33, 70), (0, 3, 4), (3, 0, 4)]
)
def test_sizes(cuda, dtype, shape):
    rows, depth, columns = shape
    x, w = _numbers(dtype, rows, depth), _numbers(dtype, depth, columns)
    _check(lambda lib, x, w: lib.matmul(x, w), x, w)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_every_way_in_which_operands_may_be_transposed(cuda, dtype):
    x, w = _numbers(dtype, 6, 5), _numbers(dtype, 5, 7)
    for turned_x in (False, True):
        for turned_w in (False, True):

            def build(lib, x, w, turned_x=turned_x, turned_w=turned_w):
                left = x.T if turned_x else x
                return lib.matmul(left, w.T if turned_w else w)

            _check(build, x.T.copy() if turned_x else x, w.T.copy() if turned_w else w)


SLICES = {
    "rows": lambda x: x[1:5],
    "columns": lambda x: x[:, 2:7],
    "every second column": lambda x: x[:, ::2],
    "every second row": lambda x: x[::2],
    "backwards": lambda x: x[::-1],
    "columns backwards": lambda x: x[:, ::-1],
    "both": lambda x: x[1::2, 1:].T,
}


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("name", SLICES)
def test_slices(cuda, dtype, name):
    take = SLICES[name]
    x = _numbers(dtype, 6, 8)
    _check(lambda lib, x: lib.matmul(take(x), take(x).T), x)


@pytest.mark.parametrize("dtype", ["float64", "int32"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((4, 3, 5), (4, 5, 2)),
        ((4, 3, 5), (1, 5, 2)),
        ((1, 3, 5), (4, 5, 2)),
        ((2, 3, 3, 5), (2, 3, 5, 2)),
        ((2, 1, 3, 5), (1, 3, 5, 2)),
        ((3, 3, 5), (2, 3, 5, 2)),
        ((0, 3, 5), (0, 5, 2)),
        ((4, 3, 0), (4, 0, 2)),
        ((4, 1, 5), (4, 5, 1)),
    ],
)
def test_stacks(cuda, dtype, shapes):
    x, w = (_numbers(dtype, *shape) for shape in shapes)
    _check(lambda lib, x, w: lib.matmul(x, w), x, w)


def test_stacks_of_transposed_and_sliced_matrices(cuda):
    x, w = _numbers("float32", 4, 6, 5), _numbers("float32", 6, 4, 7)

    def build(lib, x, w):
        return lib.matmul(x[:, 1:4].transpose(0, 2, 1), w[1:4].transpose(1, 0, 2))

    _check(build, x, w)


def test_broadcast_operands_are_copied_without_their_batch(cuda):
    x = sg.Placeholder("x", (3, 4), "float32")
    row = sg.Placeholder("row", (4,), "float32")
    y = sg.matmul(sg.broadcast_to(row, (5, 2, 4)), sg.broadcast_to(x.T, (5, 4, 3)))
    f = sg.compile(y, inputs=[x, row], device="cuda")
    array, vector = _numbers("float32", 3, 4), _numbers("float32", 4)
    wanted = np.broadcast_to(vector @ array.T, (5, 2, 3))
    np.testing.assert_allclose(f(array, vector), wanted, rtol=1e-5, atol=1e-5)


def test_integers_wrap(cuda):
    for dtype in ("int32", "int64"):
        big = np.full((2, 3), np.iinfo(dtype).max, dtype)
        x = sg.Placeholder("x", (2, 3), dtype)
        found = sg.compile(sg.matmul(x, x.T), device="cuda")(big)
        np.testing.assert_array_equal(found, big @ big.T)


@pytest.mark.parametrize(("precision", "bits"), [("float32", 23), ("tf32", 10), ("bfloat16", 7)])
def test_precision(cuda, precision, bits):
    x = sg.Placeholder("x", (1, 2), "float32")
    f = sg.compile(sg.matmul(x, x.T), device="cuda", precision=precision)
    value = np.float32(1 + 2.0**-9)
    kept = value if bits > 9 else np.float32(1)
    assert f(np.array([[value, 0]], np.float32))[0, 0] == kept * kept
    assert cuda.cublas.products[-1][-1] == precision


def test_precision_leaves_float64_alone(cuda):
    x = sg.Placeholder("x", (1, 2), "float64")
    f = sg.compile(sg.matmul(x, x.T), device="cuda", precision="bfloat16")
    assert f(np.array([[1 + 2.0**-30, 0]]))[0, 0] == (1 + 2.0**-30) ** 2
    assert cuda.cublas.products[-1][-1] == "float64"


def test_the_gradient_of_a_product_copies_nothing(cuda):
    x, w = _numbers("float32", 6, 5), _numbers("float32", 5, 7)
    a, b = sg.Placeholder("a", ("N", 5), "float32"), sg.Placeholder("b", (5, 7), "float32")
    g = sg.Placeholder("g", ("N", 7), "float32")
    f = sg.compile([sg.matmul(g, b.T), sg.matmul(a.T, g)], inputs=[a, b, g], device="cuda")
    seed = _numbers("float32", 6, 7)
    found = f(x, w, seed)
    np.testing.assert_allclose(found[0], seed @ w.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], x.T @ seed, rtol=1e-5, atol=1e-5)
    assert cuda.counts["launch"] == 0


def test_strides_that_only_a_call_can_tell_apart(cuda):
    # The step from row to row is -N, of which nothing says that it is negative.
    x, w = _numbers("float32", 4, 3), _numbers("float32", 3, 5)
    a, b = sg.Placeholder("a", (4, "N"), "float32"), sg.Placeholder("b", ("N", 5), "float32")
    f = sg.compile(sg.matmul(a[::-1], b), inputs=[a, b], device="cuda")
    np.testing.assert_allclose(f(x, w), x[::-1] @ w, rtol=1e-5, atol=1e-5)
    assert cuda.cublas.products == []


@pytest.mark.parametrize(
    ("shape", "strides", "wanted"),
    [
        ((3, 4), (4, 1), (4, False)),
        ((3, 4), (9, 1), (9, False)),
        ((3, 4), (1, 3), (3, True)),
        ((3, 4), (3, 1), None),
        ((3, 4), (0, 1), None),
        ((3, 4), (-4, 1), None),
        ((3, 4), (8, 2), None),
        ((3, 1), (2, 7), (2, False)),
        ((1, 4), (-9, 1), (4, False)),
        ((1, 4), (1, 5), (5, True)),
        ((0, 4), (4, 1), (4, False)),
    ],
)
def test_what_cublas_can_read(shape, strides, wanted):
    found = operand(0, shape, strides, 0)
    assert (found and (found.leading, found.transposed)) == wanted


class _Recorder:
    """A device that notes what it is asked for."""

    def __init__(self):
        self.cublas = SimpleNamespace(gemm_strided_batched=self._gemm)
        self.extents, self.filled, self.launched = [], [], []

    def _gemm(self, dtype, precision, extents, factors, result, beta):
        self.extents.append(extents)

    def fill(self, address, size, value=0):
        self.filled.append((address, size))

    def launch(self, kernel, words):
        self.launched.append(kernel)


OPTIONS = {"dtype": "float32", "precision": "float32"}


def test_a_stack_that_shares_its_right_factor_is_one_product():
    device = _Recorder()
    left, right, result = Operand(0, 5, 15), Operand(0, 7), Operand(0, 7, 21)
    multiply(device, OPTIONS, (3, 7, 5, 4), left, right, result)
    assert device.extents == [(7, 12, 5, 1)]


def test_a_stack_of_many_matrices_takes_several_calls(cuda, monkeypatch):
    monkeypatch.setattr(products, "MOST_MATRICES", 2)
    x, w = _numbers("float32", 5, 3, 4), _numbers("float32", 5, 4, 2)
    _check(lambda lib, x, w: lib.matmul(x, w), x, w)
    assert {product[5] for product in cuda.cublas.products} == {1, 2}


def test_an_empty_sum_is_zero_and_an_empty_result_nothing():
    device = _Recorder()
    nothing = Operand(0, 1)
    multiply(device, OPTIONS, (3, 7, 0, 4), nothing, nothing, Operand(100, 7, 21))
    multiply(device, OPTIONS, (2, 7, 0, 1), nothing, nothing, Operand(100, 8))
    multiply(device, OPTIONS, (3, 7, 0, 4), nothing, nothing, Operand(100, 7, 21), beta=1.0)
    multiply(device, OPTIONS, (0, 7, 3, 4), nothing, nothing, nothing)
    assert device.filled == [(100, 336), (100, 28), (132, 28)]
    assert device.extents == []


def test_a_stack_that_runs_backwards_goes_to_our_kernel():
    device = _Recorder()
    call = gemm_call("float32", "float32")
    gemm(device, [0, 0, 0, 2, 2, 2, 3, 2, 1, 2, 1, 2, -4, 4, 4], call)
    assert device.launched == list(call.kernels)
    assert set(CALLS) >= {"gemm"}


@pytest.mark.skipif(compiler() is None, reason="kernels are emulated with g++")
@pytest.mark.parametrize("dtype", DTYPES)
def test_our_kernel_takes_any_strides(dtype):
    kernel = matmul_kernel(dtype)
    module = Emulator.load(PRELUDE + kernel.code)
    x, w = _numbers(dtype, 2, 70, 40), _numbers(dtype, 2, 20, 67)
    left, right = x[::-1, 1:69, ::2], w[:, :, ::-1]
    result = np.full((2, 68, 67), 99, dtype)
    item = x.itemsize
    strides = [s // item for a in (left, right) for s in a.strides]
    words = [
        left.ctypes.data, right.ctypes.data, result.ctypes.data, 68, 67, 20, 2,
        strides[1], strides[2], strides[4], strides[5], 67, strides[0], strides[3], 68 * 67,
    ]  # fmt: skip
    launch = kernel.launch(words)
    for reverse in (False, True):
        module.launch(kernel.name, *launch[:2], [*words, 0], reverse=reverse)
        np.testing.assert_allclose(result, left @ right, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.skipif(compiler() is None, reason="kernels are emulated with g++")
def test_our_kernel_fuses_multiplication_and_addition():
    kernel = matmul_kernel("float32")
    x = np.array([[1 + 2.0**-12, 1.0]], np.float32)
    w = np.array([[1 - 2.0**-12], [-1.0]], np.float32)
    result = np.zeros((1, 1), np.float32)
    arrays = [array.ctypes.data for array in (x, w, result)]
    words = [*arrays, 1, 1, 2, 1, 2, 1, 1, 1, 1, 0, 0, 0]
    Emulator.load(PRELUDE + kernel.code).launch(kernel.name, *kernel.launch(words)[:2], [*words, 0])
    product = np.float32(np.float64(x[0, 0]) * np.float64(w[0, 0]))
    assert result[0, 0] == product - 1  # the first product is rounded when it is stored as a sum
