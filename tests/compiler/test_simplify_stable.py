"""Stable forms agree with the plain ones, and go on where those overflow or cancel."""

from collections.abc import Callable

import numpy as np
import pytest

from symgraph.compiler.passes.simplify import simplify
from symgraph.node import Node
from tests.compiler.pass_harness import (
    A,
    canonical,
    feeds,
    leaf,
    op,
    simplified,
    text,
    values,
)

Row = tuple[Node, Node]

STABLE: dict[str, Callable[[], Row]] = {
    "power_three": lambda: (op("power", A, 3.0), op("square", A) * A),
    "log1p": lambda: (op("log", 1.0 + A), op("log1p", A)),
    "log1p_of_negative": lambda: (op("log", 1.0 - A), op("log1p", -A)),
    "expm1": lambda: (op("exp", A) - 1.0, op("expm1", A)),
    "sigmoid": lambda: (1.0 / (1.0 + op("exp", -A)), op("sigmoid", A)),
    "sigmoid_quotient": lambda: (
        op("exp", A) / (op("exp", A) + 1.0),
        op("sigmoid", A),
    ),
    "log_sigmoid": lambda: (op("log", op("sigmoid", A)), -op("softplus", -A)),
    "log_one_minus_sigmoid": lambda: (op("log", 1.0 - op("sigmoid", A)), -op("softplus", A)),
    "softplus": lambda: (op("log", 1.0 + op("exp", A)), op("softplus", A)),
}


@pytest.mark.parametrize("name", STABLE)
def test_stable_form(name):
    before, after = STABLE[name]()
    graph = simplified(before)
    assert text(graph) == text(canonical(after))
    fed = feeds(moderate=True)
    np.testing.assert_allclose(values(graph, fed)[0], values(canonical(before), fed)[0], rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stable_forms_survive_where_plain_ones_overflow(dtype):
    x = leaf("x", dtype, (2, 3))
    exponential = op("exp", x)
    softmax = exponential / op("sum", exponential, axis=1, keepdims=True)
    outputs = (
        softmax,
        op("log", softmax),
        op("log", op("sum", exponential, axis=1, keepdims=False)),
    )
    fed = {"x": np.array([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -2000.0]], dtype)}
    probability, log_probability, log_sum = values(simplified(*outputs), fed)
    share = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(probability, [[share, 1 - share, 0]] * 2, rtol=1e-6)
    np.testing.assert_allclose(log_probability[:, 0], np.log(share), rtol=1e-3)
    np.testing.assert_allclose(log_probability[:, 2], np.log(share) - 1000, rtol=1e-6)
    np.testing.assert_allclose(log_sum, [1000 - np.log(share), -1000 - np.log(share)], rtol=1e-6)


def test_stable_forms_keep_infinities_and_nan():
    x = leaf("x", "float64", (5, 2))
    exponential = op("exp", x)
    total = op("sum", exponential, axis=1, keepdims=True)
    before = canonical(exponential / total, op("log", total))
    inf = np.inf
    fed = {"x": np.array([[1, inf], [-inf, -inf], [1, -inf], [np.nan, 0], [inf, -inf]])}
    for actual, expected in zip(values(simplify(before), fed), values(before, fed), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-14)


def test_user_stabilised_softmax_is_left_alone():
    x = leaf("x", "float64", (2, 3))
    exponential = op("exp", x - op("max", x, axis=1, keepdims=True))
    softmax = exponential / op("sum", exponential, axis=1, keepdims=True)
    assert text(simplified(softmax)) == text(canonical(softmax))


def test_softmax_along_a_possibly_empty_axis_is_left_alone():
    x = leaf("x", "float64", (2, "N"))
    exponential = op("exp", x)
    softmax = exponential / op("sum", exponential, axis=1, keepdims=True)
    assert text(simplified(softmax)) == text(canonical(softmax))
