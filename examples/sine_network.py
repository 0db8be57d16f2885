"""A network of two layers learns a noisy sine: written by hand, as a layer, and as a model.

python examples/sine_network.py --steps 10000

All three are the same mathematics, compiled to the same kernels. The picture goes to
examples/output/sine_network.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg

Array = np.ndarray[Any, Any]
INPUTS = sg.Placeholder("x", shape=("N", 1), dtype="float64")
TARGETS = sg.Placeholder("y", shape=("N", 1), dtype="float64")


def points(rng: np.random.RandomState) -> dict[str, Array]:
    """Return 100 points of sin(2 pi x) with noise between 0 and 1."""
    x = rng.rand(100, 1)
    return {"x": x, "y": np.sin(2 * np.pi * x) + rng.rand(100, 1)}


class TwoLayerNet(sg.layers.Layer):
    """Two linear layers with a sigmoid between them."""

    def __init__(self, rng: np.random.RandomState) -> None:
        """Make the layers; their weights are drawn when the first node is seen."""
        self.l1 = sg.layers.Linear(10, dtype="float64", seed=rng)
        self.l2 = sg.layers.Linear(1, dtype="float64", seed=rng)

    def forward(self, x: sg.Node) -> sg.Node:
        """Build the output (N, 1)."""
        y: sg.Node = self.l2(sg.sigmoid(self.l1(x)))
        return y


def by_hand(rng: np.random.RandomState) -> tuple[sg.Node, sg.Function]:
    """Return prediction and training step of a network without any layers."""
    w1, b1 = sg.Parameter(0.01 * rng.randn(1, 10), "W1"), sg.Parameter(np.zeros(10), "b1")
    w2, b2 = sg.Parameter(0.01 * rng.randn(10, 1), "W2"), sg.Parameter(np.zeros(1), "b2")
    params = [w1, b1, w2, b2]
    y = sg.sigmoid(INPUTS @ w1 + b1) @ w2 + b2
    loss = sg.nn.mean_squared_error(y, TARGETS)
    slopes = zip(params, sg.grad(loss, params), strict=True)
    return y, sg.compile(loss, updates={param: param - 0.2 * slope for param, slope in slopes})


def from_layers(rng: np.random.RandomState) -> tuple[sg.Node, sg.Function]:
    """Return prediction and training step of a layer that is made of layers."""
    return with_optimizer(TwoLayerNet(rng))


def from_model(rng: np.random.RandomState) -> tuple[sg.Node, sg.Function]:
    """Return prediction and training step of a model that comes with the package."""
    return with_optimizer(sg.models.MLP((10, 1), dtype="float64", seed=rng))


def with_optimizer(model: sg.layers.Layer) -> tuple[sg.Node, sg.Function]:
    """Return prediction and training step of any model."""
    y: sg.Node = model(INPUTS)
    loss = sg.nn.mean_squared_error(y, TARGETS)
    return y, sg.compile(loss, updates=sg.optim.SGD(0.2).updates(loss, model.parameters()))


VERSIONS = {"by hand": by_hand, "from layers": from_layers, "from a model": from_model}


def train(version: str, steps: int) -> tuple[list[float], sg.Function]:
    """Return the loss at each step, and a function that predicts."""
    rng = np.random.RandomState(0)
    feeds = points(rng)
    y, step = VERSIONS[version](rng)
    return [float(step(**feeds)) for _ in range(steps)], sg.compile(y)


def main(arguments: list[str] | None = None) -> None:
    """Train all three, print their losses, and draw what one of them has learnt."""
    parser = argparse.ArgumentParser(description="Train a network on a noisy sine.")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of gradient descent")
    steps = parser.parse_args(arguments).steps
    for version in VERSIONS:
        losses, predict = train(version, steps)
        shown = " ".join(f"{loss:.6f}" for loss in losses[:: max(1, steps // 10)])
        print(f"{version:12} {shown}")
    with picture("sine_network.png", figsize=(6, 4)) as axes:
        feeds, grid = points(np.random.RandomState(0)), np.linspace(0, 1, 200)[:, None]
        axes.scatter(feeds["x"], feeds["y"], s=12, label="points")
        axes.plot(grid, predict(x=grid), color="C3", label=f"network after {steps} steps")
        axes.set(xlabel="x", ylabel="y", title="sin 2πx with noise")
        axes.grid(alpha=0.3)
        axes.legend()


if __name__ == "__main__":
    main()
