"""The rows in JAX: the whole step in one jitted function, at the highest precision of products."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.case import Settings
from benchmarks.cuda.clocks import wall_clock
from benchmarks.cuda.problem import SGD, Array, Arrays, DeviceRun, Problem, Values

_DECAYS = (0.9, 0.999)
_EPSILON = 1e-8


def build(problem: Problem, settings: Settings) -> DeviceRun:
    """Build a row in JAX; parameters are handed on from step to step without a copy.

    Args:
        problem: The row.
        settings: The device of the run.

    Returns:
        The step, timed by the host's clock until its results are ready.
    """
    jax = _import_jax()
    platform, _, index = settings.device.partition(":")
    place = jax.devices(platform)[int(index or 0)]
    feeds = _on(jax, place, problem.network.feeds())
    functions = JaxFunctions(jax)

    def forward(parameters: Values, feeds: Values) -> Any:
        return problem.network.build(functions, parameters, feeds)

    if problem.rule is None:
        run = jax.jit(forward)
        return DeviceRun(lambda: run({}, feeds), np.asarray, wall_clock(jax.block_until_ready))
    state = _State(jax, _on(jax, place, problem.network.parameters()))
    train = jax.jit(_training(jax, forward, problem.rule), donate_argnums=(0, 1, 2, 3))

    def step() -> Any:
        loss, state.values = train(*state.values, feeds)
        return loss

    def wait(_: Any) -> None:
        jax.block_until_ready(state.values)

    return DeviceRun(step, np.asarray, wall_clock(wait))


def _import_jax() -> Any:
    # Else it takes most of the memory at once, and the other peers share the device.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    return jax


def _on(jax: Any, place: Any, arrays: Arrays) -> dict[str, Any]:
    """Return arrays on a device; labels take the integers that JAX has by default."""

    def narrow(array: Array) -> Array:
        return array.astype(np.int32) if array.dtype == np.int64 else array

    return {name: jax.device_put(narrow(array), place) for name, array in arrays.items()}


class _State:
    """Parameters, Adam's moments and the number of steps, replaced by each step."""

    def __init__(self, jax: Any, parameters: Values) -> None:
        zeros = [{n: jax.numpy.zeros_like(p) for n, p in parameters.items()} for _ in range(2)]
        count = jax.numpy.zeros_like(next(iter(parameters.values())), shape=())
        self.values: tuple[Any, ...] = (parameters, *zeros, count)


def _training(jax: Any, forward: Any, rule: Any) -> Any:
    """Return a pure step: it takes the state and the feeds, and gives the loss and the state."""

    def train(parameters: Any, means: Any, squares: Any, count: Any, feeds: Any) -> Any:
        loss, gradients = jax.value_and_grad(forward)(parameters, feeds)
        if isinstance(rule, SGD):
            moved = {n: p - rule.rate * gradients[n] for n, p in parameters.items()}
            return loss, (moved, means, squares, count)
        first, second = _DECAYS
        count = count + 1
        means = {n: first * m + (1 - first) * gradients[n] for n, m in means.items()}
        squares = {n: second * s + (1 - second) * gradients[n] ** 2 for n, s in squares.items()}
        scale = rule.rate / (1 - first**count)
        correction = 1 / (1 - second**count)
        moved = {
            n: p - scale * means[n] / (jax.numpy.sqrt(squares[n] * correction) + _EPSILON)
            for n, p in parameters.items()
        }
        return loss, (moved, means, squares, count)

    return train


class JaxFunctions:
    """The functions of JAX; see `problem.Functions`."""

    def __init__(self, jax: Any) -> None:
        """Take the functions that need no change.

        Args:
            jax: The module.
        """
        self._jax = jax
        self._numpy = jax.numpy
        self.exp = jax.numpy.exp
        self.tanh = jax.numpy.tanh
        self.relu = jax.nn.relu
        self.sigmoid = jax.nn.sigmoid
        self.softmax = jax.nn.softmax

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return `x @ weight + bias`."""
        return x @ weight + bias

    def conv2d(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return images convolved with filters of 3 x 3."""
        axes = ("NCHW", "OIHW", "NCHW")
        convolved = self._jax.lax.conv_general_dilated
        y = convolved(x, weight, (1, 1), "SAME", dimension_numbers=axes)
        return y + bias[:, None, None]

    def max_pool2d(self, x: Any) -> Any:
        """Return the largest element of each window of 2 x 2."""
        window = (1, 1, 2, 2)
        lax = self._jax.lax
        return lax.reduce_window(x, -self._numpy.inf, lax.max, window, window, "VALID")

    def flatten(self, x: Any) -> Any:
        """Return images as rows."""
        return x.reshape(len(x), -1)

    def layer_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        """Return rows with mean 0 and variance 1, scaled and moved."""
        mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        return (x - mean) / self._numpy.sqrt(variance + 1e-5) * gamma + beta

    def cross_entropy(self, logits: Any, labels: Any) -> Any:
        """Return the mean of the negative log-likelihoods of the labels."""
        rows = self._jax.nn.log_softmax(logits)
        return -self._numpy.take_along_axis(rows, labels[:, None], axis=1).mean()

    def squared_error(self, x: Any, t: Any) -> Any:
        """Return the mean of the squared differences."""
        return ((x - t) ** 2).mean()

    def lstm_error(self, x: Any, t: Any, parameters: Values) -> Any:
        """Return the sum over the steps of the mean squared error; the products of x come first."""
        given = x @ parameters["Wx"] + parameters["b"]
        zeros = self._numpy.zeros((x.shape[1], parameters["Wh"].shape[0]), x.dtype)

        def step(state: Any, row: Any) -> Any:
            h, c = state
            gates = self._numpy.split(row + h @ parameters["Wh"], 4, axis=1)
            forget, write, read = (self.sigmoid(gate) for gate in gates[:3])
            c = forget * c + write * self.tanh(gates[3])
            h = read * self.tanh(c)
            return (h, c), h

        _, hidden = self._jax.lax.scan(step, (zeros, zeros), given)
        y = hidden @ parameters["W"] + parameters["c"]
        return ((y - t) ** 2).mean(axis=(1, 2)).sum()
