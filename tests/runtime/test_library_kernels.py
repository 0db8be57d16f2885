"""Gather, scatter_add, cumsum, argmax and argmin against NumPy."""

import subprocess
import sys

import numpy as np
import pytest

from symgraph.runtime.jit import compile_kernel
from symgraph.runtime.kernels.arg_reduce import arg_reduce_source
from symgraph.runtime.kernels.gather import COLUMN_BLOCK, gather_source, scatter_add_source
from symgraph.runtime.kernels.scan import cumsum_source
from symgraph.runtime.loader import _ElfImage
from tests.runtime.guarded import random_array, run, run_both_ways

NUMBERS = ("int32", "int64", "float32", "float64")
DTYPES = ("bool", *NUMBERS)
CODE = 7
SOURCES = {
    "gather": gather_source("bool", ("int32", "int64")),
    "scatter_add": scatter_add_source("float32", ("int64",)),
    "cumsum": cumsum_source("float32"),
    "argmax": arg_reduce_source("argmax", "bool"),
    "argmin": arg_reduce_source("argmin", "float64"),
}


def random_indices(rng, index_dtypes, extents, count):
    return [
        rng.integers(-extent, extent, count, np.int64).astype(dtype)
        for dtype, extent in zip(index_dtypes, extents, strict=True)
    ]


def gather(rng, x, indices, dtype, width):
    """Return what the kernel gathers, and the status."""
    count, rank = indices[0].size, len(indices)
    status = np.zeros(1, np.int64)
    source = gather_source(dtype, tuple(str(index.dtype) for index in indices))
    out = run_both_ways(
        source,
        lambda out: (x, out, *indices, count, *x.shape[:rank], width, status, CODE),
        (count, width),
        dtype,
        count,
        rng,
    )
    return out, status[0]


def scatter_add(rng, updates, indices, extents):
    """Return what the kernel sums, and the status."""
    count, width = updates.shape
    status, dtype = np.zeros(1, np.int64), str(updates.dtype)
    source = scatter_add_source(dtype, tuple(str(index.dtype) for index in indices))
    out = run_both_ways(
        source,
        lambda out: (updates, out, *indices, count, *extents, width, status, CODE),
        (*extents, width),
        dtype,
        -(-width // COLUMN_BLOCK),
        rng,
    )
    return out, status[0]


WIDTHS = (0, 1, 2, 7, 16, 17, 33, 64, 65, 200)
INDEX_CASES = [
    (("int64",), (5,)),
    (("int32",), (1,)),
    (("int32", "int64"), (3, 4)),
    (("int64", "int64", "int32"), (2, 1, 3)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("index_dtypes", "extents"), INDEX_CASES)
def test_gather_is_indexing(dtype, index_dtypes, extents):
    rng = np.random.default_rng(1)
    for width in WIDTHS:
        x = random_array(rng, dtype, (*extents, width))
        for count in (0, 1, 23):
            indices = random_indices(rng, index_dtypes, extents, count)
            out, status = gather(rng, x, indices, dtype, width)
            np.testing.assert_array_equal(out, x[tuple(indices)])
            assert status == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("bad", [4, -5, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)])
def test_gather_out_of_range_reports_and_reads_zero(dtype, width, bad):
    rng = np.random.default_rng(2)
    x = random_array(rng, dtype, (2, 4, width))
    index_dtype = "int32" if abs(bad + 0.5) < 2**31 else "int64"
    indices = [np.array([0, 1, -1]), np.array([3, bad, -4], index_dtype)]
    out, status = gather(rng, x, indices, dtype, width)
    expected = np.stack([x[0, 3], np.zeros(width, dtype), x[1, 0]])
    np.testing.assert_array_equal(out, expected)
    assert status == CODE


@pytest.mark.parametrize("width", [1, 5])
def test_gather_from_nothing_is_out_of_range(width):
    rng = np.random.default_rng(3)
    x = np.zeros((0, width), np.float32)
    out, status = gather(rng, x, [np.array([0, -1])], "float32", width)
    np.testing.assert_array_equal(out, np.zeros((2, width)))
    assert status == CODE


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(("index_dtypes", "extents"), INDEX_CASES)
def test_scatter_add_adds_in_order(dtype, index_dtypes, extents):
    rng = np.random.default_rng(4)
    for width in WIDTHS:
        for count in (0, 1, 57):
            updates = random_array(rng, dtype, (count, width))
            indices = random_indices(rng, index_dtypes, extents, count)
            out, status = scatter_add(rng, updates, indices, extents)
            expected = np.zeros((*extents, width), dtype)
            np.add.at(expected, tuple(indices), updates)
            assert out.tobytes() == expected.tobytes()
            assert status == 0


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("width", [1, 6, 100])
@pytest.mark.parametrize("bad", [3, -4, 2**40])
def test_scatter_add_out_of_range_reports_and_adds_nothing(dtype, width, bad):
    rng = np.random.default_rng(5)
    updates = random_array(rng, dtype, (3, width))
    out, status = scatter_add(rng, updates, [np.array([2, bad, -3])], (3,))
    np.testing.assert_array_equal(out, [updates[2], np.zeros(width, dtype), updates[0]])
    assert status == CODE


def test_scatter_add_into_nothing():
    rng = np.random.default_rng(6)
    out, status = scatter_add(rng, np.ones((2, 3), np.float32), [np.array([0, 1])], (0,))
    assert out.size == 0
    assert status == CODE


SHAPES = [
    (outer, n, inner)
    for outer in (0, 1, 3, 9)
    for n in (0, 1, 2, 15, 16, 33, 130)
    for inner in (0, 1, 3, 16, 21, 64)
]


@pytest.mark.parametrize("dtype", NUMBERS)
def test_cumsum_adds_in_order(dtype):
    rng = np.random.default_rng(7)
    for shape in SHAPES:
        x = random_array(rng, dtype, shape)
        out = run_both_ways(
            cumsum_source(dtype), lambda out, x=x: (x, out, *x.shape), shape, dtype, shape[0], rng
        )
        assert out.tobytes() == np.cumsum(x, axis=1, dtype=dtype).tobytes(), shape


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inner", [1, 3, 16])
def test_cumsum_keeps_signed_zeros_and_spreads_nan(dtype, inner):
    column = np.array([-0.0, -0.0, 0.0, np.inf, 1.0, -np.inf, 2.0], dtype)
    x = np.repeat(column[None, :, None], inner, axis=2)
    out = np.empty_like(x)
    run(cumsum_source(dtype), (x, out, *x.shape), 1)
    expected = np.array([-0.0, -0.0, 0.0, np.inf, np.inf, np.nan, np.nan], dtype)
    for found in out[0].T:
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found[:3]), [True, True, False])


def arg_reduce(rng, name, x):
    outer, _, inner = x.shape
    source = arg_reduce_source(name, str(x.dtype))
    return run_both_ways(
        source, lambda out: (x, out, *x.shape), (outer, inner), np.int64, outer, rng
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_reduce_finds_the_first_extreme(dtype, name):
    rng = np.random.default_rng(8)
    for shape in SHAPES:
        for x in (random_array(rng, dtype, shape), rng.integers(-1, 2, shape).astype(dtype)):
            out = arg_reduce(rng, name, x)
            expected = getattr(np, name)(x, axis=1) if shape[1] else np.zeros_like(out)
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_reduce_finds_the_first_nan(dtype, name):
    rng = np.random.default_rng(9)
    values = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)
    for shape in SHAPES:
        for weight in (0.3, 0.02):
            chances = [weight, weight, *[(1 - 2 * weight) / 4] * 4]
            x = rng.choice(values, shape, p=chances)
            out = arg_reduce(rng, name, x)
            expected = getattr(np, name)(x, axis=1) if shape[1] else np.zeros_like(out)
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("inner", [1, 2, 17])
def test_the_worst_value_everywhere_gives_the_first_position(dtype, name, inner):
    if dtype == "bool":
        worst = name == "argmin"
    elif dtype.startswith("int"):
        limits = np.iinfo(dtype)
        worst = limits.min if name == "argmax" else limits.max
    else:
        worst = -np.inf if name == "argmax" else np.inf
    x = np.full((2, 50, inner), worst, dtype)
    out = arg_reduce(np.random.default_rng(10), name, x)
    np.testing.assert_array_equal(out, np.zeros((2, inner)))


def all_sources():
    for dtype in DTYPES:
        for name in ("argmax", "argmin"):
            yield arg_reduce_source(name, dtype)
        yield gather_source(dtype, ("int64", "int32"))
    for dtype in NUMBERS:
        yield scatter_add_source(dtype, ("int32", "int64"))
        yield cumsum_source(dtype)


@pytest.mark.parametrize("source", list(all_sources()), ids=lambda source: source.key_text)
def test_the_object_needs_no_other(source):
    image = _ElfImage(compile_kernel(source).code)
    assert [name for name, section, _, _ in image.symbols if name and section == 0] == []


def test_keys_differ():
    keys = [source.key_text for source in all_sources()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", SOURCES)
def test_a_listing_names_the_kernel(name):
    assert name in SOURCES[name].listing


def test_describing_a_kernel_imports_nothing_heavy():
    code = (
        "import sys; from symgraph.runtime.kernels import arg_reduce, gather, scan;"
        "gather.gather_source('bool', ('int64',)); scan.cumsum_source('int64');"
        "arg_reduce.arg_reduce_source('argmax', 'bool');"
        "print([name for name in ('numba', 'llvmlite') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout.strip() == "[]", finished.stderr


@pytest.mark.parametrize(
    ("describe", "message"),
    [
        (lambda: gather_source("float16", ("int64",)), "no gather for dtype 'float16'"),
        (lambda: gather_source("bool", ()), "gather needs at least one index"),
        (lambda: gather_source("bool", ("bool",)), "no gather by indices of dtype 'bool'"),
        (lambda: scatter_add_source("bool", ("int64",)), "no scatter_add for dtype 'bool'"),
        (lambda: cumsum_source("bool"), "no cumsum for dtype 'bool'"),
        (lambda: arg_reduce_source("argsort", "bool"), "unknown reduction 'argsort'"),
        (lambda: arg_reduce_source("argmax", "str"), "no argmax for dtype 'str'"),
    ],
)
def test_what_is_not_supported_is_refused(describe, message):
    with pytest.raises(ValueError, match=message):
        describe()
