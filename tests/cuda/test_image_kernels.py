"""Pooling and the windows of images on the emulated GPU, against the references."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.compiler.cuda.patches import Geometry, col2im_kernel, im2col_kernel
from symgraph.compiler.cuda.pooling import (
    Window,
    max_pool_kernel,
    max_pool_scatter_kernel,
    max_pool_select_kernel,
    window_mean_kernel,
    window_spread_kernel,
)
from symgraph.ops.average_pooling import WINDOW_MEAN2D, WINDOW_SPREAD2D
from symgraph.ops.max_pooling import MAX_POOL2D, MAX_POOL2D_SCATTER, MAX_POOL2D_SELECT
from symgraph.ops.patches import COL2IM, IM2COL
from symgraph.ops.windows import conv_outsize
from tests.cuda.library_harness import (
    DTYPES,
    FLOATS,
    NUMBERS,
    agree,
    joined,
    needs_compiler,
    written,
)
from tests.runtime.guarded import fenced, random_array

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
