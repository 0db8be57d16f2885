"""Counterpart of DeZero's test of broadcasting."""

import numpy as np

import symgraph as sg
from symgraph import Placeholder, compile, grad


class TestBroadcast:
    def test_shape_check(self):
        x, b = Placeholder("x", (1, 10), "float64"), Placeholder("b", (10,), "float64")
        slope = grad(sg.sum(x + b), b)
        assert slope.shape == b.shape
        result = compile(slope, inputs=[x, b])(np.ones((1, 10)), np.ones(10))
        np.testing.assert_array_equal(result, np.ones(10))
