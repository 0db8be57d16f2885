"""Counterparts of DeZero's tests of softmax_cross_entropy, and of its plain form."""

import numpy as np

import symgraph as sg
from symgraph import nn
from tests.ported import checks
from tests.ported.checks import check_gradient, generator, run

LOGITS = np.array([[-1, 0, 1, 2], [2, 0, 1, -1]], "float32")
LABELS = np.array([3, 0], "int32")


def written_out(x, t):
    """Return the loss as the book first writes it: softmax, clipped, its logarithm, the labels'."""
    p = sg.clip(sg.softmax(x), 1e-15, 1.0)
    return -sg.sum(sg.log(p)[np.arange(len(t)), t]) / len(t)


def expect_loss(f):
    p = checks.softmax(LOGITS.astype("float64"))
    expected = -np.log(p[np.arange(2), LABELS]).mean()
    result = run(f, LOGITS, LABELS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_allclose(expected, 0.4401896985611953, rtol=1e-12)


def check_rows(f, rows):
    drawn = generator()
    x, t = drawn.normal(size=(rows, 10)), drawn.integers(0, 10, rows)
    check_gradient(lambda node: f(node, t), x)


class TestSoftmaxCrossEntropy:
    def test_forward1(self):
        expect_loss(nn.softmax_cross_entropy)

    def test_backward1(self):
        check_gradient(lambda x: nn.softmax_cross_entropy(x, LABELS), LOGITS)

    def test_backward2(self):
        check_rows(nn.softmax_cross_entropy, 10)

    def test_backward3(self):
        check_rows(nn.softmax_cross_entropy, 100)


class TestSoftmaxCrossEntropy_simple:
    def test_forward1(self):
        expect_loss(written_out)

    def test_backward1(self):
        check_gradient(lambda x: written_out(x, LABELS), LOGITS)

    def test_backward2(self):
        check_rows(written_out, 10)

    def test_backward3(self):
        check_rows(written_out, 100)
