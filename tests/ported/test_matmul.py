"""Counterparts of DeZero's tests of matmul."""

import numpy as np

from tests.ported.checks import check_gradient, generator, run

X = np.array([[1, 2, 3], [4, 5, 6]])


class TestMatmul:
    def test_forward1(self):
        np.testing.assert_array_equal(run(lambda x, w: x @ w, X, X.T), [[14, 32], [32, 77]])

    def test_backward1(self):
        x, w = generator().normal(size=(2, 3, 2))
        check_gradient(lambda node: node @ w.T, x)

    def test_backward2(self):
        x, w = generator().normal(size=(10, 1)), generator(1).normal(size=(1, 5))
        check_gradient(lambda node: x @ node, w)
