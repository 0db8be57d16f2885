"""Training in four lines: a stack of layers, compile, fit, evaluate.

python examples/keras_style.py --images 60000 --epochs 5

The network is compiled before it has seen any data. The pictures are digits in the form of MNIST's, made
offline; `--data` names a folder with MNIST's own four files. Draws the history to
examples/output/keras_style.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import output_path

import symgraph as sg
from symgraph.layers import Dense
from symgraph.models import Sequential

Array = np.ndarray[Any, Any]


def network() -> Sequential:
    """Return a network of two layers that knows how it is trained."""
    model = Sequential([Dense(512, "relu", in_size=784, seed=0), Dense(10, "softmax", seed=1)])
    return model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])


def pictures(folder: str | None, count: int) -> list[tuple[Array, Array]]:
    """Return pictures to train on and to test with: rows (N, 784), and labels as one-hot rows."""
    if folder is None:
        source = output_path(f"stand_in_{count}")
        if not source.exists():
            sg.data.write_stand_in_mnist(source, train=count, test=max(count // 6, 1))
        folder = str(source)
    found = []
    for train in (True, False):
        x, t = sg.data.MNIST(train, source=folder)[:count]
        found.append((x, np.eye(10, dtype="float32")[t]))
    return found


def main(arguments: list[str] | None = None) -> float:
    """Train, evaluate, draw the history; return the accuracy on pictures not trained on."""
    parser = argparse.ArgumentParser(description="Train on MNIST in the style of Keras.")
    parser.add_argument("--data", help="folder with MNIST's files; made-up pictures without it")
    parser.add_argument("--images", type=int, default=6000, help="pictures to train on")
    parser.add_argument("--epochs", type=int, default=5, help="passes over them")
    options = parser.parse_args(arguments)
    (x, t), test = pictures(options.data, options.images)
    model = network()
    print(f"parameters: {sum(parameter.size or 0 for parameter in model.parameters())}")
    history = model.fit(x, t, epochs=options.epochs, batch_size=128, validation_data=test)
    results = model.evaluate(*test)
    print(f"test: loss {results['loss']:.4f}, accuracy {results['accuracy']:.2%}")
    print(f"most probable digits of the first ten: {model.predict(test[0][:10]).argmax(axis=1)}")
    print(f"compilations: {model.trainer.program.step.compile_count}")
    history.plot(output_path("keras_style.png"))
    return float(results["accuracy"])


if __name__ == "__main__":
    main()
