"""What is divided by and multiplied with cancels: gradients of logarithms at any size of logits."""

import numpy as np
import pytest

import symgraph as sg
from tests.compiler.pass_harness import canonical, leaf, op, simplified, text

SIZES = np.array([0.0, 1, -1, 30, 100, 1000, -1000])
TARGETS = np.linspace(0, 1, len(SIZES))
WEIGHTS = np.array([1.0, 2, 3])
FIRST = np.array([1.0, 0, 0])
TOLERANCE = {"float32": 3e-6, "float64": 1e-13}


def _sigmoid(z):
    decay = np.exp(-np.abs(z))
    return np.where(z < 0, decay, 1) / (1 + decay)


LOGITS = np.stack([SIZES, 0 * SIZES, 0 * SIZES + 2], axis=1)
SOFTMAX = np.exp(LOGITS - LOGITS.max(1, keepdims=True))
SOFTMAX /= SOFTMAX.sum(1, keepdims=True)


def _by_hand(z):
    return sg.exp(z) / sg.exp(z).sum(axis=1, keepdims=True)


def _binary(z, s):
    t = TARGETS.astype(z.dtype)
    return -(t * sg.log(s) + (1 - t) * sg.log(1 - s)).sum()


ROWS = {
    "log softmax": (
        lambda z: (sg.log(sg.softmax(z)) * WEIGHTS.astype(z.dtype)).sum(),
        WEIGHTS - 6 * SOFTMAX,
    ),
    "log softmax by hand": (
        lambda z: (sg.log(_by_hand(z)) * WEIGHTS.astype(z.dtype)).sum(),
        WEIGHTS - 6 * SOFTMAX,
    ),
    "logsumexp": (lambda z: sg.log(sg.exp(z).sum(1)).sum(), SOFTMAX),
    "logsumexp that keeps axes": (
        lambda z: sg.log(sg.exp(z).sum(1, keepdims=True)).sum(),
        SOFTMAX,
    ),
    "probability by hand": (
        lambda z: (_by_hand(z) * FIRST.astype(z.dtype)).sum(),
        SOFTMAX * (FIRST - SOFTMAX[:, :1]),
    ),
    "cross entropy by hand": (
        lambda z: -(sg.log(_by_hand(z)) * FIRST.astype(z.dtype)).sum(1).mean(),
        (SOFTMAX - FIRST) / len(SIZES),
    ),
}
SINGLE = {
    "log sigmoid": (lambda z: sg.log(sg.sigmoid(z)).sum(), _sigmoid(-SIZES)),
    "log of complement": (lambda z: sg.log(1 - sg.sigmoid(z)).sum(), -_sigmoid(SIZES)),
    "softplus by hand": (lambda z: sg.log(1 + sg.exp(z)).sum(), _sigmoid(SIZES)),
    "sigmoid by hand": (
        lambda z: (1 / (1 + sg.exp(-z))).sum(),
        _sigmoid(SIZES) * _sigmoid(-SIZES),
    ),
    "binary cross entropy": (
        lambda z: _binary(z, sg.sigmoid(z)),
        _sigmoid(SIZES) - TARGETS,
    ),
    "binary cross entropy by hand": (
        lambda z: _binary(z, 1 / (1 + sg.exp(-z))),
        _sigmoid(SIZES) - TARGETS,
    ),
}


def _second(build, weights):
    return lambda z: (sg.grad(build(z), z) * weights.astype(z.dtype)).sum()


_COVARIANCE = SOFTMAX * (WEIGHTS - (SOFTMAX * WEIGHTS).sum(1, keepdims=True))
ROWS |= {
    "second log softmax": (_second(ROWS["log softmax"][0], WEIGHTS), -6 * _COVARIANCE),
    "second log softmax by hand": (
        _second(ROWS["log softmax by hand"][0], WEIGHTS),
        -6 * _COVARIANCE,
    ),
    "second logsumexp": (_second(ROWS["logsumexp"][0], WEIGHTS), _COVARIANCE),
}
_SLOPE = TARGETS * _sigmoid(SIZES) * _sigmoid(-SIZES)
SINGLE |= {
    "second log sigmoid": (_second(SINGLE["log sigmoid"][0], TARGETS), -_SLOPE),
    "second softplus by hand": (_second(SINGLE["softplus by hand"][0], TARGETS), _SLOPE),
    "second binary cross entropy": (_second(SINGLE["binary cross entropy"][0], TARGETS), _SLOPE),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*ROWS, *SINGLE])
def test_gradients_are_exact_where_the_written_form_overflows(name, dtype):
    rows = name in ROWS
    build, expected = (ROWS if rows else SINGLE)[name]
    z = sg.Placeholder("z", ("N", 3) if rows else (len(SIZES),), dtype)
    found = sg.compile(sg.grad(build(z), z))(z=(LOGITS if rows else SIZES).astype(dtype))
    np.testing.assert_allclose(found, expected, rtol=0, atol=6 * TOLERANCE[dtype])


X = leaf("x", "float64", (2, 3))
Y = leaf("y", "float64", (2, 1))
P = op("exp", Y)

CANCELLED = {
    "quotient times": lambda: (X / P * P, X),
    "times quotient": lambda: (P * (X / P), X),
    "product over": lambda: (X * P / P, X),
    "times reciprocal": lambda: ((1.0 / P) * X * P, X),
    "with a sign": lambda: (-X / P * P, -X),
    "one plus exp": lambda: (X / (1.0 + P) * (1.0 + P), X),
    "exp over one plus": lambda: (P * (X / (1.0 + P)), op("sigmoid", Y) * X),
    "in a sum": lambda: (P * (X / P + X), X + P * X),
    "along an axis": lambda: (P * op("sum", X / P, axis=1, keepdims=True), None),
}


@pytest.mark.parametrize("name", CANCELLED)
def test_positive_factors_cancel(name):
    before, after = CANCELLED[name]()
    graph = simplified(before)
    rng = np.random.default_rng(0)
    fed = {"x": rng.normal(size=(2, 3)), "y": np.array([[1000.0], [-1000.0]])}
    if after is None:
        after = op("sum", X, axis=1, keepdims=True)
    expected = sg.compile(after, inputs=[X, Y])(**fed)
    found = sg.compile(graph.outputs[0], inputs=[X, Y])(**fed)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert "reciprocal" not in text(graph) and "divide" not in text(graph)


def test_a_guard_stays_a_guard():
    masked = op("where", op("greater", X, 0.0), X, 0.0)
    guarded = op("scale_adjoint", masked, op("exp", Y) / (1.0 + op("exp", Y)) * X)
    assert simplified(guarded).outputs[0].op.name == "scale_adjoint"
    graph = simplified(op("scale_adjoint", op("scale_adjoint", masked, 1.0 / P), P))
    assert text(graph) == text(simplified(masked))


SQUARE, SIGMOID = op("square", Y), op("sigmoid", Y)
KEPT = {
    "may be negative": X / Y * Y,
    "may be zero": X / SQUARE * SQUARE,
    "does not divide": SIGMOID * (1.0 - SIGMOID),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_may_be_zero_or_does_not_divide_is_left_alone(name):
    assert text(simplified(KEPT[name])) == text(canonical(KEPT[name]))
