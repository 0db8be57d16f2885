"""Counterparts of DeZero's tests of max; the last two of the original are about sums."""

import numpy as np

import symgraph as sg
from tests.ported.checks import check_gradient, generator, run

LINE = generator().uniform(size=10)
CUBE = generator().uniform(size=(10, 20, 30))


def expect_max(x, **options):
    result = run(lambda node: sg.max(node, **options), x)
    np.testing.assert_array_equal(result, np.max(x, **options), strict=True)


class TestMax:
    def test_forward1(self):
        assert run(sg.max, LINE) == LINE.max()

    def test_forward2(self):
        expect_max(CUBE, axis=1)

    def test_forward3(self):
        expect_max(CUBE, axis=(0, 1))

    def test_forward4(self):
        expect_max(CUBE, axis=(0, 1), keepdims=True)

    def test_backward1(self):
        check_gradient(sg.max, LINE)

    def test_backward2(self):
        check_gradient(lambda x: sg.max(x, axis=1), 100 * CUBE[0, :10, :10])

    def test_backward3(self):
        check_gradient(lambda x: sg.max(x, axis=(1, 2)), 100 * CUBE)

    def test_backward4(self):
        check_gradient(lambda x: sg.sum(x, axis=None), 100 * CUBE)

    def test_backward5(self):
        check_gradient(lambda x: sg.sum(x, axis=None, keepdims=True), 100 * CUBE)
