"""Counterparts of DeZero's tests of batch normalisation, and of its layer."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import State, nn
from symgraph.layers import BatchNorm
from tests.ported.checks import check_gradient, generator, run

EPS, DECAY = 2e-5, 0.9


def operands(*shape, dtype="float32"):
    """Return a batch, gamma, beta, and running mean and variance."""
    drawn = generator()
    x = drawn.normal(size=shape)
    gamma, beta, mean, variance = drawn.normal(size=(4, shape[1]))
    return [v.astype(dtype) for v in (x, gamma, beta, mean, abs(variance))]


def per_channel(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def normalised(x, gamma, beta, mean, variance):
    gamma, beta, mean, variance = (per_channel(v, x) for v in (gamma, beta, mean, variance))
    return gamma * (x - mean) / np.sqrt(variance + EPS) + beta


def of_batch(x, gamma, beta):
    axes = (0, *range(2, x.ndim))
    return normalised(x, gamma, beta, x.mean(axes), x.var(axes))


def in_use(*nodes):
    with sg.test_mode():
        return nn.batch_norm(*nodes, eps=EPS)


def in_training(x, gamma, beta):
    size = gamma.shape[0]
    statistics = State(np.zeros(size, gamma.dtype)), State(np.ones(size, gamma.dtype))
    return nn.batch_norm(x, gamma, beta, *statistics, eps=EPS)


def expect_fixed(*shape):
    given = operands(*shape)
    expected = normalised(*(v.astype("float64") for v in given))
    np.testing.assert_allclose(run(in_use, *given), expected, rtol=2e-4, atol=2e-5)


def expect_batch(*shape):
    given = operands(*shape)[:3]
    expected = of_batch(*(v.astype("float64") for v in given))
    np.testing.assert_allclose(run(in_training, *given), expected, rtol=2e-4, atol=2e-5)


class TestFixedBatchNorm:
    def test_type1(self):
        assert run(in_use, *operands(8, 3)).dtype == np.float32

    def test_forward1(self):
        expect_fixed(8, 1)

    def test_forward2(self):
        expect_fixed(1, 10)

    def test_forward3(self):
        expect_fixed(20, 10)

    def test_forward4(self):
        expect_fixed(20, 10, 5, 5)


def check_slope(position, *shape):
    given = operands(*shape, dtype="float64")[:3]

    def of_one(node):
        nodes = [node if i == position else sg.Constant(v) for i, v in enumerate(given)]
        return in_training(*nodes)

    check_gradient(of_one, given[position])


def train_layer(*shape, batches=10):
    """Return a layer after some batches, a batch, and the running statistics that it must have."""
    layer = BatchNorm(dtype="float64")
    x = sg.Placeholder("x", ("N", *shape[1:]), "float64")
    f = sg.compile(layer(x))
    mean, variance = np.zeros(shape[1]), np.ones(shape[1])
    axes = (0, *range(2, len(shape)))
    drawn = generator()
    for _ in range(batches):
        batch = drawn.normal(2.0, 3.0, size=shape)
        expected = of_batch(batch, np.ones(shape[1]), np.zeros(shape[1]))
        np.testing.assert_allclose(f(x=batch), expected, rtol=1e-10, atol=1e-12)
        mean = DECAY * mean + (1 - DECAY) * batch.mean(axes)
        variance = DECAY * variance + (1 - DECAY) * batch.var(axes, ddof=1)
    return layer, batch, mean, variance


def expect_statistics(*shape):
    layer, _, mean, variance = train_layer(*shape)
    np.testing.assert_allclose(layer.avg_mean.value, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.avg_var.value, variance, rtol=1e-12)


class TestBatchNorm:
    def test_type1(self):
        assert run(in_training, *operands(8, 3)[:3]).dtype == np.float32

    def test_forward1(self):
        expect_batch(8, 1)

    def test_forward2(self):
        """Of one row only beta is left; its unbiased variance does not spoil the running one."""
        given = operands(1, 10)[:3]
        np.testing.assert_allclose(run(in_training, *given), given[2][None], rtol=1e-6)
        layer = BatchNorm(10)
        x = sg.Placeholder("x", ("N", 10), "float32")
        sg.compile(layer(x))(x=given[0])
        assert np.isfinite(layer.avg_var.value).all()

    def test_forward3(self):
        expect_batch(20, 10)

    def test_forward4(self):
        expect_batch(20, 10, 5, 5)

    def test_forward5(self):
        expect_statistics(20, 10)

    def test_forward6(self):
        expect_statistics(20, 10, 5, 5)

    def test_backward1(self):
        check_slope(0, 8, 3)

    def test_backward2(self):
        check_slope(1, 8, 3)

    def test_backward3(self):
        check_slope(2, 8, 3)

    def test_backward4(self):
        check_slope(0, 10, 20, 5, 5)

    def test_backward5(self):
        check_slope(1, 10, 20, 5, 5)

    def test_backward6(self):
        check_slope(2, 10, 20, 5, 5)


class TestBatchNormLayer:
    def test_forward1(self):
        train_layer(8, 3, batches=1)

    def test_forward2(self):
        layer, batch, mean, variance = train_layer(8, 3)
        with sg.test_mode():
            f = sg.compile(layer(sg.Placeholder("x", ("N", 3), "float64")))
        expected = normalised(batch, np.ones(3), np.zeros(3), mean, variance)
        np.testing.assert_allclose(f(x=batch), expected, rtol=1e-10)
        np.testing.assert_allclose(layer.avg_mean.value, mean, rtol=1e-12)


VALUES = {
    "x": np.array([[1.0, 2.0], [3.0, 6.0]]),
    "gamma": np.array([1.0, 2.0]),
    "beta": np.array([0.0, 1.0]),
}


@pytest.mark.inventory("B.BatchNorm", "E4")
def test_the_recorded_values():
    nodes = [sg.Placeholder(name, v.shape, "float64") for name, v in VALUES.items()]
    mean, variance = State(np.zeros(2), "mean"), State(np.ones(2), "variance")
    y = sg.compile(nn.batch_norm(*nodes, mean, variance))(**VALUES)
    expected = [[-0.99999, -0.999995], [0.99999, 2.999995]]
    np.testing.assert_allclose(y, expected, rtol=0, atol=6e-6)
    np.testing.assert_allclose(mean.value, [0.2, 0.4], rtol=1e-15)
    np.testing.assert_allclose(variance.value, [1.1, 1.7], rtol=1e-15)
    with sg.test_mode():
        y = sg.compile(nn.batch_norm(*nodes, mean, variance))(**VALUES)
    expected = [[0.7627631372, 3.4542735275], [2.6696709803, 9.5899573461]]
    np.testing.assert_allclose(y, expected, rtol=0, atol=6e-11)


def nodes_with(mode, shape):
    nodes = {"x": sg.Placeholder("x", shape, "float64")}
    nodes |= {n: sg.Placeholder(n, shape[1:2], "float64") for n in ("gamma", "beta")}
    if mode == "training":
        return nodes, in_training(*nodes.values())
    drawn = generator(5)
    statistics = drawn.normal(size=shape[1]), drawn.uniform(0.5, 2, size=shape[1])
    return nodes, in_use(*nodes.values(), *statistics)


@pytest.mark.inventory("B.BatchNorm", "V.batchnorm_second_order", "V.batchnorm_test_mode")
@pytest.mark.parametrize("mode", ["training", "use"])
def test_first_and_second_derivatives(mode):
    shape = (4, 2)
    nodes, y = nodes_with(mode, shape)
    loss = sg.sum(sg.sin(y) * generator(3).normal(size=shape))
    slopes = sg.grad(loss, list(nodes.values()))
    feeds = dict(zip(nodes, operands(*shape, dtype="float64"), strict=False))
    assert max(sg.gradient_check(loss, feeds).values()) < 1e-7
    penalty = sum(sg.sum(sg.square(slope)) for slope in slopes)
    assert max(sg.gradient_check(penalty, feeds).values()) < 1e-7
