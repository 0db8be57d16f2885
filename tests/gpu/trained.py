"""Models that the checks train, on the CPU and on the device, from the same start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

import symgraph as sg
from tests.gpu.machine import Gpu

Arrays = dict[str, np.ndarray[Any, Any]]

EPSILON = 1e-4
"""Of Adam: with its own, gradients that are mere rounding errors would move parameters far."""


@dataclass
class Trained:
    """A model with its compiled training step.

    Args:
        layers: whose parameters and states are trained.
        step: takes a batch and returns the loss.
        batch: what it is fed.
    """

    layers: list[Any]
    step: Any
    batch: Arrays

    def values(self) -> list[np.ndarray[Any, Any]]:
        """Return copies of all parameters and states."""
        held = [p for layer in self.layers for p in (*layer.parameters(), *layer.states())]
        return [np.array(parameter.value) for parameter in held]


def mlp(quick: bool, **options: Any) -> Trained:
    """Return a perceptron with dropout, trained by Momentum towards numbers."""
    rows, width = (6, 5) if quick else (100, 64)
    x, t = (sg.Placeholder(name, ("N", 3), "float32") for name in "xt")
    layers = [sg.layers.Linear(width, 3, seed=1), sg.layers.Linear(3, width, seed=2)]
    hidden = sg.nn.dropout(sg.tanh(layers[0](x)), 0.25, seed=7, stream=1)
    loss = sg.mean((layers[1](hidden) - t) ** 2)
    rng = np.random.default_rng(0)
    batch = {name: rng.normal(size=(rows, 3)).astype("float32") for name in "xt"}
    return _compiled(layers, loss, sg.optim.Momentum(0.05), [x, t], batch, options)


def cnn(quick: bool, **options: Any) -> Trained:
    """Return a network like LeNet with a batch normalisation, trained by Adam on labels."""
    rows, extent, filters = (2, 4, 3) if quick else (32, 28, 16)
    x = sg.Placeholder("x", ("N", 1, extent, extent), "float32")
    t = sg.Placeholder("t", ("N",), "int64")
    # A bias before the normalisation has a gradient of rounding errors, which Adam would magnify.
    first = sg.layers.Conv2d(filters, 3, pad=1, bias=False, in_channels=1, seed=1)
    norm = sg.layers.BatchNorm(filters)
    second = sg.layers.Conv2d(2 * filters, 3, pad=1, in_channels=filters, seed=2)
    last = sg.layers.Linear(10, 2 * filters * (extent // 4) ** 2, seed=3)
    y = sg.nn.max_pool2d(sg.relu(norm(first(x))), 2)
    y = sg.nn.max_pool2d(sg.relu(second(y)), 2)
    loss = sg.nn.softmax_cross_entropy(last(sg.nn.flatten(y)), t)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(rows, 1, extent, extent)).astype("float32")
    batch = {"x": images, "t": rng.integers(0, 10, rows)}
    layers = [first, norm, second, last]
    return _compiled(layers, loss, sg.optim.Adam(1e-3, eps=EPSILON), [x, t], batch, options)


def lstm(quick: bool, **options: Any) -> Trained:
    """Return an LSTM with a linear layer behind it, trained by Adam on a sine."""
    steps, rows, hidden = (3, 2, 4) if quick else (30, 30, 100)
    x, t = (sg.Placeholder(name, ("T", "N", 1), "float32") for name in "xt")
    layers = [sg.layers.LSTM(hidden, in_size=1, seed=1), sg.layers.Linear(1, hidden, seed=2)]
    loss = sg.mean((layers[1](layers[0](x)) - t) ** 2)
    curve = np.sin(np.arange((steps + 1) * rows) / 7).reshape(steps + 1, rows, 1)
    batch = {"x": curve[:-1].astype("float32"), "t": curve[1:].astype("float32")}
    return _compiled(layers, loss, sg.optim.Adam(1e-3, eps=EPSILON), [x, t], batch, options)


MODELS: dict[str, Callable[..., Trained]] = {"mlp": mlp, "cnn": cnn, "lstm": lstm}


def _compiled(
    layers: list[Any], loss: Any, optimiser: Any, inputs: Any, batch: Arrays, options: Any
) -> Trained:
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    updates = optimiser.updates(loss, parameters)
    return Trained(layers, sg.compile(loss, updates=updates, inputs=inputs, **options), batch)


def train(model: Trained, steps: int) -> list[Any]:
    """Return the losses of so many steps and what they leave."""
    losses = [np.array(model.step(**model.batch)) for _ in range(steps)]
    return [*losses, *model.values()]


def check_training(gpu: Gpu, name: str) -> None:
    """Train on both: the same within 1e-5; train again on the device: the same bits."""
    make, steps = MODELS[name], gpu.either(4, 10)
    expected = train(make(gpu.quick, **gpu.host), steps)
    found = train(make(gpu.quick, device=gpu.name), steps)
    again = train(make(gpu.quick, device=gpu.name), steps)
    for ours, cpu, repeated in zip(found, expected, again, strict=True):
        assert relative(ours, cpu) <= 1e-5, name
        np.testing.assert_array_equal(ours, repeated)


def check_replay(gpu: Gpu, name: str) -> None:
    """Train once with graphs and once without: the same bits."""
    from symgraph.runtime.cuda import frame

    make, steps = MODELS[name], gpu.either(4, 10)
    with gpu.watched() as counts:
        found = train(make(gpu.quick, device=gpu.name), steps)
    # The first step is not recorded, the second is, and replayed like all that follow.
    assert (counts["record"], counts["replay"]) == (1, steps - 1), name
    with mock.patch.object(frame, "MOST_RECORDED", -1), gpu.watched() as counts:
        eager = train(make(gpu.quick, device=gpu.name), steps)
    assert (counts["record"], counts["replay"]) == (0, 0), name
    for ours, other in zip(found, eager, strict=True):
        np.testing.assert_array_equal(ours, other)


def relative(found: Any, expected: Any) -> float:
    """Return the largest difference in units of the largest expected element."""
    assert found.shape == expected.shape
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    return float(np.abs(found - expected).max(initial=0)) / scale
