"""Arrays that lie on the device already: read where they are, or refused before anything runs."""

import ctypes
import gc
import weakref

import numpy as np
import pytest

import symgraph as sg
from symgraph.feeds import as_feed
from symgraph.runtime.cuda.arrays import DeviceArray, on_gpu
from symgraph.runtime.cuda.device import open_device
from symgraph.runtime.cuda.dlpack import read_capsule

HERE = r"(?s:.*)test_device_feeds\.py:\d+"
X = np.arange(12, dtype=np.float32).reshape(4, 3)


class Interface:
    """An array of a library that has `__cuda_array_interface__` alone, such as Numba."""

    def __init__(self, array, **changes):
        self._array = array
        self.__cuda_array_interface__ = {**array.__cuda_array_interface__, **changes}


class Lent:
    """An array of a library that has `__dlpack__` alone, such as JAX."""

    def __init__(self, array, device=(2, 0)):
        self._array, self._device, self.streams = array, device, []

    def __dlpack_device__(self):
        return self._device

    def __dlpack__(self, *, stream=None):
        self.streams.append(stream)
        return self._array.__dlpack__(stream=stream)


class Refusing(Lent):
    def __dlpack__(self, *, stream=None):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")


def _x(dtype="float32", shape=("N", 3)):
    return sg.Placeholder("x", shape, dtype)


KINDS = {"cupy": lambda array: array, "interface": Interface, "dlpack": Lent}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_where_it_was(cuda, kind):
    array = cuda.cupy.asarray(X)
    found = as_feed(_x(), KINDS[kind](array), "cuda:0")
    assert isinstance(found, DeviceArray)
    assert (found.address, found.shape, found.dtype) == (array.data.ptr, X.shape, X.dtype)
    assert (found.ndim, found.nbytes) == (2, X.nbytes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float64"])
def test_results_are_those_of_arrays_of_the_host(cuda, kind, dtype):
    x = _x(dtype)
    f = sg.compile(sg.sum(x, axis=0), inputs=[x], device="cuda")
    values = (X % 2).astype(dtype)
    before = cuda.counts["copyHostToDevice"]
    array = cuda.cupy.asarray(values)
    for _ in range(4):
        found = f(KINDS[kind](array))
        np.testing.assert_array_equal(found, values.sum(axis=0))
    assert cuda.counts["copyHostToDevice"] == before + 1
    np.testing.assert_array_equal(f(values), found)


@pytest.mark.parametrize("kind", KINDS)
def test_an_array_that_is_still_being_made_is_waited_for(cuda, kind):
    """The fake does what is in a stream as late as it can."""
    maker = cuda.cupy.cuda.Stream(non_blocking=True)
    f = sg.compile(_x() * 2, device="cuda")
    for _ in range(3):
        with maker:
            array = cuda.cupy.asarray(X)
            lent = KINDS[kind](array)
            np.testing.assert_array_equal(f(lent), X * 2)


def test_who_lends_is_told_which_stream_reads(cuda):
    lent = Lent(cuda.cupy.asarray(X))
    assert as_feed(_x(), lent, "cuda:0").stream is None
    assert lent.streams == [open_device("cuda:0").stream.ptr]


def test_the_stream_of_the_interface_is_handed_on(cuda):
    array = cuda.cupy.asarray(X)
    for given, expected in ((1, 1), (None, None), (0x5020, 0x5020)):
        found = as_feed(_x(), Interface(array, stream=given), "cuda:0")
        assert found.stream == expected


def test_the_memory_lives_as_long_as_the_feed(cuda):
    for wrap in KINDS.values():
        array = cuda.cupy.asarray(X)
        kept = weakref.ref(array)
        found = as_feed(_x(), wrap(array), "cuda:0")
        del array
        gc.collect()
        read = (ctypes.c_float * X.size).from_address(found.address)
        cuda.machine.finish()
        np.testing.assert_array_equal(np.asarray(read).reshape(X.shape), X)
        del found, read
        gc.collect()
        assert kept() is None


def test_shapes_of_all_ranks(cuda):
    for shape in [(), (0,), (2, 0, 3), (1, 3), (3, 1), (2, 3, 4)]:
        values = np.ones(shape, "f4")
        node = sg.Placeholder("x", dtype="float32")
        for wrap in KINDS.values():
            found = as_feed(node, wrap(cuda.cupy.asarray(values)), "cuda:0")
            assert (found.shape, found.nbytes) == (shape, values.nbytes)


def test_a_part_that_is_dense_is_read_where_it_is(cuda):
    array = cuda.cupy.asarray(X)
    f = sg.compile(_x() + 1, device="cuda")
    for wrap in KINDS.values():
        np.testing.assert_array_equal(f(wrap(array[1:3])), X[1:3] + 1)


def test_arrays_of_host_and_device_together(cuda):
    x, y = _x(), sg.Placeholder("y", ("N", 1), "float32")
    f = sg.compile(x * y, inputs=[x, y], device="cuda")
    y_value = np.array([[1], [2], [3], [4]], "f4")
    expected = X * y_value
    np.testing.assert_array_equal(f(cuda.cupy.asarray(X), y_value), expected)
    np.testing.assert_array_equal(f(X.tolist(), cuda.cupy.asarray(y_value)), expected)
    np.testing.assert_array_equal(f(X, y_value), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_strided_array_is_refused(cuda, kind):
    array = cuda.cupy.asarray(X)
    remedy = r"cupy\.ascontiguousarray" if kind == "cupy" else r"\.copy\(\) or \.contiguous\(\)"
    for part in (array[::2], array[:, :2], array[::-1]):
        with pytest.raises(
            sg.FeedError, match=rf"'x' \(float32{HERE}.*strided array of a GPU; .*{remedy}"
        ):
            as_feed(_x(shape=("N", "M")), KINDS[kind](part), "cuda:0")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float16", "complex64", "int8", "uint64", "float64"])
def test_a_wrong_dtype_is_refused(cuda, kind, dtype):
    array = cuda.cupy.asarray(np.ones((2, 3), dtype))
    with pytest.raises(
        sg.FeedError, match=rf"'x' \(float32{HERE}.*got dtype {dtype}; .*\.astype\('float32'\)"
    ):
        as_feed(_x(), KINDS[kind](array), "cuda:0")


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_rank_or_extent_is_refused(cuda, kind):
    array = cuda.cupy.asarray(X)
    wrapped = KINDS[kind](array)
    with pytest.raises(sg.FeedError, match=r"has 1 axes, but was fed an array of shape \(4, 3\)"):
        as_feed(_x(shape=("N",)), wrapped, "cuda:0")
    f = sg.compile(_x(shape=("N", 2)) + 1, device="cuda")
    with pytest.raises(sg.FeedError, match=r"'x' has extent 3 along axis 1, but 2 is declared"):
        f(wrapped)


def test_an_array_of_another_device_is_refused(cuda_machine):
    cupy = cuda_machine(devices=2).cupy
    with cupy.cuda.Device(1):
        there = cupy.asarray(X)
    f = sg.compile(_x() + 1, device="cuda")
    message = rf"'x' \(float32{HERE}.*an array on cuda:1, but the function runs on cuda:0; copy it"
    remedy = r"with cupy.cuda.Device\(0\): cupy.array\(...\)"
    with pytest.raises(sg.DeviceError, match=f"{message} with {remedy}"):
        f(there)
    for wrapped in (Interface(there), Lent(there, (2, 1))):
        with pytest.raises(sg.DeviceError, match=f"{message} with its own library, or feed it"):
            f(wrapped)
    np.testing.assert_array_equal(sg.compile(_x() + 1, device="cuda:1")(there), X + 1)


def test_memory_that_all_devices_share_is_read_anywhere(cuda):
    assert as_feed(_x(), Lent(cuda.cupy.asarray(X), (13, 7)), "cuda:0").shape == X.shape


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_of_the_host_refuses_arrays_of_a_device(cuda, kind):
    wrapped = KINDS[kind](cuda.cupy.asarray(X))
    remedy = r"\.get\(\)" if kind == "cupy" else "numpy.asarray"
    for f in (sg.compile(_x() + 1), sg.compile(_x() + 1, mode="reference")):
        with pytest.raises(
            sg.DeviceError,
            match=rf"'x' \(float32{HERE}.*on a GPU, but the function runs on the CPU; .*{remedy}",
        ):
            f(wrapped)


def test_an_array_that_is_not_lent(cuda):
    with pytest.raises(sg.FeedError, match=r"cannot be read: .* use tensor\.detach\(\)"):
        as_feed(_x(), Refusing(cuda.cupy.asarray(X)), "cuda:0")
    masked = Interface(cuda.cupy.asarray(X), mask=X > 2)
    with pytest.raises(sg.FeedError, match="cannot be read: it is masked"):
        as_feed(_x(), masked, "cuda:0")


class Spread:
    def __dlpack_device__(self):
        raise BufferError("it is spread over several devices")

    def __array__(self, dtype=None, copy=None):
        return X.copy()


def test_an_array_that_lies_nowhere_in_particular_is_gathered(cuda):
    np.testing.assert_array_equal(sg.compile(_x() + 1, device="cuda")(Spread()), X + 1)


def test_what_lies_on_the_host_does_not_lie_on_a_gpu(cuda):
    for value in (X, 1.0, [1], (2,), np.float32(1), Lent(X, (1, 0)), Lent(X, (3, 0)), None, "x"):
        assert not on_gpu(value)


def test_failures_are_explained_with_what_was_fed(cuda):
    x, rows = _x(), sg.Placeholder("rows", ("K",), "int64")
    f = sg.compile(x[rows], inputs=[x, rows], device="cuda")
    numbers = cuda.cupy.asarray(np.array([1, 7]))
    with pytest.raises(sg.BoundsError, match=r"index 7 .*4"):
        f(cuda.cupy.asarray(X), numbers)


# The struct itself, which NumPy lends as well.


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float64", "complex128"])
def test_capsules_are_read_as_they_were_written(dtype):
    values = np.zeros((4, 6), dtype)
    for array in (values, values[1::2, ::-3], values.T, values[:0], values[2, 3]):
        array = np.asarray(array)
        found = read_capsule(array.__dlpack__())
        assert (found.address, found.shape) == (array.ctypes.data, array.shape)
        assert found.dtype == dtype
        if array.size > 1:
            assert found.strides == array.strides


def test_what_is_no_capsule():
    with pytest.raises(ValueError, match="invalid PyCapsule"):
        read_capsule(3)


def test_the_tensors_of_torch():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(3, 2, dtype=torch.bfloat16).t()
    found = read_capsule(tensor.__dlpack__())
    assert found == (tensor.data_ptr(), (2, 3), (2, 4), "bfloat16")
    assert not on_gpu(tensor)
