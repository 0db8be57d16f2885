"""Counterparts of DeZero's tests of the mean squared error.

Both classes of the original have one name, so that the first never runs.
"""

import numpy as np

import symgraph as sg
from symgraph import nn
from tests.ported.checks import check_gradient, generator, run

X = np.array([0.0, 1.0, 2.0])
OTHER = np.array([1.0, 1.0, 4.0])


def written_out(x, y):
    """Return the loss as the book first writes it."""
    return sg.sum((x - y) ** 2) / len(x)


class TestMSE_simple:
    def test_forward1(self):
        assert run(written_out, X, X) == 0
        np.testing.assert_allclose(run(written_out, X, OTHER), 5 / 3, rtol=1e-15)

    def test_backward1(self):
        x, y = generator().uniform(size=(2, 10))
        check_gradient(lambda node: written_out(node, y), x)

    def test_backward2(self):
        x, y = generator().uniform(size=(2, 100))
        check_gradient(lambda node: written_out(node, y), x)


class TestMSE:
    def test_forward1(self):
        assert run(nn.mean_squared_error, X, X) == 0
        np.testing.assert_allclose(run(nn.mean_squared_error, X, OTHER), 5 / 3, rtol=1e-15)

    def test_backward1(self):
        x, y = generator().uniform(size=(2, 10))
        check_gradient(lambda node: nn.mean_squared_error(node, y), x)

    def test_backward2(self):
        x, y = generator().uniform(size=(2, 100))
        check_gradient(lambda node: nn.mean_squared_error(node, y), x)
