"""A recurrent network learns to continue a noisy sine, one value after the other.

python examples/rnn_sine.py --epochs 100

The curve passes in pieces of 30 values. A piece is one call of one compiled step: a scan over its
values, the gradients through it, and Adam; the hidden state goes on to the next piece. Afterwards
the network predicts a cosine. The picture goes to examples/output/rnn_sine.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg

Array = np.ndarray[Any, Any]
HIDDEN, PIECE = 100, 30


class RNN(sg.layers.Layer):
    """h = tanh(x Wx + b + h Wh), and a linear layer that makes a prediction of each h."""

    def __init__(self, rng: np.random.RandomState) -> None:
        """Make the layers; the state that calls carry on is zero at first."""
        self.input = sg.layers.Linear(HIDDEN, in_size=1, dtype="float64", seed=rng)
        self.output = sg.layers.Linear(1, in_size=HIDDEN, dtype="float64", seed=rng)
        self.hidden = sg.layers.Linear(HIDDEN, HIDDEN, bias=False, dtype="float64", seed=rng)
        self.h = sg.State(np.zeros((1, HIDDEN)), "h")

    def forward(self, x: sg.Node) -> tuple[sg.Node, sg.Node]:
        """Build the predictions (T, 1) for a piece (T, 1), and the state after it."""

        def step(h: sg.Node, row: sg.Node) -> tuple[sg.Node, sg.Node]:
            h = sg.tanh(self.input(row[None]) + self.hidden(h))
            return h, h[0]

        h, hidden = sg.scan(step, self.h, x)
        return self.output(hidden), h


def build(rng: np.random.RandomState) -> tuple[RNN, sg.Function, sg.Function]:
    """Return the network, its training step, and the function that predicts."""
    x, t = (sg.Placeholder(name, ("T", 1), "float64") for name in ("x", "t"))
    model = RNN(rng)
    parameters = model.parameters()  # drawn now, in the order of definition
    y, h = model(x)
    loss = sg.sum((y - t) ** 2)
    updates = sg.optim.Adam().updates(loss, parameters)
    return model, sg.compile(loss, updates={**updates, model.h: h}), sg.compile(y)


def train(epochs: int) -> tuple[list[float], sg.Function]:
    """Return the mean squared error of each epoch, and the function that predicts."""
    rng = np.random.RandomState(0)
    curve = sg.data.SinCurve(rng=rng)
    model, step, predict = build(rng)
    losses = []
    for _ in range(epochs):
        model.h.value = np.zeros((1, HIDDEN))
        pieces = sg.data.DataLoader(curve, PIECE, shuffle=False)
        losses.append(sum(float(step(x=x, t=t)) for x, t in pieces) / len(curve))
    model.h.value = np.zeros((1, HIDDEN))
    return losses, predict


def main(arguments: list[str] | None = None) -> None:
    """Train, print the loss of some epochs, predict a cosine and draw it."""
    parser = argparse.ArgumentParser(description="Learn to continue a sine.")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the curve")
    epochs = parser.parse_args(arguments).epochs
    losses, predict = train(epochs)
    for epoch in (1, 2, 3, 4, 5, 6, 100):
        if epoch <= epochs:
            print(f"epoch {epoch:3}: loss {losses[epoch - 1]:.6f}")
    cosine = np.cos(np.linspace(0, 4 * np.pi, 1000))[:, None]
    predicted = predict(x=cosine)
    error = np.mean((predicted[:-1] - cosine[1:]) ** 2)
    print(f"mean squared error on a cosine: {error:.5f}")
    with picture("rnn_sine.png", figsize=(8, 4)) as axes:
        axes.plot(cosine, label="cosine", linewidth=3, alpha=0.4)
        axes.plot(np.arange(1, 1001), predicted, label="predicted from the value before")
        axes.set(xlabel="time", ylim=(-1.1, 1.35), title=f"Recurrent network after {epochs} epochs")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center", ncols=2)


if __name__ == "__main__":
    main()
