"""The graph language computes what the source documents say; ids are the rows A1 to A20."""

from collections.abc import Callable

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Placeholder, compile, cond, grad
from tests.inventory_rows import Row, array, check_row, scalars

ROWS: dict[str, Callable[[], Row]] = {}


def row(number):
    def register(program):
        assert number not in ROWS
        ROWS[number] = program
        return program

    return register


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


@row("A1")
def _compile_once():
    a, b = Placeholder("a"), Placeholder("b")
    return Row([a * b + Constant(1)], {"a": 2, "b": 3}, [7])


@row("A1-vectors")
def _compile_once_for_vectors():
    a, b = Placeholder("a"), Placeholder("b")
    feeds = {"a": np.ones(10), "b": 2 * np.ones(10)}
    return Row([a * b + Constant(1)], feeds, [np.full(10, 3.0)])


def test_a4_attributes_need_no_data():
    x = array("x", 2, 3)
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, "float64")
    assert repr(x) == "<placeholder 'x': float64[2, 3]>"
    derived = [x.T, x.reshape(3, 2), x.transpose(1, 0), x.sum(), x.max(axis=0), x @ x.T, x[0]]
    assert [node.shape for node in derived] == [(3, 2), (3, 2), (3, 2), (), (3,), (2, 2), (3,)]


def test_a11_results_without_axes_stay_arrays():
    (x,) = scalars("x")
    result = compile(x**2)(x=3.0)
    assert isinstance(result, np.ndarray)
    assert (result.ndim, result.item()) == (0, 9)


def test_a19_a_chain_of_20_000_additions():
    (x,) = scalars("x")
    y = x
    for _ in range(20_000):
        y = y + 1.0
    value, slope = compile([y, grad(y, x)])(x=0.5)
    assert (value, slope) == (20_000.5, 1)


@pytest.mark.parametrize("number", ROWS)
def test_row(number):
    check_row(ROWS[number]())
