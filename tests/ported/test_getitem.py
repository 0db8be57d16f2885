"""Counterparts of DeZero's tests of indexing; the originals of the last two assert nothing."""

import numpy as np

import symgraph as sg
from tests.ported.checks import check_gradient, run

X = np.arange(12).reshape(2, 2, 3)


def expect_item(key):
    np.testing.assert_array_equal(run(lambda x: x[key], X), X[key])


class TestGetitem:
    def test_forward1(self):
        np.testing.assert_array_equal(run(lambda x: sg.take(x, 0, axis=0), X), X[0])

    def test_forward1a(self):
        expect_item(0)

    def test_forward2(self):
        expect_item((0, 0, slice(0, 2, 1)))

    def test_forward3(self):
        expect_item((..., 2))

    def test_backward1(self):
        check_gradient(lambda x: x[1], [[1, 2, 3], [4, 5, 6]])

    def test_backward2(self):
        check_gradient(lambda x: x[1:3], np.arange(12).reshape(4, 3))
