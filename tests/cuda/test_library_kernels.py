"""Gather and scatter_add on the emulated GPU, and what `compile` makes of indices."""

import itertools
import math

import numpy as np
import pytest

import symgraph as sg
from symgraph.compiler.cuda.gather import gather_kernel
from symgraph.compiler.cuda.scatter import PENDING, scatter_add_kernel, tile_columns, tile_rows
from tests.cuda.library_harness import DTYPES, NUMBERS, agree, joined, needs_compiler, written
from tests.runtime.guarded import fenced, random_array

CODE = 7

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


def test_an_index_out_of_range_is_told(cuda):
    table, ids = sg.Placeholder("t", (4, 3), "float32"), sg.Placeholder("i", ("N",), "int64")
    function = sg.compile(sg.take(table, ids, axis=0), inputs=[table, ids], device="cuda")
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(function(rows, np.array([-4, 3])), rows[[0, 3]])
    with pytest.raises(sg.BoundsError, match="index 4 is out of bounds"):
        function(rows, np.array([0, 4]))
