"""The workloads in DeZero, as its users write them."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from benchmarks.cuda.problem import SGD, Adam, Arrays
from benchmarks.suite.workload import (
    EPSILON,
    KEPT,
    Build,
    Built,
    Data,
    Gradients,
    HessianVector,
    Momentum,
    RMSProp,
    Rule,
    Train,
    Values,
    Workload,
)

# DeZero 0.0.13, the last release, names `numpy.int` while it is imported; NumPy removed it in 1.24.
with mock.patch.object(np, "int", int, create=True):
    import dezero
    import dezero.functions as F
    import dezero.optimizers

_ROOT = np.float32(np.sqrt(2 / np.pi))
_number = np.float32
"""DeZero would turn Python numbers, and with them whole arrays, into float64."""


class _Functions:
    """The functions of DeZero; see `problem.Functions`."""

    exp = staticmethod(F.exp)
    sin = staticmethod(F.sin)
    tanh = staticmethod(F.tanh)
    relu = staticmethod(F.relu)
    sigmoid = staticmethod(F.sigmoid)
    linear = staticmethod(F.linear)
    flatten = staticmethod(F.flatten)

    def squared_error(self, x: Any, t: Any) -> Any:
        error = F.mean_squared_error(x, t)  # It divides by the rows alone.
        return error if x.shape[1] == 1 else error * _number(1 / x.shape[1])

    def cross_entropy(self, logits: Any, labels: Any) -> Any:
        return F.softmax_cross_entropy(logits, labels.data)

    def softmax(self, x: Any) -> Any:
        return F.softmax(x, axis=1)

    def mean(self, x: Any) -> Any:
        return F.sum(x) * _number(1 / x.size)

    def gelu(self, x: Any) -> Any:
        inner = x * (x * x * (_number(0.044715) * _ROOT) + _ROOT)
        return x * (F.tanh(inner) + _number(1)) * _number(0.5)

    def conv2d(self, x: Any, weight: Any, bias: Any) -> Any:
        return F.conv2d(x, weight, bias, pad=1)

    def max_pool2d(self, x: Any) -> Any:
        return F.pooling(x, 2, stride=2)

    def layer_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        part = _number(1 / x.shape[1])
        centred = x - F.sum(x, axis=1, keepdims=True) * part
        variance = F.sum(centred * centred, axis=1, keepdims=True) * part
        return centred / (variance + _number(1e-5)) ** 0.5 * gamma + beta

    def branching_loop(self, x: Any, steps: int) -> Any:
        half, one, part, more = (_number(value) for value in (0.5, 1.0, 0.9, 0.3))
        count = 0
        while count < steps:
            x = x * half - one if F.sum(x).data > 0 else x * part + more
            count += 1
        return F.sum(x)

    def lstm_error(self, x: Any, t: Any, parameters: Values) -> Any:
        lstm, behind = parameters["lstm"], parameters["behind"]
        lstm.reset_state()
        total: Any = 0
        for now, after in zip(x.data, t.data, strict=True):
            total = total + self.squared_error(behind(lstm(now)), after)
        return total


def _build(workload: Workload, data: Data, threads: int) -> Built:
    model = dezero.layers.Layer()
    leaves = _leaves(model, data.parameters)
    feeds = {name: dezero.Variable(array) for name, array in data.feeds.items()}
    task, functions, network = workload.task, _Functions(), workload.network
    optimizer = _optimizer(task.rule).setup(model) if isinstance(task, Train) else None
    wanted = [] if optimizer else list(leaves.values())
    if isinstance(task, Gradients):
        wanted = [{**feeds, **leaves}[name] for name in task.names]
    along = list(data.vectors.values())

    def step() -> list[Any]:
        if not (optimizer or wanted):
            with dezero.no_grad():
                return [network.build(functions, leaves, feeds).data]
        loss = network.build(functions, leaves, feeds)
        model.cleargrads()
        for one in wanted:
            one.cleargrad()
        loss.backward(create_graph=isinstance(task, HessianVector))
        if optimizer:
            optimizer.update()
        elif along:
            slopes = [one.grad for one in wanted]
            for one in wanted:
                one.cleargrad()
            parts = zip(slopes, along, strict=True)
            sum(F.sum(slope * vector) for slope, vector in parts).backward()
        return [loss.data, *(one.grad.data for one in wanted)]

    return Built(step, lambda result: result)


build: Build = _build


def _leaves(model: Any, arrays: Arrays) -> dict[str, Any]:
    """Return the parameters, or the layers of an LSTM; each gate has arrays of its own there."""
    if "Wh" not in arrays:
        for name, array in arrays.items():
            setattr(model, name, dezero.Parameter(array, name=name))
        return {name: getattr(model, name) for name in arrays}
    inputs, hidden = arrays["Wx"].shape[0], arrays["Wh"].shape[0]
    model.lstm = dezero.layers.LSTM(hidden, in_size=inputs)
    model.behind = dezero.layers.Linear(arrays["W"].shape[1], in_size=hidden)
    model.behind.W.data, model.behind.b.data = arrays["W"], arrays["c"]
    gates = [np.split(arrays[name], 4, axis=-1) for name in ("Wx", "Wh", "b")]
    for gate, wx, wh, b in zip("fiou", *gates, strict=True):
        given, carried = getattr(model.lstm, f"x2{gate}"), getattr(model.lstm, f"h2{gate}")
        # Copies, because an optimiser that writes into views of one array would be slower.
        given.W.data, given.b.data, carried.W.data = wx.copy(), b.copy(), wh.copy()
    return {"lstm": model.lstm, "behind": model.behind}


class _RMSProp(dezero.optimizers.Optimizer):  # type: ignore[misc]  # DeZero has no types
    """The rule that DeZero lacks, written the way its others are."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate
        self._squares: dict[int, Any] = {}

    def update_one(self, parameter: Any) -> None:
        slope = parameter.grad.data
        if id(parameter) not in self._squares:
            self._squares[id(parameter)] = np.zeros_like(parameter.data)
        square = self._squares[id(parameter)]
        square *= KEPT
        square += (1 - KEPT) * slope * slope
        parameter.data -= self._rate * slope / (np.sqrt(square) + EPSILON[RMSProp])


def _optimizer(rule: Rule) -> Any:
    if isinstance(rule, SGD):
        return dezero.optimizers.SGD(rule.rate)
    if isinstance(rule, Adam):
        return dezero.optimizers.Adam(rule.rate)
    if isinstance(rule, Momentum):
        return dezero.optimizers.MomentumSGD(rule.rate, KEPT)
    return _RMSProp(rule.rate)
