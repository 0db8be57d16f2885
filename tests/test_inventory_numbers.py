"""Derivatives and descents as the source documents, DeZero and closed forms give them.

Native code computes them. Ids are the rows' numbers: D derivatives and optimisation, O gradients.
"""

from collections.abc import Callable

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, compile, grad
from tests.inventory_rows import Row, array, check_row, scalars

ROWS: dict[str, Callable[[], Row]] = {}


def row(number):
    def register(program):
        assert number not in ROWS
        ROWS[number] = program
        return program

    return register


# D: derivatives of higher order, optimisation.


def goldstein_price(x, y):
    first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
    second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
    return (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)


def of_two(f, x, y, *expected):
    """Return the row of a function of a vector of two: value, gradient and, if given, Hessian."""
    v = array("v", 2)
    z = f(v[0], v[1])
    outputs = [z, grad(z, v), sg.hessian(z, v)][: len(expected)]
    return Row(outputs, {"v": np.array([x, y])}, list(expected))


MATYAS = 0.040000000000000036
ROWS["D1"] = lambda: of_two(lambda x, y: x**2 + y**2, 1.0, 1.0, 2, [2, 2], [[2, 0], [0, 2]])
ROWS["D2"] = lambda: of_two(
    lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y,
    *(1.0, 1.0, MATYAS, [MATYAS, MATYAS], [[0.52, -0.48], [-0.48, 0.52]]),
)
ROWS["D2b"] = lambda: of_two(
    goldstein_price, 1.0, 1.0, 1876, [-5376, 8064], [[21228, -25812], [-25812, 44748]]
)
ROWS["D2b-minimum"] = lambda: of_two(goldstein_price, 0.0, -1.0, 3, [0, 0])


def taylor_sine(x, terms):
    total, term = 0.0, x
    for k in range(terms):
        total = total + term
        term = term * (-(x**2) / ((2 * k + 2) * (2 * k + 3)))
    return total


@pytest.mark.parametrize(
    ("terms", "value", "slope"),
    [
        (4, 0.7071064695751781, 0.7071032148228457),
        (47, 0.7071067811865475, 0.7071067811865475),
    ],
)
def test_d3_taylor_series_of_sine(terms, value, slope):
    (x,) = scalars("x")
    y = taylor_sine(x, terms)
    results = compile([y, grad(y, x)])(x=np.pi / 4)
    np.testing.assert_allclose(results, [value, slope], rtol=1e-12)


def derivatives(node, x, orders):
    found = [node]
    for _ in range(orders):
        found.append(grad(found[-1], x))
    return found


@row("D4")
def _sine_at_one():
    (x,) = scalars("x")
    s, c = 0.8414709848078965, 0.5403023058681398
    return Row(derivatives(sg.sin(x), x, 4), {"x": 1.0}, [s, c, -s, -c, s], rtol=1e-15)


@row("D4-first-of-a-range")
def _sine_of_a_range():
    x = array("x", "N")
    found = [sg.sin(x)]
    for _ in range(3):
        found.append(grad(sg.sum(found[-1]), x))
    points = np.linspace(-7, 7, 200)
    expected = [np.sin(points), np.cos(points), -np.sin(points), -np.cos(points)]
    np.testing.assert_allclose(expected[0][0], -0.6569865987187891, rtol=1e-15)
    return Row(found, {"x": points}, expected)


TANH = (
    *(0.7615941559557649, 0.41997434161402614, -0.6397000084492246, 0.6216266807712962),
    *(0.6650910447505024, -5.556893558473722, 13.6240754413121, 12.2883678943204),
    -277.062135603031,
)


def test_d5_derivatives_of_tanh():
    (x,) = scalars("x")
    results = compile(derivatives(sg.tanh(x), x, 8))(x=1.0)
    np.testing.assert_allclose(results[:5], TANH[:5], rtol=1e-12)
    np.testing.assert_allclose(results[5:], TANH[5:], rtol=1e-10)


def rosenbrock(x, y):
    return 100 * (y - x**2) ** 2 + (x - 1) ** 2


ROWS["D6"] = lambda: of_two(rosenbrock, 0.0, 2.0, 401, [-2, 400], [[-798, 0], [0, 200]])
ROWS["D6-minimum"] = lambda: of_two(rosenbrock, 1.0, 1.0, 0, [0, 0], [[802, -400], [-400, 200]])


def test_d6_rosenbrock_descends():
    x, y = sg.Parameter(0.0, "x"), sg.Parameter(2.0, "y")
    loss = rosenbrock(x, y)
    step = compile(loss, updates=sg.optim.SGD(0.001).updates(loss, [x, y]))
    expected = {
        1: (0.002, 1.6),
        2: (0.0052759968, 1.2800008),
        999: (0.6834917840420289, 0.4656505999651413),
        1000: (0.6837118569, 0.4659526837),
        10000: (0.9944984368, 0.9890050527),
    }
    for number in range(1, 50001):
        step()
        if number in expected:
            rtol = 1e-12 if number <= 999 else 1e-9
            np.testing.assert_allclose((x.value, y.value), expected[number], rtol=rtol)
    np.testing.assert_allclose((x.value, y.value), 1, rtol=0, atol=2e-9)
    assert step.compile_count == 1


def test_d7_newton():
    x = sg.Parameter(2.0, "x")
    f = x**4 - 2 * x**2
    first = grad(f, x)
    second = grad(first, x)
    step = compile([f, first, second], updates={x: x - first / second})
    iterates = [x.value]
    assert tuple(step()) == (8, 24, 44)
    iterates.append(x.value)
    for _ in range(6):
        step()
        iterates.append(x.value)
    expected = [2, 1.4545454545454546, 1.1510467893775467, 1.0253259289766978]
    expected += [1.0009084519430513, 1.0000012353089454, 1.000000000002289, 1]
    np.testing.assert_allclose(iterates, expected, rtol=1e-15)


@row("D8")
def _double_backpropagation():
    (x,) = scalars("x")
    y = x**2
    z = grad(y, x) ** 3 + y
    return Row([z, grad(z, x)], {"x": 2.0}, [68, 100])


@row("D9")
def _gradient_penalty():
    x, w = array("x", 2), array("w", 2)
    slope = grad(sg.sum(w * x), x)
    penalty = (sg.sqrt(sg.sum(slope**2)) - 1) ** 2
    feeds = {"x": np.array([0.3, -2.0]), "w": np.array([3.0, 4.0])}
    return Row([penalty, grad(penalty, w)], feeds, [16, [4.8, 6.4]])


@row("D10")
def _small_slopes():
    x, y, w, b = scalars("xywb")
    form = x**2 + 3 * x * y + y**2
    outputs = [*grad(form, [x, y]), grad((3 * w + 2) ** 2, w), *grad(x * w + b, [x, w, b])]
    feeds = {"x": 2.0, "y": 1.0, "w": 1.0, "b": 1.0}
    return Row(outputs, feeds, [7, 8, 30, 1, 2, 1])


@row("D11")
def _sum_of_a_product():
    x, w = array("x", 3), array("w", 3, 2)
    y = x @ w
    outputs = [y, sg.sum(y), grad(sg.sum(y), w)]
    feeds = {"x": np.array([1.0, 2, 3]), "w": np.arange(1.0, 7).reshape(3, 2)}
    return Row(outputs, feeds, [[22, 28], 50, [[1, 1], [2, 2], [3, 3]]])


@row("D12")
def _tensors():
    x, c = array("x", 2, 3), array("c", 2, 3)
    t = x + c
    y = sg.sum(t)
    values = np.arange(1.0, 7).reshape(2, 3)
    return Row(grad(y, [y, t, x, c]), {"x": values, "c": 10 * values}, [1, *[np.ones((2, 3))] * 3])


ROWS["D13"] = lambda: of_two(lambda x, y: x**2 + y**2, 2.0, 1.5, 6.25, [4, 3])


@row("D14")
def _linear_system():
    a = array("a", 3, 3)
    matrix = np.array([[1.0, 1, 1], [1, -1, 2], [2, 0, 3]])
    return Row([a @ np.ones(3)], {"a": matrix}, [[3, 2, 5]])


# O: gradients against closed forms and central differences.


@row("O-quadratic-form")
def _quadratic_form():
    x = array("x", 3)
    generator = np.random.RandomState(42)
    w = generator.randn(3, 3)
    w, point = (w + w.T) / 2, generator.randn(3)
    f = x @ Constant(w) @ x
    expected = [-0.8016799373, [-1.13986457, 0.71996745, 1.39838445]]
    return Row([f, grad(f, x)], {"x": point}, expected, digits=8)


@pytest.mark.parametrize("number", ROWS)
def test_row(number):
    check_row(ROWS[number]())
