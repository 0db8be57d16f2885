"""Pooling: recorded values, ties, NaN, padding, derivatives, and what is refused."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, FeedError, ShapeError

GEOMETRIES = [
    (2, None, 0),
    (3, 2, 1),
    ((2, 3), (3, 1), (1, 0)),
    ((4, 9), (2, 4), (2, 4)),
]


def images(*shape, dtype="float32"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def distinct(*shape, dtype="float64"):
    count = int(np.prod(shape))
    return (np.random.default_rng(0).permutation(count).reshape(shape) / 4).astype(dtype)


def placeholder(dtype="float64"):
    return sg.Placeholder("x", ("N", "C", "H", "W"), dtype)


def gradient(pool, x):
    """Return the gradient of the sum of pooled images, weighted by their number."""
    leaf = placeholder(str(x.dtype))
    y = pool(leaf)
    weights = sg.Placeholder("w", (None,) * 4, str(x.dtype))
    shape = sg.compile(y)(x).shape
    function = sg.compile(sg.grad((y * weights).sum(), leaf))
    return function(x=x, w=1 + images(*shape, dtype=x.dtype))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(4, 2, 2, [[5, 7], [13, 15]]), (5, 3, 2, [[12, 14], [22, 24]])],
)
def test_the_largest_of_each_window(size, kernel, stride, expected):
    y = sg.nn.max_pool2d(placeholder("float32"), kernel, stride)
    np.testing.assert_array_equal(sg.compile(y)(images(1, 1, size, size)), [[expected]])


def test_the_mean_of_each_window_and_its_gradient():
    x = images(1, 1, 4, 4)
    y = sg.nn.average_pool2d(placeholder("float32"), 2)
    np.testing.assert_array_equal(sg.compile(y)(x), [[[[2.5, 4.5], [10.5, 12.5]]]])
    leaf = placeholder("float32")
    found = sg.compile(sg.grad(sg.nn.average_pool2d(leaf, 2).sum(), leaf))(x)
    np.testing.assert_array_equal(found, np.full((1, 1, 4, 4), 0.25))


def test_sizes_are_rounded_down():
    x = sg.Placeholder("x", ("N", 3, 15, "W"), "float32")
    assert sg.nn.max_pool2d(x, 3, 2).shape[2] == 7
    assert str(sg.nn.max_pool2d(x, 2).shape[3]) == "(W)//2"
    assert sg.nn.average_pool2d(x, (2, 3), 1, (1, 0)).shape[2] == 16


def test_padding_is_never_the_largest():
    x = np.full((1, 1, 3, 3), -1, np.float32)
    y = sg.nn.max_pool2d(placeholder("float32"), 3, 2, 1)
    np.testing.assert_array_equal(sg.compile(y)(x), np.full((1, 1, 2, 2), -1))


def test_padding_counts_as_zeros_in_a_mean():
    y = sg.nn.average_pool2d(placeholder("float32"), 2, 2, 1)
    x = np.full((1, 1, 2, 2), 8, np.float32)
    np.testing.assert_array_equal(sg.compile(y)(x), np.full((1, 1, 2, 2), 2))


@pytest.mark.parametrize("value", [0, -np.inf])
@pytest.mark.parametrize(("pad", "stride"), [(0, 2), (1, 2), (1, 1)])
def test_of_equal_elements_the_first_takes_the_whole_gradient(value, pad, stride):
    x = np.full((1, 1, 4, 4), value, np.float64)
    found = gradient(lambda leaf: sg.nn.max_pool2d(leaf, 2, stride, pad), x)
    expected = np.zeros((4, 4))
    rows = range(-pad, 4 + pad - 1, stride)
    for number, (i, j) in enumerate((i, j) for i in rows for j in rows):
        expected[max(i, 0), max(j, 0)] += 1 + number
    np.testing.assert_array_equal(found[0, 0], expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_nan_wins_and_takes_the_gradient(stride):
    x = images(1, 1, 4, 36)
    x[0, 0, 1, 0] = x[0, 0, 0, 35] = x[0, 0, 1, 35] = np.nan
    leaf = placeholder("float32")
    y = sg.nn.max_pool2d(leaf, 2, stride)
    found, slope = sg.compile((y, sg.grad(y.sum(), leaf)))(x)
    windows = np.lib.stride_tricks.sliding_window_view(x[0, 0], (2, 2))[::stride, ::stride]
    np.testing.assert_array_equal(found[0, 0], np.max(windows, axis=(2, 3)))
    assert slope[0, 0, 0, 35] == 1
    assert slope[0, 0, 1, 0] == (1 if stride == 2 else 2)


def test_a_nan_in_the_gradient_of_what_is_not_taken_stays_there():
    x = np.array([[[[0.0, 2.0], [0.0, 1.0]]]])
    leaf = placeholder()
    found = sg.compile(sg.grad(sg.nn.max_pool2d(sg.log(leaf), 2).sum(), leaf))(x)
    np.testing.assert_array_equal(found, [[[[0, 0.5], [0, 0]]]])


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_integers_and_bools_have_largest_elements(dtype):
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 6, 39)).astype(dtype)
    found = sg.compile(sg.nn.max_pool2d(placeholder(dtype), 3))(x)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, x.reshape(2, 3, 2, 3, 13, 3).max(axis=(3, 5)))


def test_the_lowest_integer_is_no_padding():
    lowest = np.iinfo(np.int32).min
    x = np.full((1, 1, 3, 3), lowest, np.int32)
    leaf = placeholder("int32")
    found = sg.compile(sg.nn.max_pool2d(leaf, 3, 2, 1))(x)
    np.testing.assert_array_equal(found, np.full((1, 1, 2, 2), lowest))


def test_means_of_integers_are_float64():
    y = sg.nn.average_pool2d(placeholder("int32"), 2)
    assert y.dtype == "float64"
    np.testing.assert_array_equal(
        sg.compile(y)(images(1, 1, 2, 4, dtype="int32")), [[[[2.5, 4.5]]]]
    )


def test_global_average():
    x = images(2, 3, 4, 5)
    y = sg.nn.global_average_pool2d(placeholder("float32"))
    np.testing.assert_array_equal(sg.compile(y)(x), x.mean(axis=(2, 3)))
    leaf = placeholder("float32")
    slope = sg.compile(sg.grad(sg.nn.global_average_pool2d(leaf).sum(), leaf))(x)
    np.testing.assert_allclose(slope, np.full_like(x, 1 / 20), rtol=1e-6)


@pytest.mark.parametrize(("kernel", "stride", "pad"), GEOMETRIES)
def test_pooling_agrees_with_torch(kernel, stride, pad):
    torch = pytest.importorskip("torch")
    x = distinct(2, 3, 8, 41)
    oracle = torch.from_numpy(x).requires_grad_()
    functions = torch.nn.functional
    cases = [(sg.nn.average_pool2d, functions.avg_pool2d)]
    doubled = np.broadcast_to(2 * np.asarray(pad), 2)
    if (doubled <= np.broadcast_to(kernel, 2)).all():
        cases.append((sg.nn.max_pool2d, functions.max_pool2d))
    for ours, theirs in cases:
        expected = theirs(oracle, kernel, stride, pad)
        found = sg.compile(ours(placeholder(), kernel, stride, pad))(x)
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-14)
        weights = torch.from_numpy(1 + images(*expected.shape, dtype="float64"))
        (slope,) = torch.autograd.grad((expected * weights).sum(), oracle)
        found = gradient(lambda leaf, pool=ours: pool(leaf, kernel, stride, pad), x)
        np.testing.assert_allclose(found, slope.numpy(), rtol=1e-13)


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_derivatives_through_the_largest_to_third_order(mode):
    x = distinct(1, 2, 4, 6) + 1
    leaf = placeholder()
    direction = sg.Constant(1 + images(1, 2, 4, 6, dtype="float64"))
    derivative = (sg.nn.max_pool2d(leaf, 2) ** 4).sum()
    is_largest = np.zeros_like(x)
    for index in np.ndindex(1, 2, 2, 3):
        n, c, i, j = index
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        k, m = np.unravel_index(np.argmax(window), (2, 2))
        is_largest[n, c, 2 * i + k, 2 * j + m] = 1
    d = direction.value
    expected = [4 * x**3, 12 * x**2 * d, 24 * x * d**2]
    for order in range(3):
        slope = sg.grad(derivative, leaf)
        found = sg.compile(slope, mode=mode)(x)
        np.testing.assert_allclose(found, is_largest * expected[order], rtol=1e-13)
        derivative = (slope * direction).sum()


def test_second_derivative_of_squared_means():
    x = distinct(1, 1, 5, 7)
    leaf = sg.Placeholder("x", x.shape, "float64")
    y = sg.nn.average_pool2d(leaf, (2, 3), (1, 2), (1, 1))
    loss = (y * y).sum()
    product = sg.hvp(loss, leaf, np.ones_like(x))
    # The loss is quadratic: its Hessian times a vector is its gradient there.
    expected = sg.compile(sg.grad(loss, leaf))(np.ones_like(x))
    np.testing.assert_allclose(sg.compile(product)(x), expected, rtol=1e-13)


def test_one_compilation_serves_all_extents():
    leaf = placeholder("float32")
    y = sg.nn.max_pool2d(leaf, 2)
    function = sg.compile((y, sg.grad(y.sum(), leaf), sg.nn.average_pool2d(leaf, 2)))
    for shape in ((1, 3, 4, 4), (7, 1, 9, 40), (64, 2, 2, 2), (0, 3, 4, 4)):
        largest, slope, mean = function(images(*shape))
        windows = images(*shape)[:, :, : shape[2] // 2 * 2, : shape[3] // 2 * 2]
        windows = windows.reshape(*shape[:2], shape[2] // 2, 2, shape[3] // 2, 2)
        np.testing.assert_array_equal(largest, windows.max(axis=(3, 5)))
        np.testing.assert_allclose(mean, windows.mean(axis=(3, 5)), rtol=1e-6)
        assert slope.sum() == largest.size
    assert function.compile_count == 1


def test_threads_do_not_change_bits():
    x = np.random.default_rng(0).normal(size=(16, 8, 31, 47)).astype(np.float32)
    leaf = placeholder("float32")
    y = sg.nn.max_pool2d(leaf, 3, 2, 1) + sg.nn.average_pool2d(leaf, 3, 2, 1)
    outputs = (y, sg.grad((y * y).sum(), leaf))
    one, two = (sg.compile(outputs, threads=threads)(x) for threads in (1, 2))
    for left, right in zip(one, two, strict=True):
        assert left.tobytes() == right.tobytes()


HERE = r"[\s\S]*at .*test_pooling\.py:\d+"


@pytest.mark.parametrize("pool", [sg.nn.max_pool2d, sg.nn.average_pool2d])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 2, 3),), r"kernel is an int or a pair of ints, not \(1, 2, 3\)"),
        ((2.0,), "kernel is an int or a pair of ints, not 2.0"),
        ((True,), "kernel is an int or a pair of ints, not True"),
        (("22",), "kernel is an int or a pair of ints, not '22'"),
        ((0,), "kernel is at least 1, not 0"),
        ((2, (1, 0)), r"stride is at least 1, not \(1, 0\)"),
        ((2, 1, -1), "pad is at least 0, not -1"),
        (((2, 6),), "a kernel of 6 spans 6 elements, more than the extent 5 of axis 3 with 0"),
        ((7, 1, 1), "a kernel of 7 spans 7 elements, more than the extent 4 of axis 2 with 1"),
    ],
)
def test_bad_arguments_are_refused(pool, arguments, message):
    x = sg.Placeholder("x", ("N", 3, 4, 5), "float32")
    with pytest.raises(ShapeError, match=f"{message}{HERE}"):
        pool(x, *arguments)


@pytest.mark.parametrize("pad", [2, (0, 3)])
def test_padding_as_wide_as_the_kernel_is_refused_for_the_largest(pad):
    x = sg.Placeholder("x", ("N", 3, 4, 5), "float32")
    message = (
        f"is not smaller than kernel 2, so some .*; take less padding or .*\n.*operand 0{HERE}"
    )
    with pytest.raises(ShapeError, match=message):
        sg.nn.max_pool2d(x, 2, 1, pad)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: sg.nn.max_pool2d(x, 2),
        lambda x: sg.nn.average_pool2d(x, 2),
        sg.nn.global_average_pool2d,
    ],
)
def test_what_are_no_images_is_refused(pool):
    with pytest.raises(ShapeError, match=rf"x needs the axes \(N, C, H, W\), but has .*{HERE}"):
        pool(sg.Placeholder("x", (3, 4, 5), "float32"))
    function = sg.compile(pool(sg.Placeholder("x", dtype="float32")))
    with pytest.raises(ShapeError, match=rf"x needs the axes \(N, C, H, W\), but has .*{HERE}"):
        function(np.ones((4, 5), np.float32))


@pytest.mark.parametrize("pool", [sg.nn.max_pool2d, sg.nn.average_pool2d])
def test_images_smaller_than_the_kernel_are_refused_when_called(pool):
    x = sg.Placeholder("x", ("N", 3, "H", "W"), "float32")
    function = sg.compile(pool(x, (2, 4)))
    assert function(np.ones((1, 3, 2, 4), np.float32)).shape == (1, 3, 1, 1)
    with pytest.raises(FeedError, match=f"a kernel of 4 spans 4 elements, more than .* W {HERE}"):
        function(np.ones((1, 3, 2, 3), np.float32))
    with pytest.raises(FeedError, match=f"a kernel of 2 spans 2 elements, more than .* H {HERE}"):
        function(np.ones((1, 3, 1, 4), np.float32))


def test_empty_planes_are_refused():
    x = sg.Placeholder("x", ("N", 3, 0, 4), "float32")
    with pytest.raises(ShapeError, match=f"axis 2 of .* is empty, so windows hold nothing{HERE}"):
        sg.nn.max_pool2d(x, 2, 1, 1)


def test_bools_have_no_sum_of_gradients():
    from symgraph.ops.max_pooling import MAX_POOL2D_SCATTER

    x = sg.Placeholder("x", (1, 1, 2, 2), "bool")
    attrs = {"kernel": (2, 2), "stride": (2, 2), "pad": (0, 0)}
    with pytest.raises(DTypeError, match="bools do not add up in place"):
        MAX_POOL2D_SCATTER(sg.nn.max_pool2d(x, 2), x, **attrs)
