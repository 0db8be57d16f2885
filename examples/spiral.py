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


def network(rng: np.random.RandomState, batch_norm: bool) -> sg.models.Sequential:
    """Return a network for three classes, with its ten hidden values normalised or not."""
    if not batch_norm:
        return sg.models.MLP((10, 3), dtype="float64", seed=rng)
    return sg.models.Sequential(
        sg.layers.Linear(10, dtype="float64", seed=rng),
        sg.layers.BatchNorm(dtype="float64"),
        sg.sigmoid,
        sg.layers.Linear(3, dtype="float64", seed=rng),
    )


def build(model: sg.models.Sequential) -> tuple[sg.Function, sg.Function, sg.Node]:
    """Return the training step, the evaluation, and the scores: the latter two in test mode."""

    def results() -> tuple[sg.Node, sg.Node, sg.Node]:
        y: sg.Node = model(INPUTS)
        correct = sg.mean(sg.argmax(y, axis=1) == LABELS)
        return sg.nn.softmax_cross_entropy(y, LABELS), correct, y

    loss, correct, _ = results()
    updates = sg.optim.SGD(1.0).updates(loss, model.parameters())
    with sg.test_mode():
        test_loss, test_correct, y = results()
    return (
        sg.compile((loss, correct), updates=updates),
        sg.compile((test_loss, test_correct)),
        y,
    )


def train(seed: int, epochs: int, batch_norm: bool = False) -> tuple[dict[str, Array], sg.Node]:
    """Train on one set of spirals and test on another.

    Args:
        seed: of order and weights: 1984 or 2020 to go on after the draws of a set of spirals.
        epochs: passes over the data, in batches of 30.
        batch_norm: whether the hidden values are normalised.

    Returns:
        For `train` and `test` loss and accuracy of each epoch (epochs, 2), with `last` the loss of
        the last batch of each epoch, and the scores.
    """
    random = {1984: np.random.RandomState(1984), 2020: np.random.RandomState(2020)}
    x, t = sg.data.get_spiral(rng=random[1984])
    x_test, t_test = sg.data.get_spiral(rng=random[2020])
    loader = sg.data.DataLoader((x.astype("float64"), t), batch_size=30, rng=random[seed])
    batches = list(loader)  # shuffled anew by each pass; the first one is drawn before the weights
    step, evaluate, y = build(network(random[seed], batch_norm))
    history: dict[str, list[Any]] = {"train": [], "test": [], "last": []}
    for _ in range(epochs):
        results = np.array([step(x=x, t=t) for x, t in batches])
        history["train"].append(results.mean(axis=0))
        history["last"].append(results[-1, 0])
        history["test"].append(evaluate(x=x_test.astype("float64"), t=t_test))
        batches = list(loader)
    return {name: np.array(values) for name, values in history.items()}, y


def draw(history: dict[str, Array], y: sg.Node) -> None:
    """Draw the curves, and the class at each point of a fine grid."""
    side = np.linspace(-1.1, 1.1, 401)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    regions = sg.compile(sg.argmax(y, axis=1))(x=grid).reshape(401, 401)
    with picture("spiral.png", columns=3) as (losses, accuracies, plane):
        for name in ("train", "test"):
            values = history[name]
            losses.plot(values[:, 0], label=name)
            accuracies.plot(values[:, 1], label=name)
        losses.set(title="Loss", xlabel="epoch", ylabel="softmax cross-entropy")
        accuracies.set(title="Accuracy", xlabel="epoch", ylim=(0, 1.02))
        for axes in (losses, accuracies):
            axes.grid(alpha=0.3)
            axes.legend()
        plane.contourf(side, side, regions, levels=[-0.5, 0.5, 1.5, 2.5], colors=COLORS, alpha=0.3)
        x, t = sg.data.get_spiral()
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
    parser.add_argument("--batch-norm", action="store_true", help="normalise the hidden values")
    options = parser.parse_args(arguments)
    history, y = train(options.seed, options.epochs, options.batch_norm)
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
