"""Counterparts of DeZero's tests of sigmoid."""

import numpy as np

import symgraph as sg
from tests.ported.checks import check_gradient, generator, run

X = np.array([[0, 1, 2], [0, 2, 4]], "float32")


def expect_sigmoid(x):
    result = run(sg.sigmoid, x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 1 / (1 + np.exp(-x.astype("float64"))), rtol=3e-7)


class TestSigmoid:
    def test_forward1(self):
        expect_sigmoid(X)

    def test_forward2(self):
        expect_sigmoid(generator().normal(size=(10, 10)).astype("float32"))

    def test_backward1(self):
        check_gradient(sg.sigmoid, X)

    def test_backward2(self):
        check_gradient(sg.sigmoid, generator().uniform(size=(10, 10)))

    def test_backward3(self):
        check_gradient(sg.sigmoid, generator().uniform(size=(10, 10, 10)))
