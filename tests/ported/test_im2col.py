"""Counterparts of DeZero's tests of im2col and col2im."""

import numpy as np

from symgraph import nn
from tests.ported.checks import check_gradient, generator, run

X = np.arange(9.0).reshape(1, 1, 3, 3)
SHAPE = (1, 1, 3, 3)


class TestIm2col:
    def test_forward1(self):
        result = run(lambda x: nn.im2col(x, 3, stride=3, pad=0, to_matrix=True), X)
        np.testing.assert_array_equal(result, [range(9)])

    def test_backward1(self):
        check_gradient(lambda x: nn.im2col(x, 3, stride=3, pad=0, to_matrix=True), X)

    def test_backward2(self):
        check_gradient(lambda x: nn.im2col(x, 3, stride=3, pad=0, to_matrix=False), X)


class TestCol2in:
    def test_backward1(self):
        x = generator().uniform(size=(1, 9))
        check_gradient(lambda c: nn.col2im(c, SHAPE, 3, stride=3, pad=0, to_matrix=True), x)

    def test_backward2(self):
        x = generator().uniform(size=(1, 1, 3, 3, 1, 1))
        check_gradient(lambda c: nn.col2im(c, SHAPE, 3, stride=3, pad=0, to_matrix=False), x)
