"""A convolutional network reads handwritten digits.

python examples/cnn_digits.py --epochs 12

Two convolutions of 32 and 64 filters, a pool, dropout and two linear layers. Draws the curves, and
what it read wrongly, to examples/output/cnn_digits.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture
from tqdm import tqdm

import symgraph as sg
from symgraph.layers import Conv2d, Dropout, Flatten, Linear

Array = np.ndarray[Any, Any]
IMAGES = sg.Placeholder("x", ("N", 1, 8, 8), "float32")
LABELS = sg.Placeholder("t", ("N",), "int64")


def network(seed: int) -> sg.models.Sequential:
    """Return the network: images (N, 1, 8, 8) to scores (N, 10)."""
    return sg.models.Sequential(
        Conv2d(32, 3, pad=1, seed=seed),
        sg.relu,
        Conv2d(64, 3, pad=1, seed=seed + 1),
        sg.relu,
        lambda x: sg.nn.max_pool2d(x, 2),
        Flatten(),
        Dropout(0.25, seed=seed),
        Linear(128, seed=seed + 2),
        sg.relu,
        Linear(10, seed=seed + 3),
    )


def build(seed: int) -> tuple[sg.Function, sg.Function]:
    """Return the training step, which gives the loss, and the function that reads digits."""
    model = network(seed)
    loss = sg.nn.softmax_cross_entropy(model(IMAGES), LABELS)
    step = sg.compile(loss, updates=sg.optim.Adam(1e-3).updates(loss, model.parameters()))
    with sg.test_mode():
        return step, sg.compile(sg.argmax(model(IMAGES), axis=1))


def train(epochs: int, seed: int = 0) -> tuple[list[float], list[float], Array, Array, Array]:
    """Return loss and held-out accuracy of each epoch, and the held-out images, labels, reading."""
    x, t = sg.data.digits()
    x_train, x_test, t_train, t_test = sg.data.train_test_split(
        x.reshape(-1, 1, 8, 8), t, seed=seed
    )
    step, read = build(seed)
    loader = sg.data.DataLoader((x_train, t_train), 32, rng=seed)
    losses, accuracies = [], []
    for _ in tqdm(range(epochs), unit="epoch"):
        losses.append(float(np.mean([step(x=x, t=t) for x, t in loader])))
        accuracies.append(float(np.mean(read(x=x_test) == t_test)))
    return losses, accuracies, x_test, t_test, read(x=x_test)


def draw(losses: list[float], accuracies: list[float], wrong: list[tuple[Array, int, int]]) -> None:
    """Draw the curves, and up to six digits that were read wrongly."""
    with picture("cnn_digits.png", columns=3) as (left, middle, right):
        epochs = np.arange(1, len(losses) + 1)
        left.plot(epochs, losses, marker=".")
        left.set(title="Loss", xlabel="epoch", ylabel="softmax cross-entropy", yscale="log")
        middle.plot(epochs, accuracies, marker=".", color="C1")
        middle.set(title="Held-out accuracy", xlabel="epoch")
        for axes in (left, middle):
            axes.grid(alpha=0.3)
        right.set_axis_off()
        right.set_title(f"Read wrongly: {len(wrong)}")
        for place, (image, label, reading) in enumerate(wrong[:6]):
            inset = right.inset_axes((0.34 * (place % 3), 0.52 - 0.52 * (place // 3), 0.3, 0.4))
            inset.imshow(image[0], cmap="gray_r")
            inset.set(title=f"{label} as {reading}", xticks=[], yticks=[])


def main(arguments: list[str] | None = None) -> None:
    """Train, print the accuracy on the held-out fifth of the digits, and draw."""
    parser = argparse.ArgumentParser(description="Train a convolutional network on digits.")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the training data")
    epochs = parser.parse_args(arguments).epochs
    losses, accuracies, images, labels, readings = train(epochs)
    wrong = [
        (image, int(label), int(reading))
        for image, label, reading in zip(images, labels, readings, strict=True)
        if label != reading
    ]
    print(f"loss after 1 epoch {losses[0]:.3f}, after {epochs} {losses[-1]:.3f}")
    print(f"held-out accuracy {accuracies[-1]:.2%} ({len(labels)} digits)")
    draw(losses, accuracies, wrong)


if __name__ == "__main__":
    main()
