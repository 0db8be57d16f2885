"""The numbers that the source documents, DeZero and closed forms give, from native code.

Each row is one program with its outputs, feeds and expected values. Ids are the rows' numbers in
the list of what the sources ask for: A concepts, D derivatives and optimisation, O gradient checks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, compile, cond, grad


class Row(NamedTuple):
    """A program and its values; `digits` is how many decimals the source prints, None for all."""

    outputs: list[Any]
    feeds: dict[str, Any]
    expected: list[Any]
    digits: int | None = None
    rtol: float = 1e-12


ROWS: dict[str, Callable[[], Row]] = {}


def row(number):
    def register(program):
        assert number not in ROWS
        ROWS[number] = program
        return program

    return register


def scalars(names):
    return [Placeholder(name, (), "float64") for name in names]


def array(name, *shape):
    return Placeholder(name, shape, "float64")


@pytest.mark.parametrize("number", ROWS)
def test_row(number):
    program = ROWS[number]()
    f = compile(program.outputs)
    results = f(**{node.name: program.feeds[node.name] for node in f.inputs})
    assert len(results) == len(program.expected)
    rtol, atol = program.rtol, 1e-14
    if program.digits is not None:
        rtol, atol = 0.0, 0.51 * 10.0**-program.digits
    for result, expected in zip(results, program.expected, strict=True):
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=atol)
        assert result.shape == np.shape(expected)


# A: the graph language.


@row("A2")
def _lifting():
    (x,) = scalars("x")
    return Row([x + np.array(3.0), x + 3.0, 3.0 * x + 1.0], {"x": 2.0}, [5, 5, 7])


@row("A3")
def _operators():
    (x,) = scalars("x")
    outputs = [-x, 2 - x, x - 1, 3 / x, x**3, grad(x**3, x)]
    left = np.array([1.0]) + x
    assert isinstance(left, sg.Node)
    return Row([*outputs, left], {"x": 2.0}, [-2, 0, 1, 1.5, 8, 12, [3.0]])


@row("A5")
def _functions_of_two():
    x, y = scalars("xy")
    z = x**2 + y**2
    return Row([z, *grad(z, [x, y]), x + y], {"x": 2.0, "y": 3.0}, [13, 4, 6, 5])


@row("A5-one-result-of-two")
def _one_result_of_two():
    x = array("x", 4)
    first, _ = sg.split(x, 2)
    return Row([grad(sg.sum(first**2), x)], {"x": np.arange(4.0)}, [[0, 2, 0, 0]])


@row("A6")
def _chain_rule():
    (x,) = scalars("x")
    y = sg.square(sg.exp(sg.square(x)))
    return Row([y, grad(y, x)], {"x": 0.5}, [1.648721270700128, 3.297442541400256])


@row("A6-differences")
def _differences():
    (x,) = scalars("x")

    def f(at):
        return sg.square(sg.exp(sg.square(at)))

    def g(at):
        return sg.square(at + 1.5)  # x^2 at 2

    central = (f(x + 1e-4) - f(x - 1e-4)) / 2e-4
    forward = (f(x + 1e-4) - f(x)) / 1e-4
    square = (g(x + 1e-4) - g(x - 1e-4)) / 2e-4
    expected = [3.2974426293330694, 3.29810211785, 4.000000000004]
    return Row([central, forward, square], {"x": 0.5}, expected, rtol=5e-12)


@row("A7")
def _reuse():
    (x,) = scalars("x")
    return Row([grad(x + x, x), grad(x + x + x, x), grad(x**2, x)], {"x": 3.0}, [2, 3, 6])


@row("A8")
def _diamond():
    (x,) = scalars("x")
    a = x**2
    y = a**2 + a**2
    return Row([y, grad(y, x)], {"x": 2.0}, [32, 64])


@row("A9")
def _intermediate_gradients():
    x0, x1 = scalars(["x0", "x1"])
    y = x0 + (x0 + x1)
    t = x0**2
    outputs = [*grad(y, [x0, x1]), *grad(3 * t, [t, x0])]
    return Row(outputs, {"x0": 2.0, "x1": 1.0}, [2, 1, 3, 12])


@pytest.mark.parametrize(("flag", "expected"), [(True, (5, 1, 1)), (False, (6, 3, 2))])
def test_a12_condition(flag, expected):
    p = Placeholder("flag", (), "bool")
    x0, x1 = scalars(["x0", "x1"])
    y = cond(p, lambda: x0 + x1, lambda: x0 * x1)
    assert tuple(compile([y, *grad(y, [x0, x1])])(flag=flag, x0=2.0, x1=3.0)) == expected


@row("A14")
def _truncated_backpropagation():
    wx, wh = array("wx", 1, 2), array("wh", 2, 2)

    def loss(cut):
        h = sg.tanh(np.array([[1.0]]) @ wx)
        kept = sg.stop_gradient(h) if cut else h
        return sg.sum(sg.tanh(np.array([[2.0]]) @ wx + kept @ wh))

    full, cut = loss(False), loss(True)
    outputs = [grad(full, wx), grad(cut, wx), *[grad(each, wh) for each in (full, cut)]]
    weights = [np.full((1, 2), 0.69294126), np.full((1, 2), 0.57908603)]
    recurrent = [np.full((2, 2), 0.13380280)] * 2
    feeds = {"wx": np.full((1, 2), 0.5), "wh": np.full((2, 2), 0.25)}
    return Row(outputs, feeds, weights + recurrent, digits=8)


@row("A16-nested")
def _nested():
    (x,) = scalars("x")
    y = sg.square(x)
    z = sg.maximum(y, 0.0)
    return Row([z, grad(z, x)], {"x": -3.0}, [9, -6])


@row("A16-sigmoid")
def _sigmoid_of_sum():
    x, y = scalars("xy")
    z = sg.sigmoid(x + y)
    expected = [0.9933071490757152, 0.0066480566707901, 0.0066480566707901]
    return Row([z, *grad(z, [x, y])], {"x": 2.0, "y": 3.0}, expected)


@row("A17")
def _sigmoid_of_product():
    x, w = array("x", 1, 3), array("w", 3, 1)
    y = sg.sigmoid(x @ w)
    feeds = {"x": np.array([[1.0, 2, 3]]), "w": np.array([[0.1], [0.2], [0.3]])}
    expected = [
        [[0.8021838885585817]],
        [[0.01586848975, 0.0317369795, 0.04760546925]],
        [[0.1586848975], [0.317369795], [0.4760546925]],
    ]
    return Row([y, *grad(y, [x, w])], feeds, expected, digits=10)


@row("A18")
def _the_fun_part():
    x, w = array("x", 3, 3), array("w", 3, 2)
    loss = sg.sum(sg.sigmoid(x @ w))
    feeds = {
        "x": np.array([[1.0, 0, -1], [2, 1, 0], [0, -1, 1]]),
        "w": np.array([[0.5, -0.5], [1, 0], [-1, 2]]),
    }
    expected = [
        3.0431711555627645,
        [0.0395213678, 0.1491464521, -0.008939019],
        [[0.3591336229, 0.463327583], [0, 0.0916183478], [-0.0441528667, 0.0348898689]],
    ]
    return Row([loss, grad(loss, x)[0], grad(loss, w)], feeds, expected, digits=10)


@row("A20")
def _bayes():
    p, q, r = scalars("pqr")
    return Row([q * p / r], {"p": 0.01, "q": 0.9, "r": 0.05}, [0.18])


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
    for number in range(1, 10001):
        step()
        if number in expected:
            rtol = 1e-12 if number <= 999 else 1e-9
            np.testing.assert_allclose((x.value, y.value), expected[number], rtol=rtol)
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
