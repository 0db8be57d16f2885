"""The rows in symgraph: fed from the device without a copy, or from the host as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.case import Settings
from benchmarks.cuda.clocks import cupy_clock, wall_clock
from benchmarks.cuda.problem import SGD, Array, Arrays, DeviceRun, Problem, Values

_OF_A_BATCH = ("x", "t", "a", "b")
"""Feeds whose first extent stays open: one compilation serves every size of it."""


def build_on_device(problem: Problem, settings: Settings) -> DeviceRun:
    """Build a row whose feeds lie on the device, whose results stay there, and which never waits.

    Args:
        problem: The row.
        settings: The device of the run.

    Returns:
        The step.
    """
    import cupy

    device = settings.device
    function = _compiled(problem, device=device, results="device")
    with cupy.cuda.Device(int(device.partition(":")[2] or 0)):
        feeds = {name: cupy.asarray(array) for name, array in problem.network.feeds().items()}
    return DeviceRun(
        lambda: function(**feeds), lambda result: np.asarray(result.get()), cupy_clock(cupy)
    )


def build_from_host(problem: Problem, settings: Settings) -> DeviceRun:
    """Build a row that is fed NumPy arrays and returns them: it copies and waits at each call.

    Args:
        problem: The row.
        settings: The device of the run.

    Returns:
        The step.
    """
    function = _compiled(problem, device=settings.device)
    feeds = problem.network.feeds()
    return DeviceRun(lambda: function(**feeds), np.asarray, wall_clock())


def _compiled(problem: Problem, **options: Any) -> Any:
    leaves = _leaves(problem.network.parameters())
    feeds = {name: _placeholder(name, array) for name, array in problem.network.feeds().items()}
    loss = problem.network.build(SymGraphFunctions(), leaves, feeds)
    rule = problem.rule
    if rule is None:
        return sg.compile(loss, inputs=list(feeds.values()), **options)
    chosen = sg.optim.SGD if isinstance(rule, SGD) else sg.optim.Adam
    trained = [leaf for leaf in leaves.values() if isinstance(leaf, sg.Parameter)]
    if "lstm" in leaves:
        trained = [*leaves["lstm"].parameters(), *trained]
    return sg.compile(loss, updates=chosen(rule.rate).updates(loss, trained), **options)


def _placeholder(name: str, array: Array) -> sg.Placeholder:
    shape: tuple[int | str, ...] = array.shape
    if name in _OF_A_BATCH:
        shape = ("N", *array.shape[1:])
    return sg.Placeholder(name, shape, array.dtype.name)


def _leaves(arrays: Arrays) -> dict[str, Any]:
    """Return the parameters; those of an LSTM lie in a layer."""
    if "Wh" not in arrays:
        return {name: sg.Parameter(array, name=name) for name, array in arrays.items()}
    inputs, hidden = arrays["Wx"].shape[0], arrays["Wh"].shape[0]
    lstm = sg.layers.LSTM(hidden, in_size=inputs)
    lstm.Wx.value, lstm.Wh.value, lstm.b.value = arrays["Wx"], arrays["Wh"], arrays["b"]
    behind = {name: sg.Parameter(arrays[name], name=name) for name in ("W", "c")}
    return {"lstm": lstm, **behind}


class SymGraphFunctions:
    """The functions of symgraph; see `problem.Functions`."""

    exp = staticmethod(sg.exp)
    tanh = staticmethod(sg.tanh)
    relu = staticmethod(sg.relu)
    sigmoid = staticmethod(sg.sigmoid)
    softmax = staticmethod(sg.nn.softmax)
    linear = staticmethod(sg.nn.linear)
    layer_norm = staticmethod(sg.nn.layer_norm)
    cross_entropy = staticmethod(sg.nn.softmax_cross_entropy)

    def conv2d(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return images convolved with filters of 3 x 3."""
        return sg.nn.conv2d(x, weight, bias, pad=1)

    def max_pool2d(self, x: Any) -> Any:
        """Return the largest element of each window of 2 x 2."""
        return sg.nn.max_pool2d(x, 2)

    def flatten(self, x: Any) -> Any:
        """Return images as rows."""
        return sg.nn.flatten(x)

    def squared_error(self, x: Any, t: Any) -> Any:
        """Return the mean of the squared differences."""
        return sg.mean((x - t) ** 2)

    def lstm_error(self, x: Any, t: Any, parameters: Values) -> Any:
        """Return the sum over the steps of the mean squared error."""
        y = parameters["lstm"](x) @ parameters["W"] + parameters["c"]
        return sg.sum(sg.mean((y - t) ** 2, axis=(1, 2)))
