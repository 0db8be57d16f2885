"""Counterparts of DeZero's tests of add, mul and div."""

import numpy as np
import pytest

from tests.ported.checks import check_gradient, generator, run

ONE_TO_THREE = np.array([1, 2, 3])
X, Y = generator().normal(size=(2, 3, 3))
COLUMN = Y[:, :1]


class TestAdd:
    def test_forward1(self):
        result = run(lambda x: ONE_TO_THREE + x, ONE_TO_THREE)
        np.testing.assert_array_equal(result, [2, 4, 6])

    def test_datatype(self):
        result = run(lambda x: x**2, np.array(2.0))
        assert isinstance(result, np.ndarray)
        assert (result.ndim, result.item()) == (0, 4)

    def test_backward1(self):
        check_gradient(lambda x: x + Y, X)

    def test_backward2(self):
        check_gradient(lambda x: x + COLUMN, X)

    def test_backward3(self):
        check_gradient(lambda y: X + y, COLUMN)


class TestMul:
    def test_forward1(self):
        result = run(lambda x: ONE_TO_THREE * x, ONE_TO_THREE)
        np.testing.assert_array_equal(result, [1, 4, 9])

    def test_backward1(self):
        check_gradient(lambda x: x * Y, X)

    def test_backward2(self):
        check_gradient(lambda x: x * COLUMN, X)

    def test_backward3(self):
        check_gradient(lambda y: X * y, COLUMN)


class TestDiv:
    def test_forward1(self):
        result = run(lambda x: ONE_TO_THREE / x, ONE_TO_THREE)
        np.testing.assert_array_equal(result, [1, 1, 1])

    def test_backward1(self):
        check_gradient(lambda x: x / Y, X)

    def test_backward2(self):
        check_gradient(lambda x: x / COLUMN, X)

    @pytest.mark.parametrize("away", [2.0, -2.0])
    def test_backward3(self, away):
        check_gradient(lambda y: X / y, COLUMN + np.copysign(away, COLUMN))
