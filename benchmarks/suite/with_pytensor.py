"""The workloads in PyTensor: one function with updates of shared variables, loops as scans."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.ifelse import ifelse
from pytensor.scan.utils import until

from benchmarks.cuda.problem import SGD, Adam
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

_number = np.float32
_DECAYS = (0.9, 0.999)


class _Functions:
    """The functions of PyTensor; see `problem.Functions`. It has no convolutions."""

    exp = staticmethod(pt.exp)
    sin = staticmethod(pt.sin)
    tanh = staticmethod(pt.tanh)
    sigmoid = staticmethod(pt.sigmoid)

    def relu(self, x: Any) -> Any:
        return pt.maximum(x, _number(0))

    def mean(self, x: Any) -> Any:
        return pt.mean(x, dtype="float32")

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        return pt.dot(x, weight) + bias

    def softmax(self, x: Any) -> Any:
        return pt.special.softmax(x, axis=1)

    def cross_entropy(self, logits: Any, labels: Any) -> Any:
        rows = pt.special.log_softmax(logits, axis=1)
        return -self.mean(rows[pt.arange(labels.shape[0]), labels])

    def squared_error(self, x: Any, t: Any) -> Any:
        return self.mean((x - t) ** 2)

    def gelu(self, x: Any) -> Any:
        root = _number(np.sqrt(2 / np.pi))
        inner = x * (x * x * (_number(0.044715) * root) + root)
        return x * (pt.tanh(inner) + _number(1)) * _number(0.5)

    def layer_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        centred = x - pt.mean(x, axis=1, keepdims=True)
        variance = pt.mean(centred * centred, axis=1, keepdims=True)
        return centred / pt.sqrt(variance + _number(1e-5)) * gamma + beta

    def conv2d(self, x: Any, weight: Any, bias: Any) -> Any:
        raise NotImplementedError("PyTensor has no convolutions of images with channels")

    def max_pool2d(self, x: Any) -> Any:
        raise NotImplementedError("PyTensor has no pooling")

    def flatten(self, x: Any) -> Any:
        return x.flatten(2)

    def branching_loop(self, x: Any, steps: int) -> Any:
        def step(count: Any, vector: Any) -> Any:
            down = vector * _number(0.5) - _number(1)
            up = vector * _number(0.9) + _number(0.3)
            moved = ifelse(pt.gt(vector.sum(), 0), down, up)
            return [count + 1, moved], until(count + 1 >= steps)

        start = [pt.constant(np.int64(0)), x]
        _, vectors = pytensor.scan(step, outputs_info=start, n_steps=steps, return_updates=False)
        return vectors[-1].sum()

    def lstm_error(self, x: Any, t: Any, parameters: Values) -> Any:
        weight = parameters["Wh"]
        hidden = weight.shape[0]
        given = pt.dot(x, parameters["Wx"]) + parameters["b"]
        zeros = pt.zeros((x.shape[1], hidden), dtype="float32")

        def step(row: Any, h: Any, c: Any, weight: Any) -> Any:
            gates = row + pt.dot(h, weight)
            gate = pt.sigmoid(gates[:, : 3 * hidden])
            forget, write = gate[:, :hidden], gate[:, hidden : 2 * hidden]
            c = forget * c + write * pt.tanh(gates[:, 3 * hidden :])
            return [gate[:, 2 * hidden :] * pt.tanh(c), c]

        every, _ = pytensor.scan(
            step,
            sequences=[given],
            outputs_info=[zeros, zeros],
            non_sequences=[weight],
            return_updates=False,
        )
        y = pt.dot(every, parameters["W"]) + parameters["c"]
        return ((y - t) ** 2).mean(axis=(1, 2)).sum()


def _build(workload: Workload, data: Data, threads: int) -> Built:
    feeds = {name: pt.as_tensor(array).type(name) for name, array in data.feeds.items()}
    leaves = {name: pytensor.shared(array, name=name) for name, array in data.parameters.items()}
    loss = workload.network.build(_Functions(), leaves, feeds)
    task, trained = workload.task, list(leaves.values())
    inputs, arrays = list(feeds.values()), list(data.feeds.values())
    outputs, updates = [loss], OrderedDict[Any, Any]()
    if isinstance(task, Train):
        updates = _moved(task.rule, trained, pytensor.grad(loss, trained))
    elif isinstance(task, Gradients):
        given = {**feeds, **leaves}
        outputs += pytensor.grad(loss, [given[name] for name in task.names])
    elif isinstance(task, HessianVector):
        vectors = [pt.as_tensor(a).type(f"v_{name}") for name, a in data.vectors.items()]
        slopes = pytensor.grad(loss, trained)
        slope = sum((g * v).sum() for g, v in zip(slopes, vectors, strict=True))
        outputs += pytensor.grad(slope, trained)
        inputs += vectors
        arrays += data.vectors.values()
    function = pytensor.function(inputs, outputs, updates=updates, trust_input=True)
    return Built(lambda: function(*arrays), lambda result: result)


build: Build = _build


def _moved(rule: Rule, leaves: list[Any], slopes: list[Any]) -> OrderedDict[Any, Any]:
    """Return what becomes of the parameters, and of what the rule remembers."""
    updates: OrderedDict[Any, Any] = OrderedDict()

    def remembered(leaf: Any) -> Any:
        return pytensor.shared(np.zeros_like(leaf.get_value()))

    rate = _number(rule.rate)
    kept, rest = _number(KEPT), _number(1 - KEPT)
    count = pytensor.shared(_number(0))
    first, second = (_number(decay) for decay in _DECAYS)
    for leaf, slope in zip(leaves, slopes, strict=True):
        if isinstance(rule, SGD):
            updates[leaf] = leaf - rate * slope
        elif isinstance(rule, Momentum):
            velocity = remembered(leaf)
            updates[velocity] = kept * velocity - rate * slope
            updates[leaf] = leaf + updates[velocity]
        elif isinstance(rule, RMSProp):
            square = remembered(leaf)
            updates[square] = kept * square + rest * slope * slope
            root = pt.sqrt(updates[square]) + _number(EPSILON[RMSProp])
            updates[leaf] = leaf - rate * slope / root
        else:
            mean, square = remembered(leaf), remembered(leaf)
            updates[count] = count + _number(1)
            updates[mean] = first * mean + (_number(1) - first) * slope
            updates[square] = second * square + (_number(1) - second) * slope * slope
            scale = rate / (_number(1) - first ** updates[count])
            root = pt.sqrt(updates[square] / (_number(1) - second ** updates[count]))
            updates[leaf] = leaf - scale * updates[mean] / (root + _number(EPSILON[Adam]))
    return updates
