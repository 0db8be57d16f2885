"""Train a small network on handwritten digits: one compiled step, no Python between its kernels.

python examples/mlp_digits.py --epochs 40 --batch 32 --seed 0

Prints times and accuracies, and draws the curves to examples/output/mlp_digits.png.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import symgraph as sg

OUTPUT = Path(__file__).parent / "output" / "mlp_digits.png"
Array = np.ndarray[Any, Any]


@dataclass
class History:
    """What training showed: the loss of each step; loss and accuracy of each epoch."""

    step_loss: list[float] = field(default_factory=list)
    train: list[tuple[float, float]] = field(default_factory=list)
    held_out: list[tuple[float, float]] = field(default_factory=list)


def build(seed: int) -> tuple[sg.Function, sg.Function]:
    """Return the training step and the evaluation, which share the network's parameters.

    Both take images `x` (N, 64) and labels `t` (N,), and return loss and accuracy. The step also
    changes the parameters: forward pass, gradients and Adam are one function.
    """
    x = sg.Placeholder("x", shape=("N", 64), dtype="float32")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    model = sg.models.MLP((256, 128, 10), activation=sg.relu, seed=seed)
    y = model(x)
    loss = sg.nn.softmax_cross_entropy(y, t)
    accuracy = sg.mean(sg.argmax(y, axis=1) == t)
    updates = sg.optim.Adam(1e-3).updates(loss, model.parameters())
    step = sg.compile((loss, accuracy), updates=updates)
    return step, sg.compile((loss, accuracy))


def train(
    step: sg.Function,
    evaluate: sg.Function,
    batches: sg.data.Batches,
    held_out: tuple[Array, Array],
    epochs: int,
) -> History:
    """Train for some passes over the data, with a progress bar; return how it went."""
    history = History()
    with tqdm(total=epochs * len(batches), unit="step") as progress:
        for epoch in range(epochs):
            results = []
            for x, t in batches:
                loss, accuracy = step(x=x, t=t)
                results.append((float(loss), float(accuracy), len(t)))
                progress.update()
            losses, accuracies, sizes = np.array(results).T
            mean_loss = float(np.average(losses, weights=sizes))
            mean_accuracy = float(np.average(accuracies, weights=sizes))
            test_loss, test_accuracy = evaluate(x=held_out[0], t=held_out[1])
            history.step_loss += losses.tolist()
            history.train.append((mean_loss, mean_accuracy))
            history.held_out.append((float(test_loss), float(test_accuracy)))
            progress.set_postfix(
                refresh=False,
                epoch=epoch + 1,
                loss=f"{mean_loss:.4f}",
                accuracy=f"{mean_accuracy:.2%}",
                held_out=f"{test_accuracy:.2%}",
            )
    return history


def draw(history: History, path: Path) -> None:
    """Draw the curves of loss and accuracy to a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    epochs = np.arange(1, len(history.train) + 1)
    steps = np.arange(1, len(history.step_loss) + 1) * len(epochs) / len(history.step_loss)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.plot(steps, history.step_loss, color="C0", alpha=0.25, linewidth=0.8, label="each step")
    for axes, column in ((left, 0), (right, 1)):
        trained = [entry[column] for entry in history.train]
        tested = [entry[column] for entry in history.held_out]
        style = {"linewidth": 2, "marker": "." if len(epochs) < 10 else ""}
        axes.plot(epochs, trained, color="C0", label="training, mean of epoch", **style)
        axes.plot(epochs, tested, color="C1", label="held out", **style)
        axes.set(xlabel="epoch", xlim=(0, 1.03 * len(epochs)))
        axes.grid(alpha=0.3)
    left.set(yscale="log", ylabel="softmax cross-entropy", title="Loss")
    left.legend(loc="lower left")
    final = history.held_out[-1][1]
    right.set(ylabel="correctly read digits", title="Accuracy")
    right.set_ylim(min(0.9, final - 0.05), 1.003)
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.axhline(0.97, color="0.4", linestyle=":", label="97 %")
    right.annotate(
        f"{final:.2%}", (epochs[-1], final), (-4, -16), textcoords="offset points",
        ha="right", color="C1", weight="bold",
    )  # fmt: skip
    right.legend(loc="lower right")
    figure.suptitle("MLP 64-256-128-10 on handwritten digits")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> float:
    """Train and report; return the accuracy on the held-out fifth of the digits."""
    parser = argparse.ArgumentParser(description="Train an MLP on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the training data")
    parser.add_argument("--batch", type=int, default=32, help="images in a step")
    parser.add_argument("--seed", type=int, default=0, help="of weights, division and shuffling")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.batch) < 1 or options.seed < 0:
        parser.error("epochs and batch are at least 1, seed at least 0")

    images, labels = sg.data.digits()
    x_train, x_test, t_train, t_test = sg.data.train_test_split(images, labels, seed=options.seed)
    started = time.perf_counter()
    step, evaluate = build(options.seed)
    compiled = time.perf_counter()
    batches = sg.data.batches(x_train, t_train, size=options.batch, rng=options.seed)
    history = train(step, evaluate, batches, (x_test, t_test), options.epochs)
    trained = time.perf_counter()
    draw(history, OUTPUT)

    count, accuracy = len(history.step_loss), history.held_out[-1][1]
    print(f"built and compiled   {compiled - started:6.2f} s  (loss, gradients and Adam in one)")
    print(f"trained              {trained - compiled:6.2f} s  ({count} steps of {options.batch})")
    print(f"compilations         {step.compile_count:6d}    (the last batch is shorter)")
    print(f"held-out accuracy    {accuracy:6.2%}    ({len(t_test)} digits)")
    print(f"curves               {OUTPUT}")
    return accuracy


if __name__ == "__main__":
    main()
