"""The kernels of pooling and of windows as arrays, against the references of their ops."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from symgraph.ops.average_pooling import WINDOW_MEAN2D, WINDOW_SPREAD2D
from symgraph.ops.max_pooling import MAX_POOL2D, MAX_POOL2D_SCATTER, MAX_POOL2D_SELECT
from symgraph.ops.patches import COL2IM, IM2COL
from symgraph.ops.windows import conv_outsize
from symgraph.runtime.jit import compile_kernel
from symgraph.runtime.kernels.patches import col2im_source, im2col_source
from symgraph.runtime.kernels.pooling import (
    Window,
    max_pool_scatter_source,
    max_pool_select_source,
    max_pool_source,
    window_mean_source,
    window_spread_source,
)
from symgraph.runtime.loader import _ElfImage
from tests.runtime.guarded import fenced, run_both_ways

NUMBERS = ("int32", "int64", "float32", "float64")
FLOATS = ("float32", "float64")
WINDOWS = {
    "tiles": Window((2, 2), (2, 2), (0, 0)),
    "tall tiles": Window((3, 2), (3, 2), (0, 0)),
    "overlapping": Window((3, 3), (2, 2), (1, 1)),
    "dense": Window((3, 3), (1, 1), (1, 1)),
    "wide": Window((2, 5), (1, 2), (1, 4)),
    "single": Window((1, 1), (2, 2), (0, 0)),
    "far apart": Window((2, 2), (3, 4), (1, 0)),
    "large": Window((9, 10), (4, 3), (8, 9)),
    "tall": Window((20, 2), (1, 1), (3, 1)),
}
SIZES = ((2, 4), (5, 9), (4, 37), (21, 66))


def sizes_for(window):
    """Return plane sizes that hold a window, with the sizes of their planes of windows."""
    for size in SIZES:
        padded = [extent + 2 * pad for extent, pad in zip(size, window.pad, strict=True)]
        if all(e >= k for e, k in zip(padded, window.kernel, strict=True)):
            yield size, tuple(map(conv_outsize, size, window.kernel, window.stride, window.pad))


def planes_of(rng, dtype, shape):
    """Return small whole numbers, of which many are equal, with NaN and -inf among floats."""
    x = rng.integers(0 if dtype == "bool" else -3, 4, shape).astype(dtype)
    if dtype in FLOATS and rng.random() < 0.5:
        x[rng.random(shape) < 0.1] = np.nan
        x[rng.random(shape) < 0.5] = -np.inf
    return x


def check(rng, source, op, arrays, result_shape, extents, window, **attrs):
    """Run a kernel on arrays with nothing after them, then nothing before them."""
    (kernel, stride, pad), dtype = (window.kernel, window.stride, window.pad), arrays[-1].dtype
    expected = op.numpy(*arrays, kernel=kernel, stride=stride, pad=pad, **attrs)
    assert expected.shape == result_shape
    for at_end in (True, False):
        given = [fenced(array, at_end=at_end) for array in arrays]
        out = run_both_ways(
            source,
            lambda out, given=given: (*given, out, *extents),
            result_shape,
            dtype,
            result_shape[0] * result_shape[1],
            rng,
        )
        if op in (WINDOW_MEAN2D, WINDOW_SPREAD2D):
            tolerance = 4 * np.finfo(dtype).eps
            np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance * 4)
        else:
            np.testing.assert_array_equal(out, expected)


FEW = ("tiles", "overlapping", "large")
"""Windows of each way in which kernels are written: registers, vectors, one by one."""
MAX_CASES = [(name, "float32") for name in WINDOWS]
MAX_CASES += [(name, "float64") for name in FEW]
MAX_CASES += [("tiles", "bool"), ("tiles", "int64"), ("overlapping", "int32"), ("large", "int64")]
MEAN_CASES = [(name, "float32") for name in WINDOWS] + [(name, "float64") for name in FEW]


@pytest.mark.parametrize(("name", "dtype"), MAX_CASES)
def test_max_pooling(name, dtype):
    rng, window = np.random.default_rng(0), WINDOWS[name]
    for size, outsize in sizes_for(window):
        shape, pooled, extents = (2, 3, *size), (2, 3, *outsize), (*size, *outsize)
        x, values = planes_of(rng, dtype, shape), planes_of(rng, dtype, shape)
        check(rng, max_pool_source(dtype, window), MAX_POOL2D, [x], pooled, extents, window)
        source = max_pool_select_source(dtype, window)
        check(rng, source, MAX_POOL2D_SELECT, [values, x], pooled, extents, window)
        if dtype != "bool":
            g = rng.integers(-9, 9, pooled).astype(dtype)
            source = max_pool_scatter_source(dtype, window)
            check(rng, source, MAX_POOL2D_SCATTER, [g, x], shape, extents, window)


@pytest.mark.parametrize(("name", "dtype"), MEAN_CASES)
def test_average_pooling(name, dtype):
    rng, window = np.random.default_rng(0), WINDOWS[name]
    for size, outsize in sizes_for(window):
        shape, pooled, extents = (2, 3, *size), (2, 3, *outsize), (*size, *outsize)
        x, g = (rng.normal(size=s).astype(dtype) for s in (shape, pooled))
        source = window_mean_source(dtype, window)
        check(rng, source, WINDOW_MEAN2D, [x], pooled, extents, window)
        source = window_spread_source(dtype, window)
        check(rng, source, WINDOW_SPREAD2D, [g], shape, extents, window, shape=shape)


GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1), (1, 1)),
    ((2, 3), (2, 2), (0, 2), (1, 1)),
    ((2, 2), (1, 3), (2, 5), (2, 3)),
    ((1, 19), (1, 1), (0, 20), (1, 1)),
]


PATCHES = [(geometry, "float32") for geometry in GEOMETRIES]
PATCHES += [(GEOMETRIES[1], dtype) for dtype in ("bool", "int64")]


@pytest.mark.parametrize(("geometry", "dtype"), PATCHES)
@pytest.mark.parametrize("to_matrix", [True, False])
@pytest.mark.parametrize("size", [(4, 4), (3, 39)])
def test_windows_as_arrays(geometry, dtype, to_matrix, size):
    rng, names = np.random.default_rng(0), ("kernel", "stride", "pad", "dilation")
    attrs = {**dict(zip(names, geometry, strict=True)), "to_matrix": to_matrix}
    step = (attrs["dilation"] if to_matrix else attrs["stride"])[1]
    shape, outsize = (2, 3, *size), tuple(map(conv_outsize, size, *geometry))
    extents = (3, *size, *outsize, *itertools.chain(*geometry))
    x = rng.integers(0 if dtype == "bool" else -9, 9, shape).astype(dtype)
    expected = IM2COL.numpy(x, **attrs)

    def found(source, given, result_shape, tasks):
        for at_end in (True, False):
            near = fenced(given, at_end=at_end)
            yield run_both_ways(
                source, lambda out, near=near: (near, out, *extents),
                result_shape, dtype, tasks, rng,
            )  # fmt: skip

    tasks = 2 * (outsize[0] if to_matrix else 3)
    source = im2col_source(dtype, to_matrix, step)
    for out in found(source, x, expected.shape, tasks):
        np.testing.assert_array_equal(out, expected)
    if dtype != "bool":
        source = col2im_source(dtype, to_matrix, step)
        for out in found(source, expected, shape, 6):
            np.testing.assert_array_equal(out, COL2IM.numpy(expected, shape=shape, **attrs))


def all_sources():
    for name in ("tiles", "wide"):
        yield max_pool_source("float32", WINDOWS[name])
        yield max_pool_scatter_source("float64", WINDOWS[name])
        yield window_mean_source("float32", WINDOWS[name])
        yield window_spread_source("float64", WINDOWS[name])
    yield max_pool_select_source("bool", WINDOWS["large"])
    for to_matrix, step in ((True, 1), (True, 2), (False, 1), (False, 3)):
        yield im2col_source("float32", to_matrix, step)
        yield col2im_source("int64", to_matrix, step)


SOURCES = {source.key_text: source for source in all_sources()}


def test_keys_differ():
    assert len(SOURCES) == len(list(all_sources()))


@pytest.mark.parametrize("key", SOURCES)
def test_the_object_needs_no_other(key):
    image = _ElfImage(compile_kernel(SOURCES[key]).code)
    assert [name for name, section, _, _ in image.symbols if name and section == 0] == []


@pytest.mark.parametrize("key", SOURCES)
def test_a_listing_names_the_kernel(key):
    assert key.split()[0] in SOURCES[key].listing


def test_describing_a_kernel_imports_nothing_heavy():
    code = (
        "import sys; from symgraph.runtime.kernels import patches, pooling;"
        "pooling.max_pool_source('bool', pooling.Window((2, 2), (2, 2), (0, 0)));"
        "patches.im2col_source('bool', True, 1);"
        "print([name for name in ('numba', 'llvmlite') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout.strip() == "[]", finished.stderr


@pytest.mark.parametrize(
    ("describe", "message"),
    [
        (lambda: max_pool_source("str", WINDOWS["tiles"]), "no max_pool for dtype 'str'"),
        (lambda: max_pool_scatter_source("bool", WINDOWS["tiles"]), "no max_pool_scatter for"),
        (lambda: window_mean_source("int32", WINDOWS["tiles"]), "no window_mean for dtype"),
        (lambda: window_spread_source("int64", WINDOWS["tiles"]), "no window_spread for dtype"),
        (lambda: im2col_source("float16", True, 1), "no im2col for dtype 'float16'"),
        (lambda: col2im_source("bool", True, 1), "no col2im for dtype 'bool'"),
    ],
)
def test_what_is_not_supported_is_refused(describe, message):
    with pytest.raises(ValueError, match=message):
        describe()
