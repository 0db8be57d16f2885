"""Counterparts of DeZero's tests of sum and sum_to."""

import numpy as np

import symgraph as sg
from tests.ported.checks import check_gradient, generator, run

LINE = generator().uniform(size=10)
SQUARE = generator().uniform(size=(10, 10))
CUBE = generator().uniform(size=(10, 20, 20))
LARGE = generator().uniform(size=(10, 20, 30))


def expect_sum(x, **options):
    result = run(lambda node: sg.sum(node, **options), x)
    expected = np.sum(x, **options)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-14)


class TestSum:
    def test_datatype(self):
        result = run(sg.sum, LINE)
        assert isinstance(result, np.ndarray)
        assert result.ndim == 0

    def test_forward1(self):
        assert run(sg.sum, np.array(2.0)) == 2

    def test_forward2(self):
        expect_sum(LARGE, axis=1)

    def test_forward3(self):
        expect_sum(LARGE, axis=1, keepdims=True)

    def test_backward1(self):
        check_gradient(sg.sum, LINE)

    def test_backward2(self):
        check_gradient(lambda x: sg.sum(x, axis=1), SQUARE)

    def test_backward3(self):
        check_gradient(lambda x: sg.sum(x, axis=2), CUBE)

    def test_backward4(self):
        check_gradient(lambda x: sg.sum(x, axis=None), CUBE)


class TestSumTo:
    def test_forward1(self):
        result = run(lambda x: sg.sum_to(x, (1,)), LINE)
        assert result.shape == (1,)
        np.testing.assert_allclose(result, LINE.sum(), rtol=1e-14)

    def test_forward2(self):
        x = np.array([[1.0, 2, 3], [4, 5, 6]])
        np.testing.assert_array_equal(run(lambda node: sg.sum_to(node, (1, 3)), x), [[5, 7, 9]])

    def test_forward3(self):
        np.testing.assert_array_equal(run(lambda x: sg.sum_to(x, (10,)), LINE), LINE)

    def test_backward1(self):
        check_gradient(lambda x: sg.sum_to(x, (1,)), LINE)

    def test_backward2(self):
        check_gradient(lambda x: sg.sum_to(x, (10,)), 10 * SQUARE)

    def test_backward3(self):
        check_gradient(lambda x: sg.sum_to(x, (20,)), 100 * CUBE)

    def test_backward4(self):
        check_gradient(lambda x: sg.sum_to(x, (10,)) + 1, LINE)
