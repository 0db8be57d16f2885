"""The same in four lines: a stack of layers, compile, fit, evaluate.

python examples/mnist_fit.py --images 60000 --epochs 5

The network is compiled before it has seen any data. Where the pictures come from is as in mnist.py:
with 60 000 of them an epoch has 469 steps, the last one of 96 pictures. Draws the history to
examples/output/mnist_fit.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from mnist import data_sets
from plotting import output_path

from symgraph.layers import Dense
from symgraph.models import Sequential

Array = np.ndarray[Any, Any]


def network() -> Sequential:
    """Return a network of two layers that knows how it is trained."""
    model = Sequential([Dense(512, "relu", in_size=784, seed=0), Dense(10, "softmax", seed=1)])
    return model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])


def one_hot(labels: Array) -> Array:
    """Return labels (N,) as rows (N, 10) with a one where the label is."""
    return np.eye(10, dtype="float32")[labels]


def main(arguments: list[str] | None = None) -> float:
    """Train, evaluate, draw the history; return the accuracy on pictures not trained on."""
    parser = argparse.ArgumentParser(description="Train on MNIST in the manner of Keras.")
    parser.add_argument("--data", help="folder with MNIST's files")
    parser.add_argument("--download", action="store_true", help="fetch MNIST's files")
    parser.add_argument("--images", type=int, default=6000, help="pictures to train on")
    parser.add_argument("--epochs", type=int, default=5, help="passes over them")
    options = parser.parse_args(arguments)
    train_set, test_set = data_sets(options.data, options.download, options.images)
    (x, t), (x_test, t_test) = train_set[: options.images], test_set[:]
    model = network()
    print(f"parameters: {sum(parameter.size or 0 for parameter in model.parameters())}")
    held_out = x_test, one_hot(t_test)
    history = model.fit(
        x, one_hot(t), epochs=options.epochs, batch_size=128, validation_data=held_out
    )
    results = model.evaluate(*held_out)
    print(f"test: loss {results['loss']:.4f}, accuracy {results['accuracy']:.2%}")
    print(f"the first ten of the test set: {model.predict(x_test[:10]).argmax(axis=1)}")
    print(f"compilations: {model.trainer.program.step.compile_count}")
    history.plot(output_path("mnist_fit.png"))
    return float(results["accuracy"])


if __name__ == "__main__":
    main()
