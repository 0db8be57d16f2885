"""A perceptron reads digits in the form of MNIST's: data loaders, Adam, weight decay.

python examples/mnist.py --data mnist --epochs 5

`--data` names a folder with MNIST's four files, `--download` fetches them once. Without either,
pictures of that form are made from the 1797 small digits that come with scikit-learn.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import output_path
from tqdm import tqdm

import symgraph as sg

Array = np.ndarray[Any, Any]


def data_sets(
    folder: str | None, download: bool, made_up: int
) -> tuple[sg.data.Dataset, sg.data.Dataset]:
    """Return the pictures to train on and to test with, as rows of 784 numbers from 0 to 1."""
    source = folder
    if folder is None and not download:
        made = output_path(f"stand_in_{made_up}")
        if not made.exists():
            sg.data.write_stand_in_mnist(made, train=made_up, test=max(made_up // 6, 1))
        source = str(made)
    return sg.data.MNIST(True, source=source), sg.data.MNIST(False, source=source)


def build(hidden: int) -> tuple[sg.Function, sg.Function]:
    """Return the training step and the evaluation, which give loss and accuracy of a batch."""
    x = sg.Placeholder("x", ("N", 784), "float32")
    t = sg.Placeholder("t", ("N",), "int64")
    model = sg.models.MLP((hidden, hidden, 10), activation=sg.relu, seed=0)
    y = model(x)
    results = sg.nn.softmax_cross_entropy(y, t), sg.mean(sg.argmax(y, axis=1) == t)
    optimizer = sg.optim.Adam(1e-3, hooks=[sg.optim.WeightDecay(1e-4)])
    step = sg.compile(results, updates=optimizer.updates(results[0], model.parameters()))
    return step, sg.compile(results)


def mean_over(function: sg.Function, loader: sg.data.DataLoader) -> Array:
    """Return the mean loss and accuracy of a pass, in which the last batch may be shorter."""
    results = [(*function(x=x, t=t), len(t)) for x, t in tqdm(loader, unit="batch", leave=False)]
    losses, accuracies, sizes = np.array(results, "float64").T
    return np.array([np.average(column, weights=sizes) for column in (losses, accuracies)])


def main(arguments: list[str] | None = None) -> float:
    """Train, print loss and accuracy of each epoch, return the last accuracy on the test set."""
    parser = argparse.ArgumentParser(description="Train a perceptron on MNIST.")
    parser.add_argument("--data", help="folder with MNIST's files")
    parser.add_argument("--download", action="store_true", help="fetch MNIST's files")
    parser.add_argument("--images", type=int, default=6000, help="pictures to make up")
    parser.add_argument("--epochs", type=int, default=5, help="passes over the data")
    parser.add_argument("--hidden", type=int, default=1000, help="size of both hidden layers")
    options = parser.parse_args(arguments)
    train_set, test_set = data_sets(options.data, options.download, options.images)
    train_loader = sg.data.DataLoader(train_set, 100, rng=0, prefetch=2)
    test_loader = sg.data.DataLoader(test_set, 100, shuffle=False)
    step, evaluate = build(options.hidden)
    test = np.zeros(2)
    for epoch in range(1, options.epochs + 1):
        train, test = mean_over(step, train_loader), mean_over(evaluate, test_loader)
        print(
            f"epoch {epoch}: train {train[0]:.4f} {train[1]:.2%}, test {test[0]:.4f} {test[1]:.2%}"
        )
    return float(test[1])


if __name__ == "__main__":
    main()
