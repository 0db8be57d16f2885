"""Counterparts of DeZero's tests of linear."""

import numpy as np

from symgraph import nn
from tests.ported.checks import check_gradient, generator, run

X = np.array([[1, 2, 3], [4, 5, 6]])
GENERATOR = generator()
INPUTS, WEIGHTS, BIAS = (GENERATOR.normal(size=shape) for shape in ((3, 2), (2, 3), (3,)))


class TestLinear:
    def test_forward1(self):
        np.testing.assert_array_equal(run(nn.linear, X, X.T), [[14, 32], [32, 77]])

    def test_forward2(self):
        x = X.astype("float32")
        result = run(nn.linear, x, x.T)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, [[14, 32], [32, 77]])

    def test_forward3(self):
        x = X.astype("float32")
        w = generator().normal(size=(3, 2)).astype("float32")
        b = np.array([0.5, -0.25], "float32")
        np.testing.assert_allclose(run(nn.linear, x, w, b), x @ w + b, rtol=1e-5)

    def test_backward1(self):
        check_gradient(lambda x: nn.linear(x, WEIGHTS, BIAS), INPUTS)

    def test_backward1_again(self):
        """The original is hidden by its own twin; here the twin goes by the other operands."""
        check_gradient(lambda w: nn.linear(INPUTS, w, BIAS), WEIGHTS)
        check_gradient(lambda b: nn.linear(INPUTS, WEIGHTS, b), BIAS)

    def test_backward2(self):
        drawn = generator(3)
        w = drawn.normal(size=(200, 300))
        check_gradient(lambda x: nn.linear(x, w), drawn.normal(size=(100, 200)))
