"""Counterparts of DeZero's tests of deconv2d."""

import numpy as np

from symgraph import nn
from tests.ported.checks import check_gradient, generator, run, transposed_convolution

STRIDE, PAD = (5, 5), (5, 5)


def operands(dtype="float64"):
    drawn = generator()
    shapes = ((10, 1, 5, 10), (1, 3, 10, 10), (3,))
    return [drawn.uniform(size=shape).astype(dtype) for shape in shapes]


def expect_values(*given):
    result = run(lambda *nodes: nn.deconv2d(*nodes, stride=STRIDE, pad=PAD), *given)
    x, w, *b = given
    expected = transposed_convolution(x, w, b[0] if b else None, STRIDE, PAD)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5)


class TestDeconv2d:
    def test_forward1(self):
        expect_values(*operands("float32"))

    def test_forward2(self):
        expect_values(*operands("float32")[:2])

    def test_backward1(self):
        x, w, _ = operands()
        check_gradient(lambda node: nn.deconv2d(node, w, stride=STRIDE, pad=PAD), x)

    def test_backward2(self):
        x, w, b = operands()
        check_gradient(lambda node: nn.deconv2d(x, node, b, stride=STRIDE, pad=PAD), w)

    def test_backward3(self):
        x, w, b = operands()
        check_gradient(lambda node: nn.deconv2d(x, w, node, stride=STRIDE, pad=PAD), b)
