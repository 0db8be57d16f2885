"""Three spirals, three classes: mini-batches, shuffling, accuracy, and where the borders run.

python examples/spiral.py --epochs 300

Draws the curves and the regions of the classes to examples/output/spiral.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg

Array = np.ndarray[Any, Any]
INPUTS = sg.Placeholder("x", shape=("N", 2), dtype="float64")
LABELS = sg.Placeholder("t", shape=("N",), dtype="int64")


def spiral(rng: np.random.RandomState) -> tuple[Array, Array]:
    """Return 300 points (300, 2) on three spirals, and which of them each belongs to."""
    t = np.repeat(np.arange(3), 100)
    rate = np.tile(np.arange(100) / 100, 3)
    angle = 4 * t + 4 * rate + 0.2 * rng.randn(300)
    x = rate[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    order = rng.permutation(300)
    return x[order].astype("float32").astype("float64"), t[order]


def build(rng: np.random.RandomState) -> tuple[sg.Node, sg.Function, sg.Function]:
    """Return the scores, the training step and the evaluation of a network for three classes."""
    model = sg.models.MLP((10, 3), dtype="float64", seed=rng)
    y: sg.Node = model(INPUTS)
    loss = sg.nn.softmax_cross_entropy(y, LABELS)
    results = loss, sg.mean(sg.argmax(y, axis=1) == LABELS)
    step = sg.compile(results, updates=sg.optim.SGD(1.0).updates(loss, model.parameters()))
    return y, step, sg.compile(results)


def train(seed: int, epochs: int) -> tuple[dict[str, Array], sg.Node]:
    """Train on one set of spirals and test on another.

    Args:
        seed: of order and weights: 1984 or 2020 to go on after the draws of a set of spirals.
        epochs: passes over the data, in batches of 30.

    Returns:
        For `train` and `test` loss and accuracy of each epoch (epochs, 2), and the scores.
    """
    sets = {number: (rng := np.random.RandomState(number), spiral(rng)) for number in (1984, 2020)}
    (x, t), held_out = sets[1984][1], sets[2020][1]
    rng = sets[seed][0]
    order = rng.permutation(len(x))  # drawn before the weights
    y, step, evaluate = build(rng)
    history: dict[str, list[Any]] = {"train": [], "test": []}
    for _ in range(epochs):
        batches = [step(x=x[rows], t=t[rows]) for rows in order.reshape(-1, 30)]
        history["train"].append(np.mean(batches, axis=0))
        history["test"].append(evaluate(x=held_out[0], t=held_out[1]))
        order = rng.permutation(len(x))
    return {name: np.array(values) for name, values in history.items()}, y


def draw(history: dict[str, Array], y: sg.Node) -> None:
    """Draw the curves, and the class at each point of a fine grid."""
    side = np.linspace(-1.1, 1.1, 401)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    regions = sg.compile(sg.argmax(y, axis=1))(x=grid).reshape(401, 401)
    with picture("spiral.png", columns=3) as (losses, accuracies, plane):
        for name, values in history.items():
            losses.plot(values[:, 0], label=name)
            accuracies.plot(values[:, 1], label=name)
        losses.set(title="Loss", xlabel="epoch", ylabel="softmax cross-entropy")
        accuracies.set(title="Accuracy", xlabel="epoch", ylim=(0, 1.02))
        for axes in (losses, accuracies):
            axes.grid(alpha=0.3)
            axes.legend()
        plane.contourf(side, side, regions, levels=[-0.5, 0.5, 1.5, 2.5], colors=COLORS, alpha=0.3)
        x, t = spiral(np.random.RandomState(1984))
        for number, marker in enumerate("ox^"):
            chosen = x[t == number]
            plane.scatter(*chosen.T, s=14, marker=marker, c=COLORS[number], label=f"class {number}")
        plane.set(title="Regions", aspect="equal")
        plane.legend(loc="lower right", fontsize="small")


COLORS = ["C0", "C1", "C2"]


def main(arguments: list[str] | None = None) -> None:
    """Train, print loss and accuracy of some epochs, and draw."""
    parser = argparse.ArgumentParser(description="Classify points on spirals.")
    parser.add_argument("--epochs", type=int, default=300, help="passes over the data")
    parser.add_argument("--seed", type=int, default=2020, choices=(1984, 2020))
    options = parser.parse_args(arguments)
    history, y = train(options.seed, options.epochs)
    for epoch in (1, 10, 100, 200, 300):
        if epoch <= options.epochs:
            (loss, accuracy), (test_loss, test_accuracy) = (
                history[name][epoch - 1] for name in ("train", "test")
            )
            print(
                f"epoch {epoch:3}: train {loss:.6f} {accuracy:.2%}, "
                f"test {test_loss:.6f} {test_accuracy:.2%}"
            )
    draw(history, y)


if __name__ == "__main__":
    main()
