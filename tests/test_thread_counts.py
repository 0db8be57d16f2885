"""The number of threads changes no bit of any result."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile


def _bytes(results):
    return [result.tobytes() for result in results]


def _same_bits(outputs, feeds):
    alone, *others = (_bytes(compile(outputs, threads=n)(**feeds)) for n in (1, 2, 3, None))
    for other in others:
        assert other == alone


def test_threads_do_not_change_an_elementwise_chain():
    x = Placeholder("x", ("N",), "float32")
    y = x
    for turn in range(5):
        y = sg.tanh(y * 1.1 + turn) - sg.exp(-(y * y)) * 0.3
    values = np.random.default_rng(0).standard_normal(1_000_003).astype("f4")
    _same_bits([y, sg.sigmoid(y) * x], {"x": values})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1_000_000,), (1000, 1000), (7, 150_001), (150_001, 7)])
def test_threads_do_not_change_reductions(shape, dtype):
    x = Placeholder("x", tuple("NM"[: len(shape)]), dtype)
    axes = [None, *range(len(shape)), -1]
    outputs = [reduce(x, axis=axis) for axis in axes for reduce in (sg.sum, sg.mean, sg.max)]
    outputs += [sg.logsumexp(x, axis=axis) for axis in axes]
    values = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    _same_bits(outputs, {"x": values})


def test_threads_do_not_change_softmax():
    x = Placeholder("x", ("N", "M"), "float32")
    outputs = [sg.softmax(x), sg.softmax(x, axis=0), sg.log_softmax(x)]
    values = np.random.default_rng(2).standard_normal((3001, 333)).astype("f4")
    _same_bits(outputs, {"x": values})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(300, 200, 100), (1000, 333, 515), (1, 4000, 700)])
def test_threads_do_not_change_products_of_matrices(shape, dtype):
    rows, inner, columns = shape
    rng = np.random.default_rng(3)
    x, y = Placeholder("x", ("N", "K"), dtype), Placeholder("y", ("K", "M"), dtype)
    feeds = {
        "x": rng.standard_normal((rows, inner)).astype(dtype),
        "y": rng.standard_normal((inner, columns)).astype(dtype),
    }
    _same_bits([x @ y, (sg.relu(x @ y + 1)).sum(axis=0), y.T @ x.T], feeds)


def test_threads_do_not_change_training():
    rng = np.random.default_rng(4)
    feeds = {
        "x": rng.standard_normal((500, 300)).astype("f4"),
        "labels": rng.integers(0, 10, 500),
    }
    found = []
    for threads in (1, 2, None):
        rng = np.random.default_rng(5)
        weights = [
            Parameter((rng.standard_normal(shape) / 15).astype("f4"))
            for shape in [(300, 256), (256,), (256, 10), (10,)]
        ]
        w1, b1, w2, b2 = weights
        x = Placeholder("x", ("N", 300), "float32")
        labels = Placeholder("labels", ("N",), "int64")
        loss = sg.nn.softmax_cross_entropy(sg.tanh(x @ w1 + b1) @ w2 + b2, labels)
        step = compile(loss, updates=sg.optim.Adam(1e-2).updates(loss, weights), threads=threads)
        losses = [step(**feeds).tobytes() for _ in range(5)]
        found.append((losses, [weight.value.tobytes() for weight in weights]))
    assert found[0] == found[1] == found[2]
