"""The workloads in the Define-by-Run twin, over NumPy's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import eager_functions, eager_optimizers
from benchmarks.cuda.problem import SGD, Adam
from benchmarks.cuda.with_cupy import TwinFunctions
from benchmarks.define_by_run import Variable, recording
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
    Workload,
)

_ROOT = float(np.sqrt(2 / np.pi))


class _Functions(TwinFunctions):
    sin = staticmethod(eager_functions.sin)

    def mean(self, x: Variable) -> Variable:
        size: int = x.data.size
        return x.sum() * (1.0 / size)

    def gelu(self, x: Variable) -> Variable:
        inner = x * (x * x * (0.044715 * _ROOT) + _ROOT)
        return x * (eager_functions.tanh(inner) + 1.0) * 0.5

    def branching_loop(self, x: Variable, steps: int) -> Variable:
        count = 0
        while count < steps:
            x = x * 0.5 - 1.0 if x.sum().data > 0 else x * 0.9 + 0.3
            count += 1
        return x.sum()


def _build(workload: Workload, data: Data, threads: int) -> Built:
    leaves = {name: Variable(array) for name, array in data.parameters.items()}
    feeds = {name: Variable(array) for name, array in data.feeds.items()}
    task, functions, network = workload.task, _Functions(), workload.network
    optimizer = _optimizer(task.rule, list(leaves.values())) if isinstance(task, Train) else None
    wanted = list(leaves.values())
    if isinstance(task, Gradients):
        wanted = [{**feeds, **leaves}[name] for name in task.names]
    derived = isinstance(task, Train | Gradients | HessianVector)

    def step() -> list[Any]:
        with recording(derived):
            loss = network.build(functions, leaves, feeds)
        if not derived:
            return [loss.data]
        for one in wanted:
            one.clear_grad()
        loss.backward(create_graph=isinstance(task, HessianVector))
        if isinstance(task, HessianVector):
            _differentiate_along(wanted, data)
        if optimizer is not None:
            optimizer.update()
            return [loss.data]
        return [loss.data, *(one.grad.data for one in wanted if one.grad is not None)]

    return Built(step, lambda result: result)


build: Build = _build


def _differentiate_along(leaves: list[Variable], data: Data) -> None:
    """Replace the gradients of the leaves by the Hessian times the vectors."""
    slope: Variable | None = None
    for leaf, vector in zip(leaves, data.vectors.values(), strict=True):
        assert leaf.grad is not None, "the loss was differentiated"
        part = (leaf.grad * vector).sum()
        slope = part if slope is None else slope + part
        leaf.clear_grad()
    assert slope is not None, "there are parameters"
    slope.backward()


class _RMSProp:
    def __init__(self, leaves: list[Variable], rate: float) -> None:
        self._leaves, self._rate = leaves, rate
        self._squares = [np.zeros_like(leaf.data) for leaf in leaves]

    def update(self) -> None:
        for leaf, square in zip(self._leaves, self._squares, strict=True):
            assert leaf.grad is not None, "the loss was differentiated"
            slope = leaf.grad.data
            square *= KEPT
            square += (1 - KEPT) * (slope * slope)
            leaf.data -= self._rate * slope / (np.sqrt(square) + EPSILON[RMSProp])


def _optimizer(rule: Rule, leaves: list[Variable]) -> eager_optimizers.Optimizer:
    if isinstance(rule, SGD):
        return eager_optimizers.SGD(leaves, rule.rate)
    if isinstance(rule, Adam):
        return eager_optimizers.Adam(leaves, rule.rate)
    if isinstance(rule, Momentum):
        return eager_optimizers.Momentum(leaves, rule.rate, KEPT)
    return _RMSProp(leaves, rule.rate)
