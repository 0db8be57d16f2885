"""Counterparts of DeZero's tests of dropout.

The originals draw one mask again and again by seeding before every call; here the mask is held by
drawing it once, as a factor.
"""

import numpy as np

import symgraph as sg
from symgraph import nn
from tests.ported.checks import check_gradient, generator, run

X = generator().normal(size=(100, 100))


def check_masked(shape, ratio):
    """Check the gradient under a mask that stays, and that dropout's own mask is such a one."""
    ones = sg.compile(nn.dropout(np.ones(shape), ratio, seed=0))()
    kept = np.isclose(ones, 1 / (1 - ratio))
    assert np.array_equal(kept, ones != 0)
    x = sg.Placeholder("x", shape, "float64")
    y = nn.dropout(x, ratio, seed=0)
    value, slope = sg.compile([y, sg.grad(sg.sum(y), x)])(x=X[: shape[0], : shape[1]])
    np.testing.assert_allclose(slope * X[: shape[0], : shape[1]], value, rtol=1e-12)
    np.testing.assert_array_equal(slope != 0, value != 0)
    check_gradient(lambda node: node * ones, X[: shape[0], : shape[1]])


class TestDropout:
    def test_forward1(self):
        np.testing.assert_array_equal(run(lambda x: nn.dropout(x, 0.0), X), X)

    def test_forward2(self):
        np.testing.assert_array_equal(run(lambda x: nn.dropout(x, training=False), X), X)

    def test_backward1(self):
        check_masked((10, 10), 0.5)

    def test_backward2(self):
        check_masked((10, 20), 0.99)

    def test_backward3(self):
        check_masked((10, 10), 0.0)
