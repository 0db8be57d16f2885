"""Gradients at kinks, ties and bad points: selections select, and conventions hold."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, cond, grad


def scalar():
    return Placeholder("x", (), "float64")


def vector():
    return Placeholder("x", ("N",), "float64")


def run(output, **feeds):
    """Return what native code gives, after checking that the reference gives the same."""
    result = compile(output)(**feeds)
    expected = compile(output, mode="reference")(**feeds)
    np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-300)
    return result


# Selections: nothing leaks out of what nobody selected.

BAD = np.array([-1.0, 0.0, 2.0])
SAFE = {
    "log": (sg.log, np.log),
    "sqrt": (sg.sqrt, np.sqrt),
    "rsqrt": (sg.rsqrt, lambda x: 1 / np.sqrt(x)),
    "reciprocal": (lambda x: 1 / x, lambda x: 1 / x),
    "divide": (lambda x: x / (x - x * sg.cast(x <= 0, "float64")) * x, lambda x: x),
    "power": (lambda x: x**0.5, np.sqrt),
    "negative-power": (lambda x: x**-1.5, lambda x: x**-1.5),
    "tensor-power": (lambda x: sg.power(x, x), lambda x: x**x),
    "power-of-two": (lambda x: 2.0 ** (1 / x), lambda x: 2.0 ** (1 / x)),
    "arctan2": (lambda x: sg.arctan2(x - sg.relu(x) * 0.5, x), lambda x: np.arctan2(x / 2, x)),
    "log1p": (lambda x: sg.log1p(x - 1), np.log),
    "arccos": (lambda x: sg.arccos(x - 2), lambda x: np.arccos(x - 2)),
    "exp-overflow": (lambda x: sg.exp(1 / x**2), lambda x: np.exp(1 / x**2)),
    "log-of-log": (lambda x: sg.log(sg.log(x)), lambda x: np.log(np.log(x))),
    "norm": (lambda x: sg.sqrt(x * x), lambda x: x),
    "chain": (lambda x: sg.tanh(sg.sqrt(x) / x), lambda x: np.tanh(np.sqrt(x) / x)),
}


@pytest.mark.parametrize("name", SAFE)
@pytest.mark.parametrize("order", [1, 2])
def test_where_selects(name, order):
    f, numpy = SAFE[name]
    x = vector()
    y = sg.sum(sg.where(x > 0, f(x), x * 3))
    for _ in range(order):
        y = sg.sum(grad(y, x))
    found = compile([grad(y, x)] if order == 0 else [y])(x=BAD)[0]
    eps = 1e-3
    steps = np.array([numpy(2.0 + k * eps) for k in (-1, 0, 1)])
    at_two = (steps[2] - steps[0]) / (2 * eps) if order == 1 else np.diff(steps, 2)[0] / eps**2
    np.testing.assert_allclose(found, at_two + (6 if order == 1 else 0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SAFE)
@pytest.mark.parametrize("allowed", [True, False])
def test_cond_selects(name, allowed):
    f, numpy = SAFE[name]
    x, flag = vector(), Placeholder("flag", (), "bool")
    y = cond(flag, lambda: sg.sum(f(x)), lambda: sg.sum(x * 3))
    slope = compile(grad(y, x))(x=BAD[:2] if not allowed else BAD[2:], flag=allowed)
    if not allowed:
        np.testing.assert_array_equal(slope, [3, 3])
    else:
        expected = (numpy(2 + 1e-5) - numpy(2 - 1e-5)) / 2e-5
        np.testing.assert_allclose(slope, [expected], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("flag", [True, False])
def test_where_selects_around_a_condition(flag):
    x, p = vector(), Placeholder("p", (), "bool")
    inner = cond(p, lambda: sg.log(x), lambda: sg.sqrt(x))
    slope = grad(sg.sum(sg.where(x > 0, inner, 0)), x)
    expected = [0, 0, 0.5 if flag else 0.5 / np.sqrt(2)]
    np.testing.assert_allclose(run(slope, x=BAD, p=flag), expected)


def test_assembling_selects():
    x = Placeholder("x", (3,), "float64")
    slope = grad(sg.sum(sg.log(x)[2:]), x)
    np.testing.assert_array_equal(run(slope, x=BAD), [0, 0, 0.5])
    slope = grad(sg.sum(sg.log(x)[np.array([2, 2])]), x)
    np.testing.assert_array_equal(run(slope, x=BAD), [0, 0, 1])


@pytest.mark.parametrize(
    "selecting",
    [
        lambda y: sg.maximum(y, -5.0)[2],
        lambda y: sg.relu(sg.where(sg.isfinite(y), y, 0))[2],
        lambda y: sg.sum(sg.pad(y[2:], 1)),
    ],
)
def test_other_selections(selecting):
    x = Placeholder("x", (3,), "float64")
    np.testing.assert_allclose(run(grad(selecting(sg.log(x)), x), x=BAD), [0, 0, 0.5])


# Conventions at kinks and ties.

KINKS = {
    "relu": (sg.relu, 0.0, 0),
    "leaky_relu": (sg.leaky_relu, 0.0, 0.2),
    "abs": (sg.abs, 0.0, 0),
    "abs-negative-zero": (sg.abs, -0.0, 0),
    "sign": (lambda x: sg.sign(x) * x, 2.0, 1),
    "maximum": (lambda x: sg.maximum(x, 1.0), 1.0, 0.5),
    "maximum-itself": (lambda x: sg.maximum(x, x), 1.0, 1),
    "minimum": (lambda x: sg.minimum(1.0, x), 1.0, 0.5),
    "clip-low": (lambda x: sg.clip(x, 0, 1), 0.0, 1),
    "clip-high": (lambda x: sg.clip(x, 0, 1), 1.0, 1),
    "clip-below": (lambda x: sg.clip(x, 0, None), 0.0, 1),
    "clip-above": (lambda x: sg.clip(x, None, 0), 0.0, 1),
    "zeroth-power": (lambda x: x**0, 0.0, 0),
    "zeroth-float-power": (lambda x: x**0.0, 0.0, 0),
    "first-power": (lambda x: x**1, 0.0, 1),
    "second-power": (lambda x: x**2, 0.0, 0),
    "tensor-zeroth-power": (lambda x: sg.power(x, sg.stop_gradient(x)), 0.0, 0),
    "floor": (lambda x: sg.floor(x) * x, 2.0, 2),
    "where": (lambda x: sg.where(x > 0, x, 3 * x), 0.0, 3),
}


@pytest.mark.parametrize("name", KINKS)
def test_conventions(name):
    f, at, expected = KINKS[name]
    x = scalar()
    assert run(grad(f(x), x), x=at) == expected
    values = np.full(19, at)
    v = vector()
    np.testing.assert_array_equal(run(grad(sg.sum(f(v)), v), x=values), np.full(19, expected))


@pytest.mark.parametrize("name", ["max", "min"])
def test_tied_extremes_share_evenly(name):
    x = Placeholder("x", (2, 4), "float64")
    values = np.array([[3.0, 1, 3, 3], [2, 2, 2, 2]]) * (1 if name == "max" else -1)
    slope = run(grad(sg.sum(getattr(sg, name)(x, axis=1)), x), x=values)
    np.testing.assert_allclose(slope, [[1 / 3, 0, 1 / 3, 1 / 3], [0.25] * 4])


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_products_with_zeros(zeros):
    values = np.array([2.0, 3.0, 5.0])
    values[:zeros] = 0
    x = vector()
    expected = [np.prod(np.delete(values, i)) for i in range(3)]
    np.testing.assert_array_equal(run(grad(sg.prod(x), x), x=values), expected)
