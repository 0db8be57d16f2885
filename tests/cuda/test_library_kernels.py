"""Kernels of library ops in CUDA C, emulated, against NumPy; then as `compile` uses them."""

import itertools
import math

import numpy as np
import pytest

import symgraph as sg
from symgraph.compiler.cuda import arg_reduce, scan
from symgraph.compiler.cuda.gather import gather_kernel
from symgraph.compiler.cuda.patches import Geometry, col2im_kernel, im2col_kernel
from symgraph.compiler.cuda.pieces import pieces_of
from symgraph.compiler.cuda.pooling import (
    Window,
    max_pool_kernel,
    max_pool_scatter_kernel,
    max_pool_select_kernel,
    window_mean_kernel,
    window_spread_kernel,
)
from symgraph.compiler.cuda.scatter import PENDING, scatter_add_kernel, tile_columns, tile_rows
from symgraph.ops.average_pooling import WINDOW_MEAN2D, WINDOW_SPREAD2D
from symgraph.ops.max_pooling import MAX_POOL2D, MAX_POOL2D_SCATTER, MAX_POOL2D_SELECT
from symgraph.ops.patches import COL2IM, IM2COL
from symgraph.ops.windows import conv_outsize
from symgraph.runtime.cuda.prelude import PRELUDE
from tests.cuda.emulator import Emulator, compiler
from tests.runtime.guarded import Guarded, fenced, random_array, word

NUMBERS = ("int32", "int64", "float32", "float64")
FLOATS = NUMBERS[2:]
DTYPES = ("bool", *NUMBERS)
CODE = 7

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no g++ on PATH")


def joined(*kernels):
    """Return a module of kernels."""
    codes = {kernel.name: kernel.code for kernel in kernels}
    return Emulator.load("\n".join([PRELUDE, *codes.values()]))


def run(module, kernel, *arguments, reverse=False):
    """Run one kernel on arrays and numbers."""
    words = [word(argument) for argument in arguments]
    assert len(words) == kernel.words
    launch = kernel.launch(words)
    if 0 not in launch.grid:
        module.launch(
            kernel.name, launch.grid, launch.block, [*words, 0], launch.shared, reverse=reverse
        )


def written(module, kernel, before, shape, dtype, after):
    """Return what a kernel writes, whichever block and thread come first, and nothing around it."""
    results = []
    for reverse in (False, True):
        out = Guarded(shape, dtype)
        run(module, kernel, *before, out.array, *after, reverse=reverse)
        out.check()
        results.append(out.array)
    assert results[0].tobytes() == results[1].tobytes()
    return results[0]


# Gather and scatter_add.

INDEX_CASES = [(("int64",), (5,)), (("int32",), (1,)), (("int32", "int64"), (3, 4))]
WIDTHS = (0, 1, 3, 31, 32, 33, 64, 200)


def indices_of(rng, index_dtypes, extents, count):
    return [
        rng.integers(-extent, extent, count).astype(dtype)
        for dtype, extent in zip(index_dtypes, extents, strict=True)
    ]


def gathered(module, x, indices, out_of_range=False):
    rank, count = len(indices), indices[0].size
    leading, width = x.shape[:rank], x.shape[-1]
    status = np.zeros(1, np.int64)
    kernel = gather_kernel(str(x.dtype), tuple(str(index.dtype) for index in indices))
    after = (*indices, count, *leading, width, status, CODE)
    out = written(module, kernel, (fenced(x, at_end=True),), (count, width), x.dtype, after)
    assert status[0] == (CODE if out_of_range else 0)
    return out


def scattered(module, updates, indices, extents, out_of_range=False):
    count, width = updates.shape
    status = np.zeros(1, np.int64)
    kernel = scatter_add_kernel(
        str(updates.dtype), tuple(str(index.dtype) for index in indices), tile_columns(width)
    )
    tiles = tile_rows(math.prod(extents), width)
    after = (*indices, count, *extents, width, status, CODE, *tiles)
    near = fenced(updates, at_end=True)
    out = written(module, kernel, (near,), (*extents, width), updates.dtype, after)
    assert status[0] == (CODE if out_of_range else 0)
    return out


def summed(updates, indices, extents):
    out = np.zeros((*extents, updates.shape[1]), updates.dtype)
    np.add.at(out, tuple(indices), updates)
    return out


@pytest.fixture(scope="module")
def gathers():
    return joined(
        *(
            gather_kernel(dtype, dtypes)
            for dtype in ("bool", "float32", "float64")
            for dtypes, _ in INDEX_CASES
        )
    )


@pytest.fixture(scope="module")
def scatters():
    return joined(
        *(scatter_add_kernel("int32", dtypes, 16) for dtypes, _ in INDEX_CASES),
        *(
            scatter_add_kernel(dtype, ("int64",), columns)
            for dtype in NUMBERS
            for columns in (1, 4, 16)
        ),
    )


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("index_dtypes", "extents"), INDEX_CASES)
def test_gather_is_indexing(gathers, dtype, index_dtypes, extents):
    rng = np.random.default_rng(1)
    for width, count in itertools.product(WIDTHS, (0, 1, 33)):
        x = random_array(rng, dtype, (*extents, width))
        indices = indices_of(rng, index_dtypes, extents, count)
        np.testing.assert_array_equal(gathered(gathers, x, indices), x[tuple(indices)])


@needs_compiler
def test_gather_of_rows_that_do_not_lie_on_packs(gathers):
    base = np.arange(8 * 7 + 1, dtype=np.float32)
    x, ids = base[1:].reshape(7, 8), np.arange(-7, 7)
    kernel = gather_kernel("float32", ("int64",))
    for at_end in (True, False):
        moved = fenced(base, at_end=at_end)[1:]
        after = (ids, ids.size, 7, 8, np.zeros(1, np.int64), CODE)
        out = written(gathers, kernel, (moved,), (14, 8), "float32", after)
        np.testing.assert_array_equal(out, x[ids])


OUTSIDE = [2**62, -(2**63), 2**63 - 1, 4, -5]


@needs_compiler
@pytest.mark.parametrize("width", [0, 1, 5, 8])
def test_gather_out_of_range_gives_zeros_and_reports(gathers, width):
    x = np.ones((4, width), np.float32)
    for index in OUTSIDE:
        ids = np.array([1, index, -4])
        out = gathered(gathers, x, [ids], out_of_range=True)
        np.testing.assert_array_equal(out, np.array([[1], [0], [1]]) * np.ones(width))
    first, second = np.array([0, 9], np.int32), np.array([0, 0])
    pairs = np.ones((3, 4, width), np.float32)
    out = gathered(gathers, pairs, [first, second], out_of_range=True)
    np.testing.assert_array_equal(out, np.array([[1], [0]]) * np.ones(width))


@needs_compiler
@pytest.mark.parametrize("dtype", NUMBERS)
def test_scatter_add_is_numpys_sum_in_order(scatters, dtype):
    rng = np.random.default_rng(2)
    for width, rows, count in itertools.product((1, 3, 33), (1, 31, 700), (0, 33, 300)):
        updates = random_array(rng, dtype, (count, width))
        indices = indices_of(rng, ("int64",), (rows,), count)
        out = scattered(scatters, updates, indices, (rows,))
        assert out.tobytes() == summed(updates, indices, (rows,)).tobytes()


@needs_compiler
@pytest.mark.parametrize(("index_dtypes", "extents"), INDEX_CASES)
def test_scatter_add_at_several_indices(scatters, index_dtypes, extents):
    rng = np.random.default_rng(3)
    for width in (9, 40):
        updates = random_array(rng, "int32", (50, width))
        indices = indices_of(rng, index_dtypes, extents, 50)
        out = scattered(scatters, updates, indices, extents)
        np.testing.assert_array_equal(out, summed(updates, indices, extents))


@needs_compiler
@pytest.mark.parametrize("width", [1, 20])
def test_scatter_add_of_more_hits_than_a_block_notes(scatters, width):
    rng = np.random.default_rng(4)
    count = 2 * PENDING + 77
    updates = random_array(rng, "float32", (count, width))
    for rows in (1, 3):
        indices = indices_of(rng, ("int64",), (rows,), count)
        out = scattered(scatters, updates, indices, (rows,))
        assert out.tobytes() == summed(updates, indices, (rows,)).tobytes()


@needs_compiler
def test_scatter_add_out_of_range_adds_nothing_and_reports(scatters):
    updates = np.ones((3, 4), np.float64)
    for index in OUTSIDE:
        out = scattered(scatters, updates, [np.array([1, index, -4])], (4,), out_of_range=True)
        np.testing.assert_array_equal(out, np.array([[1], [1], [0], [0]]) * np.ones(4))
    scattered(scatters, updates, [np.array([0, 0, 0])], (0,), out_of_range=True)


def test_a_tile_of_an_embedding_keeps_all_processors_busy():
    rows, tiles = tile_rows(50_000, 256)
    assert tiles * 16 <= 512 <= tiles * 16 + 32
    assert rows * tiles >= 50_000
    assert tile_rows(0, 4) == (1, 1)
    assert tile_rows(10, 1 << 20)[1] == 1
    assert [tile_columns(width) for width in (1, 2, 3, 16, 17)] == [1, 2, 4, 16, 16]


# Walks along an axis.

AXES = [(1, 1, 1), (2, 31, 1), (3, 32, 1), (40, 33, 1), (2, 300, 1), (1, 0, 1), (0, 5, 1)]
AXES += [(1, 2048, 1), (2, 2049, 1), (1, 9000, 1)]
AXES += [(1, 33, 2), (2, 31, 33), (1, 1, 5), (2, 0, 3), (0, 3, 2), (2, 700, 3)]


def cumulated(module, x, cut):
    """Return running sums along the middle axis, in pieces of an extent or in one."""
    dtype, (outer, length, inner) = str(x.dtype), x.shape
    wide, rows = ("float64" if dtype == "float32" else dtype), inner == 1
    pieces = -(-length // cut)
    partial = np.zeros(outer * pieces * inner, wide)
    extents = (outer, length, inner, cut, pieces, partial)
    run(module, scan.totals_kernel(dtype, rows=rows), x, np.zeros_like(x), *extents)
    scanned = (partial, partial, outer, pieces, inner, max(pieces, 1), 1, 0)
    run(module, scan.cumsum_kernel(wide, rows=rows), *scanned)
    return written(
        module, scan.cumsum_kernel(dtype, rows=rows), (fenced(x, at_end=True),), x.shape, dtype,
        extents,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scans():
    return joined(
        *(
            make(dtype, rows=rows)
            for make in (scan.totals_kernel, scan.cumsum_kernel)
            for dtype in NUMBERS
            for rows in (True, False)
        )
    )


@needs_compiler
@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", AXES)
def test_running_sums(scans, dtype, shape):
    x = random_array(np.random.default_rng(5), dtype, shape)
    if x.size:
        x[0, 0] = -0.0
    exact = np.cumsum(x, 1, "float64" if dtype == "float32" else dtype).astype(dtype)
    tolerance = {"float32": 1e-7, "float64": 1e-13}.get(dtype, 0)
    smallest = scan.ROW_CHUNK if shape[2] == 1 else scan.COLUMN_CHUNK
    for cut in {smallest, max(shape[1], 1)}:
        found = cumulated(scans, x, cut)
        if dtype in FLOATS:
            np.testing.assert_allclose(found, exact, rtol=tolerance, atol=tolerance * 10)
            assert np.signbit(found[:, :1]).tolist() == np.signbit(x[:, :1]).tolist()
        else:
            np.testing.assert_array_equal(found, exact)


@needs_compiler
def test_running_sums_keep_what_is_not_finite(scans):
    x = np.ones((2, 5000, 1), np.float32)
    x[0, 3000], x[1, 10], x[1, 4000] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        wanted = np.cumsum(x, 1)
    np.testing.assert_array_equal(cumulated(scans, x, scan.ROW_CHUNK), wanted)


@pytest.fixture(scope="module")
def searches():
    return joined(
        *(
            arg_reduce.arg_reduce_kernel(name, dtype, rows=rows)
            for name in ("argmax", "argmin")
            for dtype in DTYPES
            for rows in (True, False)
        ),
        *(arg_reduce.meet_kernel(name, dtype) for name in ("argmax", "argmin") for dtype in DTYPES),
    )


def found_in(module, name, x, cut):
    dtype, (outer, length, inner) = str(x.dtype), x.shape
    pieces = -(-length // cut)
    places = np.zeros(outer * pieces * inner, np.int64)
    near, extents = fenced(x, at_end=True), (outer, length, inner, cut, pieces, places)
    kernel = arg_reduce.arg_reduce_kernel(name, dtype, rows=inner == 1)
    if pieces == 1:
        return written(module, kernel, (near,), (outer, inner), "int64", extents)
    run(module, kernel, near, np.zeros((outer, inner), np.int64), *extents)
    meet = arg_reduce.meet_kernel(name, dtype)
    return written(module, meet, (near,), (outer, inner), "int64", extents)


@needs_compiler
@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_positions_of_extremes(searches, name, dtype):
    rng = np.random.default_rng(6)
    for shape in AXES:
        if not shape[1]:
            continue
        plain = random_array(rng, dtype, shape)
        several = rng.integers(0, 3, shape).astype(dtype)
        arrays = [plain, several, np.zeros(shape, dtype)]
        if dtype in FLOATS:
            arrays.append(np.where(rng.random(shape) < 0.1, np.nan, several).astype(dtype))
            arrays += [np.full(shape, value, dtype) for value in (np.inf, -np.inf, np.nan)]
        for x, cut in itertools.product(arrays, {shape[1], 70 if shape[2] == 1 else 20}):
            wanted = getattr(np, name)(x, axis=1)
            np.testing.assert_array_equal(found_in(searches, name, x, cut), wanted)


def test_pieces_of_an_axis():
    many = pieces_of((4096, 1000), 1, 2048, 64)
    assert (many.piece, many.number) == (2048, 1)
    assert pieces_of((4096, 100_000), 1, 2048, 64).number == 1
    long = pieces_of((1 << 24,), 0, 2048, 64)
    assert long.number == 512
    assert long.number * long.piece >= long.length
    few = pieces_of((1, 1 << 20, 2), 1, 2048, 64)
    assert few.number == 512
    assert pieces_of((64, 100, 4096), 1, 2048, 64).number == 1
    assert pieces_of((0, 5000), 1, 2048, 64).number == 3


# Windows of images.

WINDOWS = {
    "tiles": Window((2, 2), (2, 2), (0, 0)),
    "overlapping": Window((3, 3), (2, 2), (1, 1)),
    "wide": Window((2, 5), (1, 2), (1, 4)),
    "far apart": Window((2, 2), (3, 4), (1, 0)),
    "large": Window((9, 10), (4, 3), (8, 9)),
}
SIZES = ((2, 4), (5, 9), (4, 37), (21, 34))
CASES = [(name, "float32") for name in WINDOWS]
CASES += [("overlapping", dtype) for dtype in ("bool", "int32", "int64", "float64")]
MAKERS = (
    (max_pool_kernel, DTYPES), (max_pool_select_kernel, DTYPES), (max_pool_scatter_kernel, NUMBERS),
    (window_mean_kernel, FLOATS), (window_spread_kernel, FLOATS),
)  # fmt: skip


@pytest.fixture(scope="module")
def pools():
    return joined(
        *(
            make(dtype, WINDOWS[name])
            for name, dtype in CASES
            for make, dtypes in MAKERS
            if dtype in dtypes
        )
    )


def planes_of(rng, dtype, shape):
    """Return small whole numbers, of which many are equal, with NaN and -inf among floats."""
    x = rng.integers(0 if dtype == "bool" else -3, 4, shape).astype(dtype)
    if dtype in FLOATS and rng.random() < 0.5:
        x[rng.random(shape) < 0.1] = np.nan
        x[rng.random(shape) < 0.5] = -np.inf
    return x


@needs_compiler
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_pooling(pools, name, dtype):
    rng, window = np.random.default_rng(7), WINDOWS[name]
    attrs = {"kernel": window.kernel, "stride": window.stride, "pad": window.pad}

    def check(make, op, arrays, extents, **more):
        near = [fenced(array, at_end=True) for array in arrays]
        wanted = op.numpy(*arrays, **attrs, **more)
        after = (*extents, 6)
        out = written(pools, make(dtype, window), near, wanted.shape, dtype, after)
        tolerance = 4 * np.finfo(dtype).eps if op in (WINDOW_MEAN2D, WINDOW_SPREAD2D) else 0
        np.testing.assert_allclose(out, wanted, rtol=tolerance, atol=tolerance * 4)

    for size in SIZES:
        if any(s + 2 * p < k for s, p, k in zip(size, window.pad, window.kernel, strict=True)):
            continue
        outsize = tuple(map(conv_outsize, size, window.kernel, window.stride, window.pad))
        shape, pooled, extents = (2, 3, *size), (2, 3, *outsize), (*size, *outsize)
        x, values = planes_of(rng, dtype, shape), planes_of(rng, dtype, shape)
        check(max_pool_kernel, MAX_POOL2D, [x], extents)
        check(max_pool_select_kernel, MAX_POOL2D_SELECT, [values, x], extents)
        if dtype != "bool":
            g = random_array(rng, dtype, pooled)
            check(max_pool_scatter_kernel, MAX_POOL2D_SCATTER, [g, x], extents)
        if dtype in FLOATS:
            x, g = (random_array(rng, dtype, s) for s in (shape, pooled))
            check(window_mean_kernel, WINDOW_MEAN2D, [x], extents)
            check(window_spread_kernel, WINDOW_SPREAD2D, [g], extents, shape=shape)


GEOMETRIES = [
    Geometry((3, 3), (1, 1), (1, 1), (1, 1)),
    Geometry((2, 3), (2, 2), (0, 2), (1, 1)),
    Geometry((2, 2), (1, 3), (2, 5), (2, 3)),
    Geometry((1, 19), (1, 1), (0, 20), (1, 1)),
]
PATCHES = [(geometry, "float32") for geometry in GEOMETRIES]
PATCHES += [(GEOMETRIES[1], dtype) for dtype in ("bool", "int64", "float64", "int32")]


@pytest.fixture(scope="module")
def patches():
    return joined(
        *(
            make(dtype, geometry, to_matrix=to_matrix)
            for geometry, dtype in PATCHES
            for make in (im2col_kernel, col2im_kernel)
            for to_matrix in (True, False)
            if make is im2col_kernel or dtype != "bool"
        )
    )


@needs_compiler
@pytest.mark.parametrize(("geometry", "dtype"), PATCHES)
@pytest.mark.parametrize("to_matrix", [True, False])
def test_windows_as_arrays(patches, geometry, dtype, to_matrix):
    rng = np.random.default_rng(8)
    attrs = {name: getattr(geometry, name) for name in ("kernel", "stride", "pad", "dilation")}
    attrs["to_matrix"] = to_matrix
    for size, count in (((4, 4), 2), ((3, 39), 2), ((5, 6), 0)):
        outsize = tuple(
            map(conv_outsize, size, *(attrs[n] for n in ("kernel", "stride", "pad", "dilation")))
        )
        shape, extents = (count, 3, *size), (3, *size, *outsize)
        x = random_array(rng, dtype, shape)
        wanted = IM2COL.numpy(x, **attrs)
        tasks = count * (outsize[0] if to_matrix else 3)
        kernel = im2col_kernel(dtype, geometry, to_matrix=to_matrix)
        near = (fenced(x, at_end=True),)
        out = written(patches, kernel, near, wanted.shape, dtype, (*extents, tasks))
        np.testing.assert_array_equal(out, wanted)
        if dtype == "bool":
            continue
        windows = random_array(rng, dtype, wanted.shape)
        kernel = col2im_kernel(dtype, geometry, to_matrix=to_matrix)
        near = (fenced(windows, at_end=True),)
        out = written(patches, kernel, near, shape, dtype, (*extents, count * 3))
        folded = COL2IM.numpy(windows, shape=shape, **attrs)
        np.testing.assert_allclose(out, folded, rtol=1e-6, atol=1e-6)
        if not to_matrix:
            np.testing.assert_array_equal(out, folded)


# Through the compiler.


def agree(nodes, feeds, arrays, rtol):
    """Compare nodes, and their gradients in the floats among the feeds, with the host's."""
    floats = [node for node in nodes if node.type.element in FLOATS]
    total = sum((sg.sum(sg.sin(node)) for node in floats), start=0.0)
    outputs = [*nodes, *sg.grad(total, [feed for feed in feeds if feed.type.element in FLOATS])]
    host, device = (
        sg.compile(outputs, inputs=feeds, device=name)(*arrays) for name in ("cpu", "cuda")
    )
    for number, (found, expected) in enumerate(zip(device, host, strict=True)):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol, err_msg=str(number))


@pytest.mark.parametrize("is_open", [False, True])
def test_indices_and_walks_compiled(cuda, is_open):
    rng = np.random.default_rng(9)
    table, ids = rng.normal(size=(50, 24)).astype(np.float32), rng.integers(-50, 50, (5, 7))
    long, wide = rng.normal(size=5000), rng.normal(size=(3, 200, 2))
    arrays = (table, ids, long, wide)
    feeds = [
        sg.Placeholder(f"x{i}", (None,) * x.ndim if is_open else x.shape, str(x.dtype))
        for i, x in enumerate(arrays)
    ]
    t, i, x, w = feeds
    nodes = [
        sg.take(t, i, axis=0),
        t[i[0], i[1] % 24],
        sg.cumsum(x),
        sg.cumsum(w, axis=1),
        sg.cumsum(i, axis=0),
        sg.cumsum(w[:, :, ::-1], axis=2),
        sg.argmax(x),
        sg.argmin(w, axis=1),
        sg.argmax(w > 0, axis=2),
        sg.concatenate([w, w[:, 3:5] * 2], axis=1),
    ]
    agree(nodes, feeds, arrays, 2e-5)


def test_images_compiled(cuda):
    x = np.random.default_rng(10).normal(size=(3, 2, 9, 8))
    feed = sg.Placeholder("x", ("N", 2, "H", 8), "float64")
    pooled = sg.nn.max_pool2d(feed, 3, 2, 1)
    (slope,) = sg.grad(sg.sum(pooled * pooled), [feed])
    nodes = [
        pooled,
        slope,
        sg.nn.average_pool2d(feed, (2, 3), (2, 1), (1, 2)),
        sg.nn.average_pool2d(feed, 3, 1, 1),
        sg.nn.im2col(feed, 3, (1, 2), 1, (1, 2)),
        sg.nn.im2col(feed, (2, 3), 1, (0, 1), 1, to_matrix=False),
    ]
    agree(nodes, [feed], (x,), 1e-12)


def test_an_index_out_of_range_is_told(cuda):
    table, ids = sg.Placeholder("t", (4, 3), "float32"), sg.Placeholder("i", ("N",), "int64")
    function = sg.compile(sg.take(table, ids, axis=0), inputs=[table, ids], device="cuda")
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(function(rows, np.array([-4, 3])), rows[[0, 3]])
    with pytest.raises(sg.BoundsError, match="index 4 is out of bounds"):
        function(rows, np.array([0, 4]))


def test_an_empty_axis_has_no_extreme(cuda):
    x = sg.Placeholder("x", ("N", 3), "float32")
    function = sg.compile(sg.argmax(x, axis=0), inputs=[x], device="cuda")
    assert function(np.ones((2, 3), np.float32)).tolist() == [0, 0, 0]
    with pytest.raises(sg.FeedError, match=r"argmax: axis 0 of .* is empty"):
        function(np.ones((0, 3), np.float32))
