"""Counterparts of DeZero's tests of relu and leaky_relu."""

import numpy as np
import pytest

import symgraph as sg
from tests.ported.checks import check_gradient, generator, run

X = np.array([[-1, 0], [2, -3], [-2, 1]], "float32")
AWAY_FROM_ZERO = [[-1, 1, 2], [-1, 2, 4]]
SQUARE = 100 * generator().uniform(size=(10, 10))
CUBE = 100 * generator().uniform(size=(10, 10, 10))


class TestRelu:
    def test_forward1(self):
        expected = np.array([[0, 0], [2, 0], [0, 1]], "float32")
        np.testing.assert_array_equal(run(sg.relu, X), expected, strict=True)

    def test_backward1(self):
        check_gradient(sg.relu, AWAY_FROM_ZERO)

    def test_backward2(self):
        check_gradient(sg.relu, SQUARE)

    @pytest.mark.parametrize("shift", [0.0, 50.0])
    def test_backward3(self, shift):
        check_gradient(sg.relu, CUBE - shift)


class TestLeakyRelu:
    def test_forward1(self):
        expected = [[-0.2, 0], [2, -0.6], [-0.4, 1]]
        np.testing.assert_allclose(run(sg.leaky_relu, X), expected, rtol=1e-7)

    def test_forward2(self):
        x = generator().normal(size=100)
        result = run(lambda node: sg.leaky_relu(node, 0.002), x)
        np.testing.assert_array_equal(result, np.where(x > 0, x, 0.002 * x))

    def test_backward1(self):
        check_gradient(sg.leaky_relu, AWAY_FROM_ZERO)

    def test_backward2(self):
        check_gradient(sg.leaky_relu, SQUARE)

    @pytest.mark.parametrize("shift", [0.0, 50.0])
    def test_backward3(self, shift):
        check_gradient(sg.leaky_relu, CUBE - shift)
