"""An LSTM learns to continue a noisy sine, in 30 parts of the curve at once.

python examples/lstm_sine.py --epochs 100

All steps through time are one loop in one compiled training step. The picture of what the network
then predicts for a cosine goes to examples/output/lstm_sine.png.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg
from symgraph.layers import LSTM, Layer, Linear

Array = np.ndarray[Any, Any]
HIDDEN, ROWS, PIECE = 100, 30, 30


class Network(Layer):
    """An LSTM, and a linear layer that makes a prediction of its output."""

    def __init__(self, rng: np.random.RandomState) -> None:
        """Make the layers; weights are drawn gate by gate, those for the state first."""
        self.rnn = LSTM(HIDDEN, in_size=1)
        self.output = Linear(1, in_size=HIDDEN, seed=rng)
        for parameter in (self.rnn.Wh, self.rnn.Wx):
            inputs = len(parameter)
            gates = [rng.randn(inputs, HIDDEN) * np.sqrt(1 / inputs) for _ in range(4)]
            parameter.value = np.concatenate(gates, axis=1)

    def forward(self, x: sg.Node) -> sg.Node:
        """Build the predictions (T, N, 1) for a piece (T, N, 1) by itself."""
        y: sg.Node = self.output(self.rnn(x))
        return y

    def resume(self, x: sg.Node) -> sg.Node:
        """Build the predictions for a piece that follows on the one before."""
        y: sg.Node = self.output(self.rnn.resume(x))
        return y


def build(model: Network, whole: bool) -> tuple[sg.Function, sg.Function, sg.Function]:
    """Return the steps for first and second pieces, and the function that predicts."""
    x, t = (sg.Placeholder(name, ("T", ROWS, 1), "float32") for name in ("x", "t"))
    loss = sg.sum((model.resume(x) - t) ** 2) / ROWS
    updates = sg.optim.Adam().updates(loss, model.parameters())
    one = sg.Placeholder("x", ("T", 1, 1), "float32")
    step = sg.compile(loss, updates=updates)
    return step, step if whole else sg.compile(loss), sg.compile(model(one)[:, 0])


def train(epochs: int, whole: bool = True) -> tuple[list[float], sg.Function]:
    """Return the mean squared error of each epoch, and the function that predicts.

    Args:
        epochs: passes over the curve, in pieces of 30 and 4 steps.
        whole: train on the second piece too; the program that this one follows did not.
    """
    rng = np.random.RandomState(0)
    batches = list(sg.data.SeqDataLoader(sg.data.SinCurve(rng=rng), ROWS))
    x, t = (np.stack(part).astype("float32") for part in zip(*batches, strict=True))
    model = Network(rng)
    step, second_step, predict = build(model, whole)
    losses = []
    for _ in range(epochs):
        model.rnn.reset_state()
        first = step(x=x[:PIECE], t=t[:PIECE])
        second = second_step(x=x[PIECE:], t=t[PIECE:])
        losses.append(float(first + second) / len(x))
    return losses, predict


def main(arguments: list[str] | None = None) -> None:
    """Train, print the loss of some epochs, predict a cosine and draw it."""
    parser = argparse.ArgumentParser(description="Learn to continue a sine.")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the curve")
    epochs = parser.parse_args(arguments).epochs
    started = time.perf_counter()
    losses, predict = train(epochs)
    seconds = time.perf_counter() - started
    for epoch in (1, 2, 3, 4, 5, 6, 100):
        if epoch <= epochs:
            print(f"epoch {epoch:3}: loss {losses[epoch - 1]:.6f}")
    print(f"{epochs} epochs took {seconds:.2f} s, compiling included")
    cosine = np.cos(np.linspace(0, 4 * np.pi, 1000))[:, None].astype("float32")
    predicted = predict(x=cosine[:, None])
    error = np.mean((predicted[:-1] - cosine[1:]) ** 2)
    print(f"mean squared error on a cosine: {error:.5f}")
    with picture("lstm_sine.png", figsize=(8, 4)) as axes:
        axes.plot(cosine, label="cosine", linewidth=3, alpha=0.4)
        axes.plot(np.arange(1, 1001), predicted, label="predicted from the value before")
        axes.set(xlabel="time", ylim=(-1.1, 1.35), title=f"LSTM after {epochs} epochs")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center", ncols=2)


if __name__ == "__main__":
    main()
