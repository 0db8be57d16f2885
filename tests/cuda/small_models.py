"""Training steps of small models, for the tests of the GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from symgraph import nn
from symgraph.layers import LSTM, BatchNorm, Conv2d, Embedding, Layer, Linear

Array = np.ndarray[Any, Any]
STEPS = 4
LABELS = np.random.default_rng(1).integers(0, 5, 6)


class Step:
    """A training step, what it changes, and what it is fed.

    Args:
        loss: what is minimised.
        optimizer: how.
        layer: what is trained.
        feeds: of each call.
    """

    def __init__(self, loss, optimizer, layer, **feeds):
        self.loss, self.layer, self.feeds = loss, layer, feeds
        self._updates = optimizer.updates(loss, layer.parameters())
        self._changed = [*layer.parameters(), *layer.states(), *optimizer.states().values()]

    def compiled(self, device, **options):
        return sg.compile(self.loss, updates=self._updates, device=device, **options)

    def values(self):
        return [np.asarray(changed.value) for changed in self._changed]

    def run(self, device, steps=STEPS):
        """Return the losses of some steps, and what these leave behind."""
        function = self.compiled(device)
        losses = [function(**self.feeds) for _ in range(steps)]
        return [*losses, *self.values()]


class Mlp(Layer):
    """Two dense layers with dropout between them."""

    def __init__(self):
        self.first, self.second = Linear(20, in_size=7, seed=1), Linear(5, in_size=20, seed=2)

    def forward(self, x):
        return self.second(nn.dropout(nn.relu(self.first(x)), 0.4, seed=3))


class Cnn(Layer):
    """Convolutions, batch normalisation and both kinds of pooling, as in LeNet."""

    def __init__(self):
        self.first = Conv2d(4, 3, in_channels=1, pad=1, seed=1)
        self.norm = BatchNorm(4)
        self.second = Conv2d(6, 3, in_channels=4, stride=2, seed=2)
        self.last = Linear(5, in_size=24, seed=3)

    def forward(self, x):
        x = nn.max_pool2d(nn.relu(self.norm(self.first(x))), 2)
        x = nn.average_pool2d(sg.tanh(self.second(x)), 2, stride=1)
        return self.last(nn.flatten(x))


class Recurrent(Layer):
    """An embedding, an LSTM through time, and a dense layer."""

    def __init__(self):
        self.words = Embedding(9, 6, seed=1)
        self.memory = LSTM(8, in_size=6, seed=2)
        self.last = Linear(5, in_size=8, seed=3)

    def forward(self, ids):
        return self.last(self.memory(self.words(ids))[-1])


def _mlp(rng: np.random.Generator) -> tuple[Layer, sg.optim.Optimizer, sg.Placeholder, Array]:
    x = sg.Placeholder("x", ("N", 7), "float32")
    return Mlp(), sg.optim.Adam(0.01), x, rng.normal(size=(6, 7))


def _cnn(rng: np.random.Generator) -> tuple[Layer, sg.optim.Optimizer, sg.Placeholder, Array]:
    x = sg.Placeholder("x", ("N", 1, 14, 14), "float32")
    return Cnn(), sg.optim.Momentum(0.05), x, rng.normal(size=(6, 1, 14, 14))


def _lstm(rng: np.random.Generator) -> tuple[Layer, sg.optim.Optimizer, sg.Placeholder, Array]:
    optimizer = sg.optim.Adam(0.01, hooks=[sg.optim.ClipGrad(1.0)])
    return (
        Recurrent(),
        optimizer,
        sg.Placeholder("x", ("T", "N"), "int64"),
        rng.integers(0, 9, (5, 6)),
    )


_MODELS: dict[str, Callable[[np.random.Generator], tuple[Any, ...]]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "lstm": _lstm,
}
NAMES = tuple(_MODELS)


def training_step(name: str) -> Step:
    """Return the step of a new model, the same each time."""
    model, optimizer, x, fed = _MODELS[name](np.random.default_rng(0))
    loss = nn.softmax_cross_entropy(model(x), sg.Placeholder("t", ("N",), "int64"))
    return Step(loss, optimizer, model, x=fed.astype(x.type.element), t=LABELS)
