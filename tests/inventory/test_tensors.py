"""Rows of Q: tensors of rank 0 to 5, declared and not allocated; O: unit tests; U: corrections."""

import tracemalloc

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, compile, grad, gradient_check, numerical_gradient
from tests.inventory_rows import array, scalars

DECLARED = [
    ((), 1),
    ((5,), 5),
    ((3, 5), 15),
    ((3, 3, 5), 45),
    ((100_000, 3), 300_000),
    ((500, 20_000), 10_000_000),
    ((250, 390, 3), 292_500),
    ((1_000_000, 280, 128), 35_840_000_000),
    ((128, 256, 256, 1), 8_388_608),
    ((128, 256, 256, 3), 25_165_824),
    ((4, 240, 144, 256, 3), 106_168_320),
]
IMAGES = (60_000, 28, 28)


def peak_of(action):
    """Return the most bytes that an action holds at once."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.inventory("Q.ranks")
def test_ranks_shapes_and_sizes_are_inferred_without_memory():
    def declare():
        for shape, size in DECLARED:
            x = Placeholder("x", shape, "float32")
            doubled = 2 * x
            assert (doubled.shape, doubled.ndim, doubled.size) == (shape, len(shape), size)
            assert doubled.dtype == "float32"

    assert peak_of(declare) < 1_000_000


@pytest.mark.inventory("Q.ranks")
def test_a_vector_of_five_elements_has_one_axis():
    vector = Constant([12, 3, 6, 14, 7])
    assert (vector.shape, vector.ndim, Constant(12).ndim) == ((5,), 1, 0)
    matrix = Constant([[5, 78, 2, 34, 0], [6, 79, 3, 35, 1], [7, 80, 4, 36, 2]])
    assert matrix.shape == (3, 5)
    np.testing.assert_array_equal(compile(matrix[0])(), [5, 78, 2, 34, 0])
    np.testing.assert_array_equal(compile(matrix[:, 0])(), [5, 6, 7])
    assert Constant(np.ones((3, 3, 5))).ndim == 3


@pytest.mark.inventory("Q.slices")
def test_slices_in_three_spellings():
    x = Placeholder("x", IMAGES, "float32")
    spellings = [x[10:100], x[10:100, :, :], x[10:100, 0:28, 0:28]]
    assert {y.shape for y in spellings} == {(90, 28, 28)}
    assert x[:, 14:, 14:].shape == x[:, :14, :14].shape == x[:, 7:-7, 7:-7].shape
    assert x[:, 7:-7, 7:-7].shape == (60_000, 14, 14)
    assert [x[128 * n : 128 * (n + 1)].shape[0] for n in (0, 1, 468)] == [128, 128, 96]
    small = array("y", "N", 4, 4)
    values = np.arange(48.0).reshape(3, 4, 4)
    f = compile([small[1:3], small[1:3, :, :], small[1:3, 0:4, 0:4], small[:, 1:-1, 1:-1]])
    *same, middle = f(y=values)
    for found in same:
        np.testing.assert_array_equal(found, values[1:3])
    np.testing.assert_array_equal(middle, values[:, 1:-1, 1:-1])


@pytest.mark.inventory("Q.reshape")
def test_reshaping_keeps_the_order():
    x = Placeholder("x", (3, 2), "int64")
    f = compile([x.reshape(6, 1), x.reshape(6, 1).reshape(2, 3), x.T])
    column, rows, transposed = f(x=np.arange(6).reshape(3, 2))
    assert column.shape == (6, 1)
    assert column.ravel().tolist() == rows.ravel().tolist() == list(range(6))
    np.testing.assert_array_equal(transposed, [[0, 2, 4], [1, 3, 5]])
    assert Placeholder("y", (300, 20), "float64").T.shape == (20, 300)


@pytest.mark.inventory("Q.dtypes")
def test_dtypes_do_not_drift_and_the_sample_axis_is_symbolic():
    for dtype in ("float32", "float64", "int32", "int64"):
        x = Placeholder("x", ("samples", 4), dtype)
        f = compile(x * 2 + 1)
        for samples in (1, 5, 0):
            result = f(x=np.ones((samples, 4), dtype))
            assert (result.dtype, result.shape) == (dtype, (samples, 4))
        assert f.compile_count == 1
    remedy = r"uint8.*astype\('float32'\)"
    with pytest.raises(sg.DTypeError, match=remedy):
        Constant(np.zeros((2, 2), "uint8"))


@pytest.mark.inventory("Q.video")
def test_a_graph_of_video_compiles_without_its_memory():
    def build(*shape):
        video = Placeholder("video", shape, "float32")
        return compile(sg.mean(video / 255, axis=(1, 2, 3)))

    build(2, 3, 4, 5, 3)  # makes the kernels and loads what makes them
    assert peak_of(lambda: build(4, 240, 144, 256, 3)) < 1_000_000
    values = np.random.default_rng(0).uniform(size=(2, 3, 4, 5, 3)).astype("float32")
    expected = values.mean(axis=(1, 2, 3), dtype="float64") / 255
    np.testing.assert_allclose(build(2, 3, 4, 5, 3)(video=values), expected, rtol=1e-5)


# O: unit tests of a function.


@pytest.mark.inventory("O.units", "K.gradient_check")
def test_the_square_of_the_books():
    (x,) = scalars("x")
    f = compile([x**2, grad(x**2, x)])
    assert [float(v) for v in f(x=2.0)] == [4, 4]
    assert float(f(x=3.0)[1]) == 6
    for at in np.random.default_rng(0).normal(size=5):
        assert gradient_check(x**2, {"x": at})["x"] < 1e-9
        slope = numerical_gradient(lambda v: f(x=v)[0], at)
        np.testing.assert_allclose(f(x=at)[1], slope, rtol=1e-7)


# U: errors in the source documents.


@pytest.mark.inventory("U4")
def test_the_numerical_gradient_by_an_array_of_integers():
    x, w = np.array([1, 2, 3]), np.array([[1, 2], [3, 4], [5, 6]])
    slope = numerical_gradient(lambda at: np.sum(x @ at), w)
    np.testing.assert_allclose(slope, [[1, 1], [2, 2], [3, 3]], rtol=1e-9)


@pytest.mark.inventory("U5")
def test_slips_of_the_keras_chapter():
    cube = Constant([[[5, 78, 2, 34, 0], [6, 79, 3, 35, 1], [7, 80, 4, 36, 2]]] * 3)
    assert cube.shape == (3, 3, 5)  # a comma is missing there
    assert cube.dtype == "int64"  # said to be float32 there
    assert array("images", *IMAGES).reshape(60_000, 784).shape == (60_000, 784)  # 6000 there
    x, y = array("x", 2, 3), array("y", 3, 4)
    assert (x @ y).shape == (2, 4)  # columns of x meet rows of y, reversed there
    with pytest.raises(sg.ShapeError, match=r"(2, 3).*(2, 3)|\(2, 3\)"):
        x @ array("z", 2, 3)
    labels = compile(sg.nn.one_hot(np.array([5, 0, 9]), 10))()  # the step is left out there
    np.testing.assert_array_equal(labels, np.eye(10)[[5, 0, 9]])


@pytest.mark.inventory("U6")
def test_the_linear_system_is_singular():
    matrix = np.array([[1.0, 1, 1], [1, -1, 2], [2, 0, 3]])
    assert np.linalg.matrix_rank(matrix) == 2
    kernel = np.array([3.0, -1, -2])
    np.testing.assert_array_equal(compile(Constant(matrix) @ array("k", 3))(k=kernel), 0)


@pytest.mark.inventory("U7")
def test_the_signs_of_the_series_and_newtons_rule():
    (x,) = scalars("x")
    series = x - x**3 / 6 + x**5 / 120
    assert float(compile(series)(x=0.5)) == pytest.approx(np.sin(0.5), abs=2e-6)
    f = x**4 - 2 * x**2
    newton = x - grad(f, x) / grad(grad(f, x), x)
    assert float(compile(newton)(x=2.0)) == pytest.approx(1.4545454545454546, rel=1e-15)
    found = compile(sg.nn.mean_squared_error(array("a", 4), np.zeros(4)))(a=np.ones(4))
    assert float(found) == 1  # divided by N, not multiplied
