"""Running sums and positions of extremes on the emulated GPU, against NumPy."""

import itertools

import numpy as np
import pytest

import symgraph as sg
from symgraph.compiler.cuda import arg_reduce, scan
from symgraph.compiler.cuda.pieces import pieces_of
from tests.cuda.library_harness import DTYPES, FLOATS, NUMBERS, joined, needs_compiler, run, written
from tests.runtime.guarded import fenced, random_array

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


def test_an_empty_axis_has_no_extreme(cuda):
    x = sg.Placeholder("x", ("N", 3), "float32")
    function = sg.compile(sg.argmax(x, axis=0), inputs=[x], device="cuda")
    assert function(np.ones((2, 3), np.float32)).tolist() == [0, 0, 0]
    with pytest.raises(sg.FeedError, match=r"argmax: axis 0 of .* is empty"):
        function(np.ones((0, 3), np.float32))
