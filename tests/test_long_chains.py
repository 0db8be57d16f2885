"""Deep and wide graphs: nothing recurses, and time grows with the number of nodes."""

import time

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, cond, grad
from symgraph.printer import format_graph

LONG = 20_000
SECONDS = 120
"""Far above what a chain takes (about 7 s), far below what anything quadratic takes."""


@pytest.fixture(autouse=True)
def _in_time():
    started = time.perf_counter()
    yield
    assert time.perf_counter() - started < SECONDS


def test_a_chain_of_additions():
    x = Placeholder("x", (), "float64")
    y = x
    for _ in range(LONG):
        y = y + x
    slope = grad(y, x)
    f = compile([y, slope])
    value, derivative = f(x=1.5)
    assert value == 1.5 * (LONG + 1)
    assert derivative == LONG + 1
    assert len(f.kernels) < LONG / 50
    assert compile(y, mode="reference")(x=1.5) == value
    text = format_graph([y])
    assert text.count("\n") >= LONG
    assert len(sg.to_networkx(y)) == LONG + 1
    assert repr(y) == "<add: float64[]>"


def test_a_chain_of_multiplications_and_additions():
    x, a, b = (Placeholder(name, (), "float64") for name in "xab")
    y = x
    for _ in range(LONG // 2):
        y = y * a + b
    f = compile([y, *grad(y, [x, b])])
    value, by_x, by_b = f(x=2.0, a=0.999, b=0.001)
    expected = 2.0
    for _ in range(LONG // 2):
        expected = expected * 0.999 + 0.001
    assert value == expected
    np.testing.assert_allclose(by_x, 0.999 ** (LONG // 2), rtol=1e-11)
    np.testing.assert_allclose(by_b, (1 - 0.999 ** (LONG // 2)) / 0.001, rtol=1e-9)


def test_a_chain_of_vectors_that_is_trained():
    w = Parameter(np.ones(3, "f4"))
    x = Placeholder("x", ("N", 3), "float32")
    y = x * w
    for _ in range(600):
        y = sg.tanh(y) + x * w
    loss = (y * y).sum()
    step = compile(loss, updates={w: w - 1e-4 * grad(loss, w)})
    first = step(x=np.full((5, 3), 0.1, "f4"))
    assert step(x=np.full((5, 3), 0.1, "f4")) < first


def test_a_long_branch():
    x, flag = Placeholder("x", (), "float64"), Placeholder("flag", (), "bool")

    def long():
        y = x
        for _ in range(600):
            y = y * 0.5 + x
        return y

    y = cond(flag, long, lambda: -x)
    f = compile([y, grad(y, x)])
    np.testing.assert_allclose(f(flag=True, x=3.0), [6, 2], rtol=1e-15)
    assert f(flag=False, x=3.0) == [-3, -1]


def test_many_conditions_in_a_row():
    x, flag = Placeholder("x", (), "float64"), Placeholder("flag", (), "bool")
    y = x

    def step(y):
        return cond(flag, lambda: y + 1, lambda: y * 0.5)

    for _ in range(300):
        y = step(y)
    f = compile([y, grad(y, x)])
    assert f(flag=True, x=1.0) == [301, 1]
    np.testing.assert_allclose(f(flag=False, x=1.0), [0.5**300] * 2, rtol=1e-15)


def test_a_node_with_many_uses():
    x = Placeholder("x", ("N",), "float64")
    shared = sg.sin(x)
    parts = [shared * float(number) for number in range(1, 801)]
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)] + (
            parts[-1:] if len(parts) % 2 else []
        )
    f = compile([parts[0], grad(parts[0].sum(), x)])
    value, slope = f(x=np.array([0.3, 0.7]))
    np.testing.assert_allclose(value, 400 * 801 * np.sin([0.3, 0.7]), rtol=1e-12)
    np.testing.assert_allclose(slope, 400 * 801 * np.cos([0.3, 0.7]), rtol=1e-12)


def test_many_parameters_and_outputs():
    parameters = [Parameter(np.full(3, float(number))) for number in range(500)]
    outputs = [parameter.sum() for parameter in parameters]
    step = compile(outputs, updates={p: p * 0.5 for p in parameters})
    assert step() == [3.0 * number for number in range(500)]
    assert step() == [1.5 * number for number in range(500)]


def test_doubling_is_not_exponential():
    x = Placeholder("x", (), "float64")
    y = x
    for _ in range(200):
        y = y + y
    third = grad(y * y, x)
    assert compile([y, third])(x=1.0) == [2.0**200, 2.0**401]
