"""The program in the manner of Keras."""

import numpy as np
import pytest

import symgraph as sg


def test_it_reads_unseen_digits_and_keeps_what_it_learned(load, output, capsys):
    accuracy = load("fit_digits").main(["--epochs", "15"])
    printed = capsys.readouterr()
    assert accuracy >= 0.94
    for line in (
        "parameters          38410",
        "updates             165 in 15 epochs",
        "compilations        1",
        "saved and loaded    the same predictions",
    ):
        assert line in printed.out
    assert "epoch 15/15: 100%" in printed.err
    assert (output / "fit_digits.png").stat().st_size > 10_000
    table = np.genfromtxt(output / "fit_digits.csv", delimiter=",", names=True)
    assert table.dtype.names == ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    assert len(table) == 15
    assert table["loss"][0] > 1.0 > 0.3 > table["loss"][-1]


def test_its_run_goes_on_from_its_checkpoint(load, output):
    program = load("fit_digits")
    program.main(["--epochs", "2"])
    model = program.build(0)
    model.load_checkpoint(output / "fit_digits_run.npz")
    assert len(model.history) == 2
    images, labels = sg.data.digits()
    found = model.evaluate(images, np.eye(10)[labels])
    assert found["loss"] == pytest.approx(1.0, abs=0.35)
