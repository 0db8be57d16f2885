"""The native kernels of convolution against the reference; their bits never depend on slicing."""

import ctypes
import functools
import itertools

import numpy as np
import pytest

from symgraph.ops.convolution_core import CONVOLUTION, CONVOLUTION_INPUT, CONVOLUTION_WEIGHT
from symgraph.runtime.jit import get_kernel
from symgraph.runtime.kernels.convolution import (
    PATCH_ROWS,
    SUM_BLOCK,
    ConvolutionArgument,
    convolution_scatter_source,
    convolution_source,
    convolution_weight_source,
    pays_to_scatter,
    scatter_task,
    sum_of_parts_source,
    weight_parts,
)
from symgraph.runtime.kernels.gemm_shape import TileShape, tile_shape

PROTOTYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
SMALLER_MACHINES = [TileShape(4, 32, 16), TileShape(4, 16, 32)]
MACHINES = [("float32", None), ("float64", None), *(("float32", m) for m in SMALLER_MACHINES)]
SOURCES = {
    "forward": convolution_source,
    "gathered": convolution_source,
    "scattered": convolution_scatter_source,
    "weight": convolution_weight_source,
}


@functools.cache
def kernel(make, dtype, shape=None):
    return PROTOTYPE(get_kernel(make(dtype, shape=shape)))


class Case:
    """One convolution of small whole numbers, whose sums are exact."""

    def __init__(self, rng, dtype, batch, channels, size, kernel_size, **attrs):
        stride, pad, dilation, groups = (
            attrs.get(name, default)
            for name, default in (
                ("stride", (1, 1)), ("pad", (0, 0)), ("dilation", (1, 1)), ("groups", 1)
            )
        )  # fmt: skip
        inputs, outputs = channels
        self.attrs = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
        self.x = rng.integers(-4, 5, (batch, groups * inputs, *size)).astype(dtype)
        self.w = rng.integers(-4, 5, (groups * outputs, inputs, *kernel_size)).astype(dtype)
        self.y = CONVOLUTION.numpy(self.x, self.w, **self.attrs)
        self.g = rng.integers(-4, 5, self.y.shape).astype(dtype)
        self.dtype = dtype

    def block(self, weight, images, results, variant=0, task_inputs=0):
        groups = self.attrs["groups"]
        words = [
            weight.ctypes.data, images.ctypes.data, results.ctypes.data,
            self.x.shape[0], groups, self.w.shape[1], self.w.shape[0] // groups,
            *self.x.shape[2:], *self.y.shape[2:], *self.w.shape[2:],
            *self.attrs["stride"], *self.attrs["pad"], *self.attrs["dilation"],
            variant, task_inputs,
        ]  # fmt: skip
        assert len(words) == len(ConvolutionArgument)
        return np.array(words, np.int64)

    def expected(self, name):
        size, taps = self.x.shape[2:], self.w.shape[2:]
        if name == "forward":
            return self.y
        if name == "weight":
            return CONVOLUTION_WEIGHT.numpy(self.x, self.g, kernel=taps, **self.attrs)
        return CONVOLUTION_INPUT.numpy(self.g, self.w, size=size, **self.attrs)

    def prepared(self, name, shape):
        """Return the result to fill, the argument block and the number of tasks."""
        groups, stride = self.attrs["groups"], self.attrs["stride"]
        width = (shape or tile_shape(self.dtype)).columns
        batch, inputs, outputs = self.x.shape[0], self.w.shape[1], self.w.shape[0] // groups
        plane, taps = self.y.shape[2] * self.y.shape[3], self.w.shape[2] * self.w.shape[3]
        if name == "forward":
            result = np.full_like(self.y, 77)
            tasks = groups * -(-outputs // 64) * -(-batch * plane // width)
            return result, self.block(self.w, self.x, result), tasks
        if name == "weight":
            parts = weight_parts(inputs * taps, groups)
            result = np.full((parts, *self.w.shape), 77, self.dtype)
            tasks = parts * groups * -(-inputs * taps // PATCH_ROWS)
            return result, self.block(result, self.x, self.g, parts), tasks
        result = np.full_like(self.x, 77)
        if name == "gathered":
            grid = -(-self.x.shape[2] // stride[0]) * -(-self.x.shape[3] // stride[1])
            tasks = stride[0] * stride[1] * groups * -(-inputs // 64) * -(-batch * grid // width)
            return result, self.block(self.w, result, self.g, 1), tasks
        task = scatter_task(plane, taps)
        tasks = groups * -(-batch // task.images) * -(-inputs // task.inputs)
        return result, self.block(self.w, result, self.g, *task), tasks

    def run(self, name, shape=None, cuts=()):
        """Run a kernel, its tasks cut at fractions in `cuts`."""
        result, block, tasks = self.prepared(name, shape)
        bounds = sorted({0, tasks, *(int(tasks * cut) for cut in cuts)})
        for lo, hi in itertools.pairwise(bounds):
            kernel(SOURCES[name], self.dtype, shape)(block.ctypes.data, lo, hi)
        return result.sum(axis=0, dtype=self.dtype) if name == "weight" else result


# batch, (inputs, outputs) of a group, size, kernel, attrs
CASES = [
    (2, (3, 5), (6, 7), (3, 3), {}),
    (3, (2, 70), (9, 50), (3, 2), {"pad": (1, 0)}),
    (2, (30, 9), (14, 13), (5, 5), {"pad": (2, 2)}),
    (5, (4, 3), (1, 1), (1, 1), {}),
    (4, (3, 8), (4, 5), (4, 5), {}),
    (2, (3, 2), (1, 3), (3, 3), {"pad": (3, 4)}),
    (3, (5, 6), (11, 12), (3, 3), {"stride": (2, 2), "pad": (1, 1)}),
    (2, (3, 4), (12, 9), (2, 4), {"stride": (3, 1), "dilation": (2, 2), "pad": (1, 3)}),
    (2, (2, 3), (10, 11), (3, 2), {"stride": (2, 4), "dilation": (2, 1), "groups": 3}),
    (2, (1, 1), (8, 20), (3, 3), {"groups": 7, "pad": (1, 1)}),
    (1, (170, 20), (6, 6), (3, 3), {"pad": (1, 1)}),
    (2, (3, 260), (5, 5), (2, 2), {}),
    (0, (3, 5), (6, 7), (3, 3), {}),
    (2, (0, 5), (6, 7), (3, 3), {}),
    (2, (3, 0), (6, 7), (3, 3), {}),
]


@pytest.mark.parametrize(("dtype", "machine"), MACHINES)
@pytest.mark.parametrize("name", SOURCES)
def test_the_reference_is_met(name, dtype, machine):
    rng = np.random.default_rng(0)
    for *described, attrs in CASES:
        if name == "scattered" and attrs.get("stride", (1, 1))[1] != 1:
            continue
        case = Case(rng, dtype, *described, **attrs)
        found = case.run(name, machine, cuts=rng.random(2))
        np.testing.assert_array_equal(found, case.expected(name), err_msg=str((described, attrs)))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("name", SOURCES)
def test_integers_wrap(name, dtype):
    case = Case(np.random.default_rng(1), dtype, 2, (3, 5), (6, 7), (3, 3), pad=(1, 1))
    large = np.iinfo(dtype).max // 3
    case.x *= large
    case.w *= large
    case.g *= large
    case.y = CONVOLUTION.numpy(case.x, case.w, **case.attrs)
    np.testing.assert_array_equal(case.run(name), case.expected(name))


@pytest.mark.parametrize("name", SOURCES)
def test_slices_have_the_same_bits(name):
    rng = np.random.default_rng(2)
    case = Case(rng, "float32", 7, (20, 40), (13, 11), (3, 3), pad=(1, 0))
    for array in (case.x, case.w, case.g):
        array[...] = rng.normal(size=array.shape)
    case.y = CONVOLUTION.numpy(case.x, case.w, **case.attrs)
    whole = case.run(name)
    np.testing.assert_allclose(whole, case.expected(name), rtol=1e-4, atol=1e-3)
    for cuts in ((0.5,), (0.1, 0.35, 0.8), np.linspace(0, 1, 40)):
        np.testing.assert_array_equal(case.run(name, cuts=cuts), whole)


@pytest.mark.parametrize("name", ["forward", "gathered", "scattered"])
def test_an_image_has_the_same_bits_in_every_batch(name):
    rng = np.random.default_rng(3)
    case = Case(rng, "float32", 9, (12, 300), (9, 7), (3, 3), pad=(1, 1))
    for array in (case.x, case.w, case.g):
        array[...] = rng.normal(size=array.shape)
    whole = case.run(name)
    for first, last in ((0, 1), (3, 8), (8, 9)):
        part = Case(rng, "float32", last - first, (12, 300), (9, 7), (3, 3), pad=(1, 1))
        part.x, part.w, part.g = case.x[first:last], case.w, case.g[first:last]
        np.testing.assert_array_equal(part.run(name), whole[first:last])


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_written_outside_and_nothing_read_from_it(name):
    """Arrays lie between NaN, which would spread, and a pattern that must stay."""
    rng = np.random.default_rng(4)
    case = Case(rng, "float32", 3, (5, 11), (7, 9), (3, 3), pad=(2, 1))
    expected = case.expected(name)
    for attribute in ("x", "w", "g"):
        array = getattr(case, attribute)
        guarded = np.full(array.size + 128, np.nan, "float32")
        guarded[64:-64] = array.ravel()
        setattr(case, attribute, guarded[64:-64].reshape(array.shape))
    result, block, tasks = case.prepared(name, None)
    around = np.full(result.size + 128, 55, "float32")
    where = {"forward": "OUTPUT", "weight": "WEIGHT"}.get(name, "INPUT")
    block[ConvolutionArgument[where]] = around.ctypes.data + 64 * 4
    kernel(SOURCES[name], "float32")(block.ctypes.data, 0, tasks)
    found = around[64:-64].reshape(result.shape)
    np.testing.assert_array_equal(found.sum(axis=0) if name == "weight" else found, expected)
    assert np.all(around[:64] == 55)
    assert np.all(around[-64:] == 55)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_parts_are_added_in_order(parts):
    rng = np.random.default_rng(5)
    size = SUM_BLOCK + 37
    apart = rng.normal(size=(parts, size)).astype("float32")
    expected = apart[0].copy()
    for part in apart[1:]:
        expected += part
    out = np.full(size, 77, "float32")
    block = np.array([apart.ctypes.data, out.ctypes.data, parts, size], np.int64)
    add = PROTOTYPE(get_kernel(sum_of_parts_source("float32")))
    add(block.ctypes.data, 0, 1)
    add(block.ctypes.data, 1, 2)
    np.testing.assert_array_equal(out, expected)


def test_only_weights_with_few_rows_are_summed_in_parts():
    assert weight_parts(9, 1) == 16
    assert weight_parts(PATCH_ROWS * 6, 1) == 4
    assert weight_parts(4608, 1) == 1
    assert weight_parts(9, 512) == 1


def test_a_transpose_is_scattered_where_gathering_wastes_most():
    assert pays_to_scatter(1, 32, 1.0)  # few channels to compute
    assert pays_to_scatter(32, 64, 1.96)  # many zeros outside
    assert not pays_to_scatter(256, 256, 1.0)


@pytest.mark.parametrize("make", [*SOURCES.values(), sum_of_parts_source])
def test_bools_have_no_kernel(make):
    with pytest.raises(ValueError, match="for dtype 'bool': use one of"):
        make("bool")


def test_kernels_can_be_read():
    assert "fma(weight[r, c, tap], source[n, c, window p at tap], total)" in (
        convolution_source("float32").listing
    )
    assert "weight[part, o, c, tap] = total" in convolution_weight_source("float32").listing
    assert "result[n, c, window p at tap] += total" in convolution_scatter_source("float32").listing
