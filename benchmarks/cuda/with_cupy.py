"""The rows op by op: the Define-by-Run twin, which computes with CuPy's arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks import eager_functions, eager_images
from benchmarks.array_module import computing_with
from benchmarks.case import Settings
from benchmarks.cuda.clocks import cupy_clock, wall_clock
from benchmarks.cuda.problem import SGD, DeviceRun, Problem, Values
from benchmarks.define_by_run import Variable, recording
from benchmarks.eager_optimizers import SGD as EagerSGD
from benchmarks.eager_optimizers import Adam as EagerAdam
from benchmarks.eager_optimizers import Optimizer
from benchmarks.eager_recurrent import LSTM


def build(problem: Problem, settings: Settings) -> DeviceRun:
    """Build a row in the twin, with its data on the device.

    Args:
        problem: The row.
        settings: The device of the run; "cpu" for NumPy.

    Returns:
        The step.
    """
    if settings.device == "cpu":
        return build_with(problem, np)
    import cupy

    cupy.cuda.Device(int(settings.device.partition(":")[2] or 0)).use()
    run = build_with(problem, cupy)
    return DeviceRun(run.step, lambda y: np.asarray(y.data.get()), cupy_clock(cupy))


def build_with(problem: Problem, arrays: Any) -> DeviceRun:
    """Build a row in the twin with the arrays of any module.

    Args:
        problem: The row.
        arrays: `numpy`, or a module with its functions.

    Returns:
        The step, timed by the clock of the host.
    """

    def variables(given: Values) -> dict[str, Variable]:
        return {name: Variable(arrays.asarray(array)) for name, array in given.items()}

    network, functions = problem.network, TwinFunctions()
    parameters, feeds = variables(network.parameters()), variables(network.feeds())
    leaves = list(parameters.values())
    optimizer: Optimizer | None = None
    with computing_with(arrays):
        if problem.rule is not None:
            chosen: Any = EagerSGD if isinstance(problem.rule, SGD) else EagerAdam
            optimizer = chosen(leaves, problem.rule.rate)

    def step() -> Variable:
        with computing_with(arrays), recording(optimizer is not None):
            y: Variable = network.build(functions, parameters, feeds)
            if optimizer is not None:
                for leaf in leaves:
                    leaf.clear_grad()
                y.backward()
                optimizer.update()
        return y

    return DeviceRun(step, lambda y: np.asarray(y.data), wall_clock())


class TwinFunctions:
    """The functions of the twin; see `problem.Functions`."""

    exp = staticmethod(eager_functions.exp)
    tanh = staticmethod(eager_functions.tanh)
    relu = staticmethod(eager_functions.relu)
    sigmoid = staticmethod(eager_functions.sigmoid)
    softmax = staticmethod(eager_functions.softmax)
    linear = staticmethod(eager_functions.linear)
    conv2d = staticmethod(eager_images.conv2d)
    max_pool2d = staticmethod(eager_images.max_pool2d)
    squared_error = staticmethod(eager_functions.mean_squared_error)

    def flatten(self, x: Variable) -> Variable:
        """Return images as rows."""
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))

    def layer_norm(self, x: Variable, gamma: Variable, beta: Variable) -> Variable:
        """Return rows with mean 0 and variance 1, scaled and moved."""
        part = 1.0 / x.shape[1]
        centred = x - x.sum(axis=1, keepdims=True) * part
        variance = (centred * centred).sum(axis=1, keepdims=True) * part
        return centred / (variance + 1e-5) ** 0.5 * gamma + beta

    def cross_entropy(self, logits: Variable, labels: Variable) -> Variable:
        """Return the mean of the negative log-likelihoods of the labels."""
        return eager_functions.softmax_cross_entropy(logits, labels.data)

    def lstm_error(self, x: Variable, t: Variable, parameters: Values) -> Variable:
        """Return the sum over the steps of the mean squared error."""
        lstm = LSTM(parameters["Wx"], parameters["Wh"], parameters["b"])
        total: Variable | None = None
        for now, after in zip(x.data, t.data, strict=True):
            y = eager_functions.linear(lstm(Variable(now)), parameters["W"], parameters["c"])
            error = eager_functions.mean_squared_error(y, Variable(after))
            total = error if total is None else total + error
        assert total is not None, "a sequence has steps"
        return total
