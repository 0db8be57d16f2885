"""Grad-CAM: where a convolutional network looks when it reads a digit somewhere in a noisy picture.

python examples/grad_cam.py --epochs 12

The gradient of the winning score by the last feature maps, which are just a node inside of the
graph, says how much each map counts. The heat is the weighted sum of the maps, where it is positive
(Selvaraju and others, 2017). The picture goes to examples/output/grad_cam.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture
from tqdm import tqdm

import symgraph as sg
from symgraph.layers import Conv2d, Linear
from symgraph.models import Sequential

Array = np.ndarray[Any, Any]
SIDE = 24


def hidden_digits(rng: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
    """Return pictures (count, 1, SIDE, SIDE), digits, and row and column where each one begins."""
    images, labels = sg.data.digits()
    chosen = rng.integers(len(images), size=count)
    pictures = rng.random((count, 1, SIDE, SIDE), "float32") * 0.4
    corners = rng.integers(SIDE - 8, size=(count, 2))
    for place, (row, column) in enumerate(corners):
        pictures[place, 0, row : row + 8, column : column + 8] += images[chosen[place]].reshape(
            8, 8
        )
    return pictures, labels[chosen], corners


def build() -> tuple[sg.Function, sg.Function]:
    """Return the training step, and the function that gives digits read and heat (N, 12, 12)."""
    x = sg.Placeholder("x", ("N", 1, SIDE, SIDE), "float32")
    t = sg.Placeholder("t", ("N",), "int64")
    body = Sequential(
        *(Conv2d(16, 3, pad=1, seed=0), sg.relu, lambda x: sg.nn.max_pool2d(x, 2)),
        *(Conv2d(32, 3, pad=1, seed=1), sg.relu, Conv2d(64, 3, pad=1, seed=2), sg.relu),
    )
    head = Linear(10, in_size=64, seed=3)
    maps = body(x)
    scores = head(maps.max(axis=(2, 3)))
    loss = sg.nn.softmax_cross_entropy(scores, t)
    parameters = body.parameters() + head.parameters()
    step = sg.compile(loss, updates=sg.optim.Adam(2e-3).updates(loss, parameters))
    winning = scores.max(axis=1).sum()  # pictures are independent, so the sum mixes nothing
    weights = sg.grad(winning, maps).mean(axis=(2, 3), keepdims=True)
    heat = sg.relu((weights * maps).sum(axis=1))
    return step, sg.compile((sg.argmax(scores, axis=1), heat))


def hottest(heat: Array) -> Array:
    """Return row and column of the hottest place of each picture, in its own pixels."""
    places = heat.reshape(len(heat), -1).argmax(axis=1)
    return np.column_stack(np.unravel_index(places, heat.shape[1:])) * 2 + 0.5


def train(epochs: int) -> tuple[sg.Function, float, float]:
    """Train, and test on new pictures.

    Returns:
        The function that looks at pictures, how many digits it reads rightly, and how often the
        hottest place lies inside of the digit.
    """
    rng = np.random.default_rng(0)
    x, t, _ = hidden_digits(rng, 2048)
    step, look = build()
    for _ in tqdm(range(epochs), unit="epoch"):
        for batch, labels in sg.data.batches(x, t, size=32, rng=rng):
            step(x=batch, t=labels)
    x, t, corners = hidden_digits(rng, 500)
    readings, heat = look(x=x)
    offset = hottest(heat) - corners
    return (
        look,
        float(np.mean(readings == t)),
        float(np.mean(((offset > -1) & (offset < 8)).all(1))),
    )


def main(arguments: list[str] | None = None) -> None:
    """Train, print how well digits are read and found, and draw the heat of some pictures."""
    parser = argparse.ArgumentParser(description="Show where a network looks.")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the pictures")
    look, right, inside = train(parser.parse_args(arguments).epochs)
    print(f"read rightly: {right:.1%}; hottest place inside of the digit: {inside:.1%}")
    x, _, _ = hidden_digits(np.random.default_rng(1), 5)
    readings, heat = look(x=x)
    with picture("grad_cam.png", columns=5, rows=2, figsize=(11, 4.8)) as panels:
        for place in range(5):
            above, below = panels[:, place]
            above.imshow(x[place, 0], cmap="gray_r", extent=(0, SIDE, SIDE, 0))
            below.imshow(x[place, 0], cmap="gray_r", extent=(0, SIDE, SIDE, 0), alpha=0.5)
            below.imshow(heat[place], cmap="inferno", extent=(0, SIDE, SIDE, 0), alpha=0.6)
            above.set_title(f"read as {readings[place]}")
            below.set_title("heat")
            for axes in (above, below):
                axes.set_axis_off()


if __name__ == "__main__":
    main()
