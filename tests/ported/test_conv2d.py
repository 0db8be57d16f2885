"""Counterparts of DeZero's tests of conv2d, and of its plain form by im2col."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import nn
from tests.ported.checks import check_gradient, convolution, generator, run

SAME = ((1, 5, 15, 15), (8, 5, 3, 3), (1, 1), (1, 1))
STRIDED = ((1, 5, 15, 15), (8, 5, 3, 3), (3, 1), (2, 1))
OBLONG = ((1, 5, 20, 15), (3, 5, 5, 3), 1, 3)


def by_patches(x, w, b=None, stride=1, pad=0):
    """Return the convolution as the book first writes it: patches times filters."""
    out, kernel = w.shape[0], w.shape[2:]
    size = nn.get_conv_outsize
    (sh, sw), (ph, pw) = nn.pair(stride), nn.pair(pad)
    height, width = size(x.shape[2], kernel[0], sh, ph), size(x.shape[3], kernel[1], sw, pw)
    columns = nn.im2col(x, kernel, stride=stride, pad=pad, to_matrix=True)
    y = columns @ w.reshape(out, -1).T
    if b is not None:
        y = y + b
    return y.reshape(x.shape[0], height, width, out).transpose(0, 3, 1, 2)


def operands(case, dtype="float64"):
    drawn = generator()
    x, w, b = (drawn.normal(size=s).astype(dtype) for s in (*case[:2], case[1][:1]))
    return x, w, b


def expect_convolution(f, case, with_bias=False):
    x, w, b = operands(case, "float32")
    given = (x, w, b) if with_bias else (x, w)
    result = run(lambda *nodes: f(*nodes, stride=case[2], pad=case[3]), *given)
    assert result.dtype == np.float32
    expected = convolution(x, w, b if with_bias else None, *case[2:])
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def check_slope(f, position):
    values = list(operands(OBLONG))

    def of_one(node):
        given = [*values[:position], node, *values[position + 1 :]]
        nodes = [v if isinstance(v, sg.Node) else sg.Constant(v) for v in given]
        return f(*nodes, stride=OBLONG[2], pad=OBLONG[3])

    check_gradient(of_one, values[position])


class _Tests:
    def test_forward1(self, f):
        expect_convolution(f, SAME)

    def test_forward2(self, f):
        expect_convolution(f, STRIDED)

    def test_forward3(self, f):
        expect_convolution(f, OBLONG)

    def test_forward4(self, f):
        expect_convolution(f, OBLONG, with_bias=True)

    def test_backward1(self, f):
        check_slope(f, 0)

    def test_backward2(self, f):
        check_slope(f, 2)

    def test_backward3(self, f):
        check_slope(f, 1)


class TestConv2d_simple(_Tests):
    @pytest.fixture
    def f(self):
        return by_patches


class TestConv2d(_Tests):
    @pytest.fixture
    def f(self):
        return nn.conv2d
