"""Handwritten digits in the manner of Keras: say how to train, then fit.

python examples/fit_digits.py --epochs 40 --batch 128 --seed 0

A model of two layers with softmax and one-hot labels is compiled before any data are seen, fitted
with a validation set and callbacks, measured on unseen digits, and saved. Draws the history to
examples/output/fit_digits.png and writes it to fit_digits.csv beside it.
"""

from __future__ import annotations

import argparse

import numpy as np
from plotting import output_path

import symgraph as sg
from symgraph.layers import Dense
from symgraph.training import CSVLogger, EarlyStopping, ModelCheckpoint


def build(seed: int) -> sg.models.Sequential:
    """Return the model, compiled: `compile` writes the whole training step as one function."""
    model = sg.models.Sequential(
        [
            Dense(512, activation="relu", in_size=64, seed=seed),
            Dense(10, activation="softmax", seed=seed + 1),
        ]
    )
    return model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])


def main(arguments: list[str] | None = None) -> float:
    """Train and report; return the accuracy on digits that were not seen in training."""
    parser = argparse.ArgumentParser(description="Fit a model to handwritten digits.")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the training data")
    parser.add_argument("--batch", type=int, default=128, help="images in a step")
    parser.add_argument("--seed", type=int, default=0, help="of weights, division and shuffling")
    options = parser.parse_args(arguments)

    images, labels = sg.data.digits()
    one_hot = np.eye(10, dtype="float32")[labels]
    x, x_test, t, t_test = sg.data.train_test_split(images, one_hot, test=0.2, seed=options.seed)
    # Early stopping picks an epoch by digits of its own, so that the last figure is an honest one.
    x, x_held, t, t_held = sg.data.train_test_split(x, t, test=0.1, seed=options.seed)
    model = build(options.seed)
    print(f"parameters          {sum(parameter.size for parameter in model.parameters())}")
    print(f"loss before         {model.evaluate(x_test, t_test)['loss']:.4f} (by chance 2.3026)")
    history = model.fit(
        x,
        t,
        epochs=options.epochs,
        batch_size=options.batch,
        validation_data=(x_held, t_held),
        callbacks=[
            EarlyStopping("val_loss", patience=5, restore_best=True),
            CSVLogger(output_path("fit_digits.csv")),
            ModelCheckpoint(output_path("fit_digits_run.npz")),
        ],
        seed=options.seed,
    )
    trainer = model.trainer
    steps = len(history) * -(-len(x) // options.batch)
    print(f"updates             {steps} in {len(history)} epochs, the last step of each shorter")
    print(f"compilations        {trainer.program.step.compile_count}")

    found = model.evaluate(x_test, t_test)
    weights = output_path("fit_digits.safetensors")
    sg.save(model, weights)
    restored = build(options.seed + 2)
    sg.load(restored, weights)
    same = np.array_equal(restored.predict(x_test), model.predict(x_test))
    print(f"saved and loaded    {'the same predictions' if same else 'OTHER PREDICTIONS'}")
    print(f"unseen digits       {found['accuracy']:.2%} right, loss {found['loss']:.4f}")
    picture = output_path("fit_digits.png")
    history.plot(picture)
    print(f"history             {picture}")
    return found["accuracy"]


if __name__ == "__main__":
    main()
