"""A training step of a small MLP, for tests that look inside it."""

import numpy as np

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, grad

NAMES = ("w1", "b1", "w2", "b2")
SHAPES = ((20, 32), (32,), (32, 10), (10,))


def make_step():
    """Return the compiled step and its parameters."""
    rng = np.random.default_rng(0)
    x, t = Placeholder("x", ("N", 20), "float32"), Placeholder("t", ("N",), "int64")
    parameters = [
        Parameter(rng.standard_normal(shape).astype("f4") / 5, name)
        for shape, name in zip(SHAPES, NAMES, strict=True)
    ]
    w1, b1, w2, b2 = parameters
    hidden = sg.relu(x @ w1 + b1)
    logits = hidden @ w2 + b2
    loss = sg.nn.softmax_cross_entropy(logits, t)
    updates = {p: p - 0.1 * g for p, g in zip(parameters, grad(loss, parameters), strict=True)}
    return compile(loss, updates=updates), parameters


def feeds(count=100):
    """Return feeds for the step."""
    rng = np.random.default_rng(1)
    return {
        "x": rng.standard_normal((count, 20)).astype("f4"),
        "t": rng.integers(0, 10, count),
    }
