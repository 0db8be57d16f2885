"""Counterparts of DeZero's tests of pooling, of its plain form by im2col, and of averages."""

import numpy as np

import symgraph as sg
from symgraph import nn
from tests.ported.checks import check_gradient, generator, run, windows

KERNEL, STRIDE = 2, 2
EVEN = generator().normal(size=(1, 5, 16, 16)).astype("float32")
ODD = generator().normal(size=(1, 5, 15, 15)).astype("float32")


def by_patches(x):
    """Return max pooling as the book first writes it: the largest of each patch."""
    return sg.max(nn.im2col(x, KERNEL, stride=STRIDE, to_matrix=False), axis=(2, 3))


def largest(x):
    return nn.max_pool2d(x, KERNEL, STRIDE)


def average(x):
    return nn.average_pool2d(x, KERNEL, STRIDE)


def expect_largest(f, x):
    expected = windows(x, KERNEL, STRIDE, 0).max(axis=(-1, -2))
    np.testing.assert_array_equal(run(f, x), expected, strict=True)


def expect_average(x):
    expected = windows(x.astype("float64"), KERNEL, STRIDE, 0).mean(axis=(-1, -2))
    result = run(average, x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-7)


class TestPooling_simple:
    def test_forward1(self):
        expect_largest(by_patches, EVEN)

    def test_forward2(self):
        expect_largest(by_patches, ODD)

    def test_backward1(self):
        check_gradient(by_patches, 1000 * EVEN)


class TestPooling:
    def test_forward1(self):
        expect_largest(largest, EVEN)

    def test_forward2(self):
        expect_largest(largest, ODD)

    def test_backward1(self):
        check_gradient(largest, 1000 * EVEN)


class TestAveragePooling:
    def test_forward1(self):
        expect_average(EVEN)

    def test_forward2(self):
        expect_average(ODD)

    def test_backward1(self):
        check_gradient(average, 1000 * EVEN)
