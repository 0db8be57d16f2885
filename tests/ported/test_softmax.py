"""Counterparts of DeZero's tests of softmax and log_softmax.

The class TestSoftmax stands twice in the original, word by word, and the second hides the first;
here the second goes along the last axis.
"""

import numpy as np

import symgraph as sg
from tests.ported import checks
from tests.ported.checks import check_gradient, generator, run

X = np.array([[0, 1, 2], [0, 2, 4]], "float32")
SQUARE = generator().uniform(size=(10, 10))
CUBE = generator().uniform(size=(10, 10, 10))
LOGITS = np.array([[-1, 0, 1, 2], [2, 0, 1, -1]], "float32")


def written_out(x):
    """Return softmax as the book first writes it."""
    y = sg.exp(x)
    return y / sg.sum(y, axis=1, keepdims=True)


def along_rows(x):
    return sg.softmax(x, axis=1)


def along_last(x):
    return sg.softmax(x, axis=-1)


def expect_softmax(f, x, axis=1):
    result = run(f, x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, checks.softmax(x.astype("float64"), axis), rtol=1e-6)


class TestSoftmaxSimple:
    def test_forward1(self):
        expect_softmax(written_out, X)

    def test_forward2(self):
        expect_softmax(written_out, SQUARE.astype("float32"))

    def test_forward3(self):
        expect_softmax(written_out, CUBE.astype("float32"))

    def test_backward1(self):
        check_gradient(written_out, X)

    def test_backward2(self):
        check_gradient(written_out, SQUARE)

    def test_backward3(self):
        check_gradient(written_out, CUBE)


class TestSoftmax:
    def test_forward1(self):
        expect_softmax(along_rows, X)

    def test_forward2(self):
        expect_softmax(along_rows, SQUARE.astype("float32"))

    def test_forward3(self):
        expect_softmax(along_rows, CUBE.astype("float32"))

    def test_backward1(self):
        check_gradient(along_rows, X)

    def test_backward2(self):
        check_gradient(along_rows, SQUARE)

    def test_backward3(self):
        check_gradient(along_rows, CUBE)


class TestSoftmaxAgain:
    def test_forward1(self):
        expect_softmax(along_last, X, -1)

    def test_forward2(self):
        expect_softmax(along_last, SQUARE.astype("float32"), -1)

    def test_forward3(self):
        expect_softmax(along_last, CUBE.astype("float32"), -1)

    def test_backward1(self):
        check_gradient(along_last, X)

    def test_backward2(self):
        check_gradient(along_last, SQUARE)

    def test_backward3(self):
        check_gradient(along_last, CUBE)


class TestLogSoftmax:
    def test_forward1(self):
        expected = np.log(checks.softmax(LOGITS.astype("float64")))
        np.testing.assert_allclose(run(sg.log_softmax, LOGITS), expected, rtol=1e-6)

    def test_backward1(self):
        check_gradient(sg.log_softmax, LOGITS)

    def test_backward2(self):
        check_gradient(sg.log_softmax, generator().normal(size=(10, 10)))
