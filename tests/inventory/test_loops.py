"""Rows about loops: the sine series that ends by itself, recurrences over time, their gradients."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, grad, scan, while_loop
from symgraph.layers import RNN
from tests.inventory_rows import array, scalars


def sine_until(x, threshold):
    """Return the sine series up to the first term below a threshold, and the number of terms."""

    def goes_on(carry):
        _, term, _ = carry
        return abs(term) >= threshold

    def add(carry):
        total, term, count = carry
        k = 2.0 * count
        return total + term, -term * x * x / ((k + 2) * (k + 3)), count + 1

    total, last, count = while_loop(goes_on, add, (0.0 * x, x, 0))
    return total + last, count + 1


@pytest.mark.inventory("A13", "D3", "B.Loops", "V.control_flow", "R.dynamic")
def test_the_sine_series_decides_itself_when_to_end():
    x, threshold = scalars(["x", "threshold"])
    y, count = sine_until(x, threshold)
    f = compile([y, grad(y, x), count])
    value, slope, terms = f(x=np.pi / 4, threshold=1e-4)
    np.testing.assert_allclose([value, slope], [0.7071064695751781, 0.7071032148228457], rtol=1e-12)
    assert terms == 4
    value, slope, terms = f(x=np.pi / 4, threshold=1e-150)
    np.testing.assert_allclose([value, slope], [0.7071067811865475] * 2, rtol=1e-12)
    assert (int(terms), f.compile_count) == (47, 1)


def recurrent(xs, wx, wh, truncated=False):
    """Return the states h = tanh(x Wx + h Wh) of all steps."""

    def step(h, x):
        kept = sg.stop_gradient(h) if truncated else h
        new = sg.tanh(x @ wx + kept @ wh)
        return new, new

    return scan(step, np.zeros((1, 2)), xs)[1]


@pytest.mark.inventory("A13", "A14", "E6")
def test_a_recurrence_over_time_and_its_truncation():
    xs, wx, wh = array("xs", "T", 1, 1), array("wx", 1, 2), array("wh", 2, 2)
    states, cut = recurrent(xs, wx, wh), recurrent(xs, wx, wh, truncated=True)
    full, truncated = sg.sum(states[-1]), sg.sum(cut[-1])
    f = compile([states, grad(full, wx), grad(truncated, wx), grad(full, wh)])
    given = np.array([1.0, 2.0]).reshape(2, 1, 1)
    found = f(xs=given, wx=np.full((1, 2), 0.5), wh=np.full((2, 2), 0.25))
    expected = [0.46211715726, 0.84288610332]
    np.testing.assert_allclose(found[0][:, 0, 0], expected, rtol=0, atol=6e-12)
    np.testing.assert_allclose(found[1], np.full((1, 2), 0.69294126), rtol=0, atol=6e-9)
    np.testing.assert_allclose(found[2], np.full((1, 2), 0.57908603), rtol=0, atol=6e-9)
    np.testing.assert_allclose(found[3], np.full((2, 2), 0.1338027958), rtol=0, atol=6e-11)


@pytest.mark.inventory("V.rnn_sizes", "E6")
def test_a_recurrent_layer_whose_input_has_another_size_than_its_state():
    layer = RNN(4, 3, dtype="float64", seed=0)
    f = compile(layer(array("xs", "T", "N", 3)))
    given = np.random.default_rng(0).normal(size=(5, 2, 3))
    h, expected = np.zeros((2, 4)), []
    for x in given:
        h = np.tanh(x @ layer.Wx.value + layer.b.value + h @ layer.Wh.value)
        expected.append(h)
    np.testing.assert_allclose(f(xs=given), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.inventory("V.control_flow")
def test_the_length_of_a_loop_costs_nothing_to_compile():
    x = Placeholder("x", (), "float64")
    long, _ = scan(lambda c, _: (c * x + 1, None), 0.0, length=100_000)
    f = compile(long)
    assert len(f.kernels) < 20
    assert float(f(x=0.5)) == 2


@pytest.mark.inventory("V.checkpoint")
def test_activations_are_recomputed_with_the_same_slopes_in_less_memory():
    xs, w = array("xs", "T", 50), array("w", 50, 50)

    def loss(checkpoint):
        def step(h, x):
            inner = sg.tanh(sg.sin(x + h @ w))
            return sg.tanh(sg.exp(-sg.square(inner)) @ w), None

        return sg.sum(scan(step, np.zeros(50), xs, checkpoint=checkpoint)[0])

    kept, again = (compile(grad(loss(each), w)) for each in (False, True))
    generator = np.random.default_rng(0)
    feeds = {"xs": generator.normal(size=(40, 50)), "w": generator.normal(size=(50, 50)) / 10}
    np.testing.assert_allclose(kept(**feeds), again(**feeds), rtol=1e-12, atol=1e-14)
    assert int(again.memory(T=1000)) < int(kept.memory(T=1000))
