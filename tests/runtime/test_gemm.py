"""The native matrix product against NumPy; its bits never depend on slicing."""

import ctypes
import functools
import itertools

import numpy as np
import pytest

from symgraph.runtime.jit import get_kernel
from symgraph.runtime.kernels.gemm import (
    GemmArgument,
    gemm_source,
    gemm_task_count,
    gemm_task_shape,
)
from symgraph.runtime.kernels.gemm_shape import TileShape, tile_shape

DTYPES = ("float32", "float64", "int32", "int64")
EXTENTS = [
    (0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (1, 7, 50), (5, 1, 9), (100, 1, 10), (7, 33, 70),
    (13, 5, 1), (1, 300, 1), (65, 40, 97), (128, 10, 130), (30, 450, 16), (400, 5, 49),
    (70, 3, 900), (50, 9, 33), (16, 20, 400),
]  # fmt: skip
PROTOTYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
SMALLER_MACHINES = [TileShape(4, 32, 16), TileShape(4, 16, 16), TileShape(4, 16, 32)]


@functools.cache
def kernel(dtype, epilogue="none", shape=None):
    return PROTOTYPE(get_kernel(gemm_source(dtype, epilogue=epilogue, shape=shape)))


def stride(array, axis):
    """Element stride of an axis, 0 along a batch axis of extent 1."""
    if axis == 0 and array.shape[0] == 1:
        return 0
    return array.strides[axis] // array.itemsize


def block_of(a, b, c, bias=None, accumulate=False):
    block = np.zeros(len(GemmArgument), np.int64)
    entries = {
        "A": a.ctypes.data,
        "B": b.ctypes.data,
        "C": c.ctypes.data,
        "BIAS": 0 if bias is None else bias.ctypes.data,
        "ROWS": c.shape[1],
        "COLUMNS": c.shape[2],
        "DEPTH": a.shape[2],
        "A_ROW_STRIDE": stride(a, 1),
        "A_COLUMN_STRIDE": stride(a, 2),
        "B_ROW_STRIDE": stride(b, 1),
        "B_COLUMN_STRIDE": stride(b, 2),
        "C_ROW_STRIDE": stride(c, 1),
        "A_BATCH_STRIDE": stride(a, 0),
        "B_BATCH_STRIDE": stride(b, 0),
        "C_BATCH_STRIDE": stride(c, 0),
        "ACCUMULATE": int(accumulate),
    }
    for name, value in entries.items():
        block[GemmArgument[name]] = value
    return block


def multiply(a, b, c=None, *, bias=None, accumulate=False, epilogue="none", cuts=(), shape=None):
    """Run the kernel on (batch, rows, columns) arrays, cutting the tasks at fractions in `cuts`."""
    dtype = a.dtype.name
    batch = max(a.shape[0], b.shape[0])
    rows, columns = a.shape[1], b.shape[2]
    if c is None:
        c = np.full((batch, rows, columns), 77, a.dtype)
    block = block_of(a, b, c, bias, accumulate)
    width = (shape or tile_shape(dtype)).columns
    count = batch * -(-rows // 64) * -(-columns // width)
    bounds = sorted({0, count, *(int(count * cut) for cut in cuts)})
    for lo, hi in itertools.pairwise(bounds):
        kernel(dtype, epilogue, shape)(block.ctypes.data, lo, hi)
    return c


def draw(rng, shape, dtype, layout="plain"):
    """Return random values in a layout: plain, transposed, sliced, strided or reversed."""
    *batch, rows, columns = shape
    if layout == "transposed":
        return np.swapaxes(draw(rng, (*batch, columns, rows), dtype), -1, -2)
    if layout == "sliced":
        return draw(rng, (*batch, rows + 3, columns + 5), dtype)[..., 2 : 2 + rows, 1 : 1 + columns]
    if layout == "strided":
        return draw(rng, (*batch, 2 * rows, 3 * columns), dtype)[..., ::2, ::3]
    if layout == "reversed":
        return draw(rng, shape, dtype)[..., ::-1, ::-1]
    if dtype.startswith("int"):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype=dtype)
    return rng.standard_normal(shape).astype(dtype)


def assert_product(actual, a, b, extra=0.0):
    if actual.dtype.kind == "i":
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(actual, np.matmul(a, b) + np.asarray(extra, actual.dtype))
        return
    exact = np.matmul(a.astype(np.longdouble), b.astype(np.longdouble)) + extra
    bound = np.matmul(np.abs(a).astype(np.longdouble), np.abs(b).astype(np.longdouble))
    bound = (bound + np.abs(extra)) * (a.shape[-1] + 3) * np.finfo(actual.dtype).eps
    assert (np.abs(actual - exact) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extents", EXTENTS, ids=str)
def test_product_of_any_extent_and_layout(dtype, extents):
    rng = np.random.default_rng(sum(extents))
    rows, depth, columns = extents
    layouts = ("plain", "transposed", "sliced", "strided", "reversed")
    for layout_a in layouts:
        for layout_b in layouts:
            a = draw(rng, (1, rows, depth), dtype, layout_a)
            b = draw(rng, (1, depth, columns), dtype, layout_b)
            assert_product(multiply(a, b), a, b)


@pytest.mark.parametrize("layouts", [("plain", "transposed"), ("transposed", "plain")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_product_with_several_blocks(dtype, layouts):
    rng = np.random.default_rng(3)
    a = draw(rng, (1, 401, 450), dtype, layouts[0])
    b = draw(rng, (1, 450, 1000), dtype, layouts[1])
    assert_product(multiply(a, b), a, b)


@pytest.mark.parametrize("shape", SMALLER_MACHINES, ids=TileShape.describe)
def test_register_tiles_of_smaller_machines_give_the_same_bits(shape):
    rng = np.random.default_rng(4)
    for rows, depth, columns in EXTENTS:
        if columns == 1:
            continue  # the order of a single column follows the lanes
        for layout in ("plain", "transposed"):
            a = draw(rng, (1, rows, depth), "float32", layout)
            b = draw(rng, (1, depth, columns), "float32", layout)
            np.testing.assert_array_equal(multiply(a, b, shape=shape), multiply(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_accumulate_starts_from_what_c_holds(dtype):
    rng = np.random.default_rng(5)
    for rows, depth, columns in EXTENTS:
        a, b = draw(rng, (1, rows, depth), dtype), draw(rng, (1, depth, columns), dtype)
        start = draw(rng, (1, rows, columns), dtype)
        actual = multiply(a, b, start.copy(), accumulate=True)
        assert_product(actual, a, b, start)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epilogue", ["bias", "bias_relu"])
def test_epilogue_follows_the_whole_sum(dtype, epilogue):
    rng = np.random.default_rng(6)
    for rows, depth, columns in [*EXTENTS, (20, 700, 60)]:
        a, b = draw(rng, (2, rows, depth), dtype), draw(rng, (1, depth, columns), dtype)
        bias = draw(rng, (1, columns), dtype)[0]
        plain = multiply(a, b)
        with np.errstate(over="ignore"):
            expected = plain + bias
        if epilogue == "bias_relu":
            expected = np.where(expected < 0, 0, expected)
        actual = multiply(a, b, bias=bias, epilogue=epilogue)
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("broadcast", ["none", "a", "b"])
def test_batches(broadcast):
    rng = np.random.default_rng(7)
    a = draw(rng, (1 if broadcast == "a" else 5, 70, 20), "float64")
    b = draw(rng, (1 if broadcast == "b" else 5, 20, 30), "float64", "transposed")
    actual = multiply(a, b, cuts=(0.3, 0.5))
    assert_product(actual, a, b)
    for index in range(5):
        one_a, one_b = a[index % len(a)][None], b[index % len(b)][None]
        np.testing.assert_array_equal(actual[index], multiply(one_a, one_b)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("extents", [(300, 500, 210), (129, 784, 64), (200, 33, 1)], ids=str)
def test_bits_do_not_depend_on_slicing_or_on_other_rows(dtype, extents):
    rng = np.random.default_rng(8)
    rows, depth, columns = extents
    for layout in ("plain", "transposed"):
        a = draw(rng, (1, rows, depth), dtype)
        b = draw(rng, (1, depth, columns), dtype, layout)
        whole = multiply(a, b)
        every_task = np.linspace(0, 1, 200)
        np.testing.assert_array_equal(whole, multiply(a, b, cuts=every_task))
        np.testing.assert_array_equal(whole, multiply(a, b, cuts=(0.37, 0.61)))
        for row in (0, 17, rows - 1):
            alone = multiply(a[:, row : row + 1], b)
            np.testing.assert_array_equal(whole[:, row : row + 1], alone)


@pytest.mark.parametrize("columns", [5, 40, 150])
@pytest.mark.parametrize("layout", ["plain", "transposed"])
def test_any_number_of_rows_gives_the_bits_of_each_row_alone(columns, layout):
    rng = np.random.default_rng(12)
    b, start = draw(rng, (1, 230, columns), "float32"), draw(rng, (1, 40, columns), "float32")
    everything = draw(rng, (1, 40, 230), "float32", layout)
    alone = [
        multiply(everything[:, k : k + 1], b, start[:, k : k + 1].copy(), accumulate=True)
        for k in range(40)
    ]
    for rows in range(1, 41):
        c = start[:, :rows].copy()
        multiply(everything[:, :rows], b, c, accumulate=True)
        np.testing.assert_array_equal(c[0], np.concatenate(alone[:rows], axis=1)[0])


def test_bits_do_not_depend_on_other_columns_or_on_layout():
    rng = np.random.default_rng(9)
    a, b = draw(rng, (1, 90, 400), "float32"), draw(rng, (1, 400, 333), "float32")
    whole = multiply(a, b)
    np.testing.assert_array_equal(whole[..., 100:150], multiply(a, b[..., 100:150]))
    np.testing.assert_array_equal(whole, multiply(np.asfortranarray(a[0])[None], b))
    np.testing.assert_array_equal(whole, multiply(a, np.asfortranarray(b[0])[None]))


def test_order_of_a_sum_is_ascending_k_with_one_rounding_each():
    rng = np.random.default_rng(10)
    a, b = draw(rng, (1, 3, 450), "float32"), draw(rng, (1, 450, 5), "float32")
    total = np.zeros((3, 5), np.float32)
    for k in range(450):
        # A float32 product is exact in float64, so only the last rounding remains to be done twice;
        # the longdouble sum keeps that harmless.
        term = np.outer(a[0, :, k].astype(np.longdouble), b[0, k].astype(np.longdouble))
        total = (total.astype(np.longdouble) + term).astype(np.float32)
    np.testing.assert_array_equal(multiply(a, b)[0], total)


@pytest.mark.parametrize("columns", [1, 20])
def test_nan_and_infinity_stay_in_their_rows_and_columns(columns):
    a = np.ones((1, 40, 30), np.float32)
    b = np.ones((1, 30, columns), np.float32)
    a[0, 3, 4], a[0, 5, 6], a[0, 7, :2] = np.nan, np.inf, (np.inf, -np.inf)
    c = multiply(a, b)[0]
    assert np.isnan(c[3]).all() and np.isnan(c[7]).all() and (c[5] == np.inf).all()
    others = np.delete(c, (3, 5, 7), axis=0)
    assert (others == 30).all()
    bias = np.zeros(columns, np.float32)
    assert np.isnan(multiply(a, b, bias=bias, epilogue="bias_relu")[0, 3]).all()


def test_nothing_outside_c_is_written():
    rng = np.random.default_rng(11)
    for rows, depth, columns in EXTENTS:
        frame = np.full((1, rows + 2, columns + 20), 5, np.float32)
        c = frame[:, 1 : 1 + rows, 10 : 10 + columns]
        multiply(
            draw(rng, (1, rows, depth), "float32"), draw(rng, (1, depth, columns), "float32"), c
        )
        c[...] = 5
        assert (frame == 5).all()


def test_task_count_is_the_documented_formula():
    rows, columns = gemm_task_shape("float32")
    assert gemm_task_count("float32", 3, 2 * rows + 1, columns) == 3 * 3 * 1
    assert gemm_task_count("float32", 3, 0, 5) == 0
    assert gemm_task_count("float32", 0, 5, 5) == 0


def test_register_tile_follows_the_features():
    assert tile_shape("float32", {"avx512f": True, "avx2": True, "fma": True}).lanes == 16
    assert tile_shape("float64", {"avx2": True, "fma": True}).lanes == 4
    assert tile_shape("float64", {}).lanes == 2


def test_unknown_dtype_and_epilogue_are_refused():
    with pytest.raises(ValueError, match="no matrix product for dtype 'bool'"):
        gemm_source("bool")
    with pytest.raises(ValueError, match="unknown epilogue 'gelu'"):
        gemm_source("float32", epilogue="gelu")
