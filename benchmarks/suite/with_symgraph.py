"""The workloads in symgraph."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

import symgraph as sg
from benchmarks.cuda.problem import SGD, Adam, Arrays
from benchmarks.cuda.with_symgraph import SymGraphFunctions
from benchmarks.suite.workload import (
    KEPT,
    Build,
    Built,
    Data,
    Gradients,
    HessianVector,
    Momentum,
    Rule,
    Train,
    Values,
    Workload,
)


class _Functions(SymGraphFunctions):
    sin = staticmethod(sg.sin)
    mean = staticmethod(sg.mean)

    def gelu(self, x: Any) -> Any:
        return sg.nn.gelu(x, "tanh")

    def branching_loop(self, x: Any, steps: int) -> Any:
        def step(carry: Any) -> Any:
            count, vector = carry
            moved = sg.cond(
                vector.sum() > 0, lambda: vector * 0.5 - 1.0, lambda: vector * 0.9 + 0.3
            )
            return count + 1, moved

        _, last = sg.while_loop(lambda carry: carry[0] < steps, step, (0, x))
        return sg.sum(last)


def _build(workload: Workload, data: Data, threads: int) -> Built:
    leaves, parameters = _leaves(data.parameters)
    nodes = {name: _placeholder(name, array) for name, array in data.feeds.items()}
    loss = workload.network.build(_Functions(), leaves, nodes)
    task = workload.task
    feeds: dict[str, Any] = dict(data.feeds)
    outputs, updates = [loss], None
    if isinstance(task, Train):
        updates = _optimizer(task.rule).updates(loss, parameters)
    elif isinstance(task, Gradients):
        given: Values = {**nodes, **leaves}
        outputs += sg.grad(loss, [given[name] for name in task.names])
    elif isinstance(task, HessianVector):
        vectors = {
            f"v_{name}": sg.Placeholder(f"v_{name}", array.shape, "float32")
            for name, array in data.vectors.items()
        }
        slopes = sg.grad(loss, parameters)
        along = zip(slopes, vectors.values(), strict=True)
        slope = reduce(operator.add, [sg.sum(part * vector) for part, vector in along])
        outputs += sg.grad(slope, parameters)
        nodes.update(vectors)
        feeds.update({f"v_{name}": array for name, array in data.vectors.items()})
    step = sg.compile(outputs, updates=updates, inputs=list(nodes.values()), threads=threads)
    return Built(lambda: step(**feeds), lambda result: result)


build: Build = _build


def _leaves(arrays: Arrays) -> tuple[Mapping[str, Any], list[Any]]:
    """Return what the network is given as parameters, and all that are trained."""
    if "Wh" not in arrays:
        made = {name: sg.Parameter(array, name=name) for name, array in arrays.items()}
        return made, list(made.values())
    inputs, hidden = arrays["Wx"].shape[0], arrays["Wh"].shape[0]
    lstm = sg.layers.LSTM(hidden, in_size=inputs)
    lstm.Wx.value, lstm.Wh.value, lstm.b.value = arrays["Wx"], arrays["Wh"], arrays["b"]
    behind = {name: sg.Parameter(arrays[name], name=name) for name in ("W", "c")}
    return {"lstm": lstm, **behind}, [*lstm.parameters(), *behind.values()]


def _placeholder(name: str, array: Any) -> Any:
    """Return a placeholder whose first extent stays open: one compilation serves every size."""
    return sg.Placeholder(name, ("N", *array.shape[1:]), array.dtype.name)


def _optimizer(rule: Rule) -> Any:
    if isinstance(rule, SGD):
        return sg.optim.SGD(rule.rate)
    if isinstance(rule, Momentum):
        return sg.optim.Momentum(rule.rate, KEPT)
    return sg.optim.Adam(rule.rate) if isinstance(rule, Adam) else sg.optim.RMSProp(rule.rate, KEPT)
