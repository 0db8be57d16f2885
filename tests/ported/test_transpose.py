"""Counterparts of DeZero's tests of transpose."""

import numpy as np

import symgraph as sg
from tests.ported.checks import check_gradient, generator, run


class TestTranspose:
    def test_forward1(self):
        x = np.array([[1, 2, 3], [4, 5, 6]])
        np.testing.assert_array_equal(run(sg.transpose, x), x.T, strict=True)

    def test_backward1(self):
        check_gradient(sg.transpose, [[1, 2, 3], [4, 5, 6]])

    def test_backward2(self):
        check_gradient(sg.transpose, [1, 2, 3])

    def test_backward3(self):
        check_gradient(sg.transpose, generator().normal(size=(10, 5)))

    def test_backward4(self):
        check_gradient(sg.transpose, [1, 2])
