"""Windows of images as arrays: recorded values, layouts, adjoints, and what is refused."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, FeedError, ShapeError
from symgraph.ops.windows import conv_outsize, deconv_outsize, folded, padded, sliding

GEOMETRIES = [
    (2, 1, 0, 1),
    (3, 2, 1, 1),
    ((2, 3), (3, 1), (1, 2), (1, 3)),
    ((1, 20), (1, 2), (0, 5), (1, 1)),
]
ROWS = [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
SUMS = [[0, 2, 2], [6, 16, 10], [6, 14, 8]]


def images(*shape, dtype="float32"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def placeholder(dtype="float32"):
    return sg.Placeholder("x", ("N", "C", "H", "W"), dtype)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ((4, 3, 1, 0), 2),
        ((4, 3, 1, 1), 4),
        ((7, 3, 2, 0), 3),
        ((4, 2, 2, 0), 2),
        ((224, 7, 2, 3), 112),
        ((7, 3, 1, 0, 2), 3),
    ],
)
def test_size_of_a_convolution(arguments, size):
    assert sg.nn.get_conv_outsize(*arguments) == size


@pytest.mark.parametrize(
    ("arguments", "size"), [((7, 4, 2, 1), 14), ((5, 10, 5, 5), 20), ((2, 3, 1, 0, 2), 6)]
)
def test_size_of_a_transposed_convolution(arguments, size):
    assert sg.nn.get_deconv_outsize(*arguments) == size


def test_sizes_may_be_symbolic():
    extent = placeholder().shape[2]
    assert str(sg.nn.get_conv_outsize(extent, 3, 2, 1)) == "(H + 1)//2"
    assert sg.nn.get_conv_outsize(extent, 3, 1, 1) == extent
    assert str(sg.nn.get_deconv_outsize(extent, 4, 2, 1)) == "2*H"
    # What a transposed convolution makes, the convolution of the same arguments undoes.
    assert conv_outsize(deconv_outsize(extent, 4, 2, 1), 4, 2, 1) == extent


def test_pairs():
    assert sg.nn.pair(3) == (3, 3)
    assert sg.nn.pair([2, np.int64(4)]) == (2, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sg.nn.pair("ab"), "the value is an int or a pair of ints, not 'ab'"),
        (lambda: sg.nn.get_conv_outsize(4, 7, 1, 1), "a kernel of 7 spans 7 elements, more than"),
        (lambda: sg.nn.get_conv_outsize(4, 3, 1, 0, 2), "3 dilated by 2 spans 5 elements"),
        (lambda: sg.nn.get_conv_outsize(4, 3, 0, 0), "stride is at least 1, not"),
        (lambda: sg.nn.get_deconv_outsize(1, 3, 1, 2), "1 windows of 3 with 2 of padding"),
    ],
)
def test_sizes_that_do_not_exist_are_refused(call, message):
    with pytest.raises(ShapeError, match=rf"{message}[\s\S]*at .*test_patches\.py:\d+"):
        call()


@pytest.mark.parametrize(("count", "rows"), [(1, 9), (10, 90)])
def test_shape_of_the_matrix(count, rows):
    x = np.random.default_rng(0).normal(size=(count, 3, 7, 7))
    y = sg.nn.im2col(sg.Placeholder("x", x.shape, "float64"), 5)
    assert y.shape == (rows, 75)
    assert sg.compile(y)(x).shape == (rows, 75)


def test_recorded_values():
    x = sg.nn.im2col(placeholder(), 2)
    np.testing.assert_array_equal(sg.compile(x)(images(1, 1, 3, 3)), ROWS)
    columns = sg.Placeholder("columns", (4, 4), "float32")
    y = sg.nn.col2im(columns, (1, 1, 3, 3), 2)
    np.testing.assert_array_equal(sg.compile(y)(np.array(ROWS, np.float32)), [[SUMS]])


@pytest.mark.parametrize(("kernel", "stride", "pad", "dilation"), GEOMETRIES)
@pytest.mark.parametrize("to_matrix", [True, False])
def test_windows_and_their_sum(kernel, stride, pad, dilation, to_matrix):
    pairs = [sg.nn.pair(entry) for entry in (kernel, stride, pad, dilation)]
    x = images(2, 3, 7, 40)
    windows = sliding(padded(x, pairs[2]), pairs[0], pairs[1], pairs[3])
    apart = windows.transpose(0, 1, 4, 5, 2, 3)
    leaf = placeholder()
    y = sg.nn.im2col(leaf, kernel, stride, pad, dilation, to_matrix)
    given = sg.Placeholder("g", (None,) * (2 if to_matrix else 6), "float32")
    back = sg.nn.col2im(given, leaf.shape, kernel, stride, pad, dilation, to_matrix)
    found, again = sg.compile((y, sg.grad((y * given).sum(), leaf)))(
        x=x, g=(matrix := _matrix(apart) if to_matrix else np.ascontiguousarray(apart))
    )
    np.testing.assert_array_equal(found, matrix)
    expected = folded(apart, x.shape[2:], *pairs[1:])
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(sg.compile((back, leaf.sum()))(g=matrix, x=x)[0], expected)


def _matrix(apart):
    count, channels, height, width, *windows = apart.shape
    rows = apart.transpose(0, 4, 5, 1, 2, 3)
    return rows.reshape(count * windows[0] * windows[1], channels * height * width)


def test_a_convolution_by_the_matrix_differentiates_twice():
    x, w = sg.Placeholder("x", (1, 2, 4, 4), "float64"), sg.Placeholder("w", (8, 3), "float64")
    y = sg.nn.im2col(x, 2) @ w
    slope = sg.grad((y * y).sum(), w)
    second = sg.compile(sg.grad((slope * slope).sum(), x))
    rng = np.random.default_rng(0)
    x0, w0, v = (rng.normal(size=shape) for shape in ((1, 2, 4, 4), (8, 3), (1, 2, 4, 4)))
    value = sg.compile((slope * slope).sum())

    def moved(step):
        return value(x=x0 + step * v, w=w0)

    step = 1e-3
    fine, coarse = ((moved(h) - moved(-h)) / (2 * h) for h in (step / 2, step))
    expected = (4 * fine - coarse) / 3
    np.testing.assert_allclose(np.sum(second(x=x0, w=w0) * v), expected, rtol=1e-7)


def test_no_images_give_no_windows():
    y = sg.nn.im2col(placeholder(), 2)
    function = sg.compile(y)
    assert function(images(0, 3, 4, 4)).shape == (0, 12)
    assert function(images(2, 3, 3, 3)).shape == (8, 12)
    assert function.compile_count == 1


def test_bools_and_integers():
    x = np.random.default_rng(0).integers(0, 2, (1, 2, 3, 20)).astype(bool)
    found = sg.compile(sg.nn.im2col(placeholder("bool"), 2, pad=1))(x)
    expected = sg.compile(sg.nn.im2col(placeholder("int32"), 2, pad=1))(x.astype(np.int32))
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected)


HERE = r"[\s\S]*at .*test_patches\.py:\d+"


def test_what_are_no_images_is_refused():
    with pytest.raises(ShapeError, match=rf"x needs the axes \(N, C, H, W\){HERE}"):
        sg.nn.im2col(sg.Placeholder("x", (3, 4, 4), "float32"), 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 2, 3),), "kernel is an int or a pair of ints"),
        ((2, 0), "stride is at least 1, not 0"),
        ((2, 1, -1), "pad is at least 0, not -1"),
        ((2, 1, 0, 0), "dilation is at least 1, not 0"),
        ((3, 1, 0, 2), "a kernel of 3 dilated by 2 spans 5 elements, more than the extent 4 of"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ShapeError, match=message + HERE):
        sg.nn.im2col(sg.Placeholder("x", (1, 3, 4, 5), "float32"), *arguments)


def test_windows_of_other_images_are_refused():
    columns = sg.Placeholder("columns", (4, 5), "float32")
    with pytest.raises(ShapeError, match=f"columns of type .* are not the windows of such{HERE}"):
        sg.nn.col2im(columns, (1, 1, 3, 3), 2)
    with pytest.raises(ShapeError, match=f"columns of type .* are not the windows of such{HERE}"):
        sg.nn.col2im(columns, (1, 1, 3, 3), 2, to_matrix=False)


def test_extents_are_checked_when_called():
    function = sg.compile(sg.nn.im2col(placeholder(), 3))
    with pytest.raises(FeedError, match=f"a kernel of 3 spans 3 elements, more than .* W {HERE}"):
        function(images(1, 1, 3, 2))
    columns = sg.Placeholder("columns", ("R", 4), "float32")
    function = sg.compile(sg.nn.col2im(columns, (1, 1, 3, 3), 2))
    with pytest.raises(FeedError, match=f"columns of type .* are not the windows of such{HERE}"):
        function(np.ones((5, 4), np.float32))


def test_bools_are_not_summed():
    columns = sg.Placeholder("columns", (4, 4), "bool")
    with pytest.raises(DTypeError, match=f"bools do not add up in place{HERE}"):
        sg.nn.col2im(columns, (1, 1, 3, 3), 2)
