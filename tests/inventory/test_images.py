"""Rows of B about images: convolution, pooling, patches, with the recorded values."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import compile, grad, nn
from symgraph.layers import Conv2d
from tests.inventory_rows import array


def image(size):
    return np.arange(float(size * size)).reshape(1, 1, size, size)


def value_and_slopes(f, *values):
    """Return f's only channel and the gradients of its sum."""
    nodes = [array("xwb"[i], *np.shape(v)) for i, v in enumerate(values)]
    y = f(*nodes)
    value, *slopes = compile([y, *grad(sg.sum(y), nodes)], inputs=nodes)(*values)
    return value[0, 0], slopes


@pytest.mark.inventory("B.Conv2d")
def test_convolution():
    bias = np.array([1.0])
    y, (gx, gw, gb) = value_and_slopes(nn.conv2d, image(4), image(3), bias)
    np.testing.assert_array_equal(y, [[259, 295], [403, 439]])
    np.testing.assert_array_equal(gw[0, 0], [[10, 14, 18], [26, 30, 34], [42, 46, 50]])
    assert (gb, gx.sum()) == (4, 4 * 36)
    y, _ = value_and_slopes(lambda *nodes: nn.conv2d(*nodes, pad=1), image(4), image(3))
    np.testing.assert_array_equal(y[0], [73, 121, 154, 103])
    assert y.sum() == 3390
    y, _ = value_and_slopes(lambda *nodes: nn.conv2d(*nodes, stride=2), image(7), image(3))
    expected = [[420, 492, 564], [924, 996, 1068], [1428, 1500, 1572]]
    np.testing.assert_array_equal(y, expected)


@pytest.mark.inventory("B.Deconv2d")
def test_transposed_convolution():
    y, (gx, gw) = value_and_slopes(nn.deconv2d, image(2), image(3))
    expected = [[0, 0, 1, 2], [0, 5, 11, 11], [6, 23, 29, 23], [12, 32, 37, 24]]
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(gx[0, 0], np.full((2, 2), 36))
    np.testing.assert_array_equal(gw[0, 0], np.full((3, 3), 6))
    y, _ = value_and_slopes(lambda *n: nn.deconv2d(*n, stride=2, pad=1), image(2), image(4))
    assert y.shape == (4, 4)
    np.testing.assert_array_equal(y[0], [0, 4, 5, 6])
    y, _ = value_and_slopes(lambda *n: nn.deconv2d(*n, outsize=(4, 4)), image(2), image(3))
    np.testing.assert_array_equal(y, expected)


@pytest.mark.inventory("B.MaxPooling")
def test_max_pooling():
    y, (slope,) = value_and_slopes(lambda x: nn.max_pool2d(x, 2), image(4))
    np.testing.assert_array_equal(y, [[5, 7], [13, 15]])
    np.testing.assert_array_equal(np.argwhere(slope[0, 0]), [[1, 1], [1, 3], [3, 1], [3, 3]])
    y, _ = value_and_slopes(lambda x: nn.max_pool2d(x, 3, 2), image(5))
    np.testing.assert_array_equal(y, [[12, 14], [22, 24]])
    assert nn.max_pool2d(array("x", 1, 1, 15, 15), 3, 2).shape == (1, 1, 7, 7)
    y, _ = value_and_slopes(lambda x: nn.max_pool2d(x, 3, 2, 1), np.full((1, 1, 4, 4), -1.0))
    np.testing.assert_array_equal(y, np.full((2, 2), -1))  # padded with -inf, not with 0


@pytest.mark.inventory("B.AveragePooling")
def test_average_pooling():
    y, (slope,) = value_and_slopes(lambda x: nn.average_pool2d(x, 2), image(4))
    np.testing.assert_array_equal(y, [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(slope, np.full((1, 1, 4, 4), 0.25))


PATCHES = [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]


@pytest.mark.inventory("B.Im2col")
def test_patches():
    assert nn.im2col(array("x", 1, 3, 7, 7), 5).shape == (9, 75)
    assert nn.im2col(array("x", 10, 3, 7, 7), 5).shape == (90, 75)
    assert nn.im2col(array("x", 1, 3, 7, 7), 5, to_matrix=False).shape == (1, 3, 5, 5, 3, 3)
    x = array("x", 1, 1, 3, 3)
    np.testing.assert_array_equal(compile(nn.im2col(x, 2))(x=image(3)), PATCHES)


@pytest.mark.inventory("B.Col2im")
def test_the_adjoint_of_patches():
    columns = array("columns", 4, 4)
    f = compile(nn.col2im(columns, (1, 1, 3, 3), 2))
    np.testing.assert_array_equal(f(columns=PATCHES)[0, 0], [[0, 2, 2], [6, 16, 10], [6, 14, 8]])


@pytest.mark.inventory("E3")
def test_layers_of_convolutions():
    x = array("x", 1, 5, 15, 15)
    layer = Conv2d(8, 3, pad=1, dtype="float64", seed=0)
    y = layer(x)
    assert y.shape == (1, 8, 15, 15)
    assert grad(sg.sum(y), x).shape == (1, 5, 15, 15)
    assert layer.W.shape == (8, 5, 3, 3)
    bank = Conv2d(20, 5, dtype="float64", seed=0)
    bank(array("x", "N", 3, 28, 28))
    assert bank.W.shape == (20, 3, 5, 5)
    assert bank.W.value.std() == pytest.approx(np.sqrt(1 / 75), rel=0.05)
    np.testing.assert_array_equal(bank.b.value, np.zeros(20))
