"""What conv2d and deconv2d refuse, and what they say."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, FeedError, ShapeError
from symgraph.ops.convolution_core import CONVOLUTION_WEIGHT

IMAGES = sg.Placeholder("x", ("N", 4, 8, 8), "float32")


def filters(*shape, dtype="float32"):
    return sg.Placeholder("w", shape, dtype)


@pytest.mark.parametrize(
    ("shape", "attrs", "message"),
    [
        ((8, 3, 3, 3), {}, r"x has 4 channels \(float32\[N, 4, 8, 8\]\), but w takes 3"),
        ((8, 4, 3, 3), {"groups": 2}, "x has 4 channels .*, but w takes 8"),
        ((9, 2, 3, 3), {"groups": 2}, "2 groups do not divide axis 0 of w"),
        ((8, 4, 9, 3), {}, "a kernel of 9 spans 9 elements, more than the extent 8 of axis 2"),
        ((8, 4, 3, 5), {"dilation": 2}, "a kernel of 5 dilated by 2 spans 9 elements"),
        ((8, 4, 3), {}, r"w needs the axes \(outputs, inputs / groups, height, width\)"),
        ((8, 4, 0, 3), {}, "the kernel is empty: axis 2 of w"),
        ((8, 4, 3, 3), {"pad": -1}, "pad is at least 0, not -1"),
        ((8, 4, 3, 3), {"stride": 0}, "stride is at least 1, not 0"),
        ((8, 4, 3, 3), {"dilation": (1, 0)}, r"dilation is at least 1, not \(1, 0\)"),
        ((8, 4, 3, 3), {"stride": (1, 1, 1)}, r"stride is an int or a pair of ints, not \(1"),
        ((8, 4, 3, 3), {"pad": 0.5}, "pad is an int or a pair of ints, not 0.5"),
        ((8, 4, 3, 3), {"pad": "12"}, "pad is an int or a pair of ints, not '12'"),
        ((8, 4, 3, 3), {"groups": 0}, "groups is at least 1, not 0"),
        ((8, 4, 3, 3), {"groups": 1.0}, "groups must be an int, not 1.0"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_users_line(shape, attrs, message):
    with pytest.raises(ShapeError, match=rf"(?s){message}.*test_convolution_errors\.py:\d+"):
        sg.nn.conv2d(IMAGES, filters(*shape), **attrs)


@pytest.mark.parametrize(
    ("bias", "message"),
    [((7,), "b has 7 elements, but the result has 8 channels"), ((8, 1), "b needs one axis")],
)
def test_bias(bias, message):
    with pytest.raises(ShapeError, match=rf"(?s)conv2d: {message}.*_errors\.py:\d+"):
        sg.nn.conv2d(IMAGES, filters(8, 4, 3, 3), np.ones(bias, np.float32))


def test_images_have_four_axes():
    x = sg.Placeholder("x", ("N", 64), "float32")
    with pytest.raises(ShapeError, match=r"x needs the axes \(N, C, H, W\), but has the type"):
        sg.nn.conv2d(x, filters(8, 4, 3, 3))
    with pytest.raises(ShapeError, match=r"x needs the axes \(N, C, H, W\), but has the type"):
        sg.nn.deconv2d(x, filters(4, 8, 3, 3))


def test_bools():
    x = sg.Placeholder("x", ("N", 4, 8, 8), "bool")
    with pytest.raises(DTypeError, match="operands are numbers of one dtype, not bool and bool"):
        sg.nn.conv2d(x, filters(8, 4, 3, 3, dtype="bool"))


@pytest.mark.parametrize(
    ("shape", "attrs", "message"),
    [
        ((3, 8, 3, 3), {}, "x has 4 channels .*, but w takes 3"),
        ((4, 8, 3), {}, r"w needs the axes \(inputs, outputs / groups, height, width\)"),
        ((4, 8, 3, 3), {"groups": 3}, "3 groups do not divide axis 0 of w"),
        ((4, 8, 1, 1), {"pad": 4}, "8 windows of 1 of axis 2 with 4 of padding on each side"),
        ((4, 8, 3, 3), {"stride": 2, "outsize": 20}, "axis 2 has extent 8, but 9 windows fit"),
        ((4, 8, 3, 3), {"outsize": (1, 2, 3)}, r"outsize is an extent or a pair of extents"),
        ((4, 8, 3, 3), {"outsize": -1}, "outsize is an extent or a pair of extents, not -1"),
    ],
)
def test_transposed(shape, attrs, message):
    with pytest.raises(ShapeError, match=rf"(?s){message}.*test_convolution_errors\.py:\d+"):
        sg.nn.deconv2d(IMAGES, filters(*shape), **attrs)


def test_extents_that_a_call_tells_are_checked_before_it_runs():
    x = sg.Placeholder("x", ("N", "C", "H", 8), "float32")
    f = sg.compile(sg.nn.conv2d(x, np.ones((8, 4, 3, 3), np.float32)))
    with pytest.raises(FeedError, match="a kernel of 3 spans 3 elements, more than the extent H"):
        f(np.ones((1, 4, 2, 8), np.float32))
    with pytest.raises(FeedError, match=r"x has C channels .*, but w takes 4 .*here 5 and 4"):
        f(np.ones((1, 5, 8, 8), np.float32))
    assert f(np.ones((1, 4, 3, 8), np.float32)).shape == (1, 8, 1, 6)


@pytest.mark.parametrize("shape", [None, (None, None, None, 8)])
def test_open_extents_are_called_by_their_feed_and_axis(shape):
    x = sg.Placeholder("x", shape, "float32")
    f = sg.compile(sg.nn.conv2d(x, np.ones((8, 4, 3, 3), np.float32)))
    message = (
        r"x has x\.shape\[1\] channels .*, but w takes 4 .*, here 5 and 4\n"
        r"  x\.shape\[1\] is axis 1 of the feed 'x' \(made at .*test_convolution_errors\.py:\d+\); "
        "give it a number there"
    )
    with pytest.raises(FeedError, match=message):
        f(np.ones((1, 5, 8, 8), np.float32))
    assert str(f.stages["specialise"].outputs[0].type).startswith("float32[?, 8")


def test_the_weights_gradient_checks_the_batches():
    x, g = (
        sg.Placeholder("x", (2, 1, 4, 4), "float32"),
        sg.Placeholder("g", (3, 1, 2, 2), "float32"),
    )
    attrs = {"stride": (1, 1), "pad": (0, 0), "dilation": (1, 1), "groups": 1, "kernel": (3, 3)}
    with pytest.raises(ShapeError, match="the batches differ: 2 and 3"):
        CONVOLUTION_WEIGHT(x, g, **attrs)
