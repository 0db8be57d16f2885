"""Callbacks, the history and what is shown."""

import csv
import math
import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph.models import MLP
from symgraph.training import (
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LearningRateScheduler,
    ModelCheckpoint,
)
from symgraph.training.monitor import Monitor

RNG = np.random.default_rng(0)
X, T = RNG.random((30, 4), "float32"), RNG.integers(0, 3, 30)


@pytest.fixture(scope="module")
def program():
    """Return a model that is compiled once for all tests, and what it starts from."""
    model = MLP((3,), in_size=4, seed=0).compile("adam", "softmax_cross_entropy", ["accuracy"])
    leaves = [*model.parameters(), *model.trainer.optimizer.states().values()]
    return model, {leaf: leaf.value for leaf in leaves}


@pytest.fixture
def model(program):
    model, start = program
    for leaf, value in start.items():
        leaf.value = value
    model.history.rows.clear()
    return model


class Scripted(Callback):
    """Puts chosen numbers in the history, as if they had been measured."""

    def __init__(self, numbers):
        self.numbers = numbers

    def epoch_end(self, trainer, epoch, numbers):
        trainer.history.rows[-1]["loss"] = self.numbers[epoch]


def test_training_stops_when_it_gets_no_better(model):
    scripted = Scripted([3.0, 2.0, 2.5, 1.9, 1.95, 1.89, 1.0])
    stopping = EarlyStopping("loss", patience=2, min_delta=0.05)
    history = model.fit(X, T, epochs=7, callbacks=[scripted, stopping], verbose=0)
    assert history["loss"] == [3.0, 2.0, 2.5, 1.9, 1.95, 1.89]
    model.history.rows.clear()
    nan = Scripted([math.nan] * 7)
    assert len(model.fit(X, T, epochs=7, callbacks=[nan, stopping], verbose=0)) == 2


@pytest.mark.parametrize(
    ("name", "mode", "values", "since"),
    [
        ("loss", "auto", [3, 2, 1], 0),
        ("loss", "auto", [1, 2, 3], 2),
        ("accuracy", "auto", [0.1, 0.2, 0.15], 1),
        ("val_accuracy", "min", [0.1, 0.2, 0.15], 2),
        ("loss", "max", [1, 3, math.nan], 1),
        ("loss", "min", [math.nan, math.nan], 2),
        ("loss", "min", [math.nan, 5, 5], 1),
    ],
)
def test_how_many_epochs_ago_a_number_was_at_its_best(name, mode, values, since):
    assert Monitor(name, mode, 0.0).epochs_since_best([{name: float(v)} for v in values]) == since


def test_the_best_weights_come_back(model):
    seen = []

    class Keeping(Callback):
        def epoch_end(self, trainer, epoch, numbers):
            seen.append(trainer.model.l0.W.value)

    scripted = Scripted([3.0, 1.0, 2.0, 2.0])
    stopping = EarlyStopping("loss", patience=9, restore_best=True)
    model.fit(X, T, epochs=4, callbacks=[scripted, Keeping(), stopping], verbose=0)
    np.testing.assert_array_equal(model.l0.W.value, seen[1])


def test_checkpoints_of_each_epoch_or_of_the_best(model, tmp_path):
    def saved(numbers, **options):
        for path in tmp_path.iterdir():
            path.unlink()
        model.history.rows.clear()
        saving = ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.0f}.npz", **options)
        model.fit(
            X, T, epochs=4, callbacks=[saving, Scripted(numbers)], verbose=0,
            validation_data=(X, T),
        )  # fmt: skip
        return sorted(path.name[:2] for path in tmp_path.iterdir())

    numbers = [3.0, 2.0, 4.0, 1.0]
    assert saved(numbers) == ["01", "02", "03", "04"]
    assert saved(numbers, every=2) == ["02", "04"]
    assert saved(numbers, best_only=True, monitor="loss") == ["01", "02", "04"]
    assert saved(numbers, weights_only=True, every=4) == ["04"]
    fresh = MLP((3,), seed=1)
    sg.load(fresh, next(tmp_path.iterdir()))
    np.testing.assert_array_equal(fresh.l0.W.value, model.l0.W.value)


def test_the_table_of_the_history(model, tmp_path):
    path = tmp_path / "history.csv"
    model.fit(X, T, epochs=1, callbacks=[CSVLogger(path)], verbose=0)
    model.fit(X, T, epochs=2, callbacks=CSVLogger(path), validation_data=(X, T), verbose=0)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert rows[0]["val_loss"] == ""
    assert [float(row["loss"]) for row in rows] == model.history["loss"]
    assert math.isnan(model.history["val_loss"][0])


def test_the_rate_is_set_before_each_epoch_without_compiling_anew(model):
    seen, rates = [], [0.1, 0.05, 0.0]

    class Looking(Callback):
        def epoch_end(self, trainer, epoch, numbers):
            seen.append((float(trainer.optimizer.learning_rate.value), model.l0.W.value))

    scheduler = LearningRateScheduler(lambda epoch, rate: rates[epoch])
    model.fit(X, T, epochs=3, callbacks=[scheduler, Looking()], verbose=0)
    assert [rate for rate, _ in seen] == rates
    np.testing.assert_array_equal(seen[1][1], seen[2][1])
    assert (seen[0][1] != seen[1][1]).any()
    assert model.trainer.program.step.compile_count == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: EarlyStopping(patience=0),
            r"patience is a positive int, not 0\n  at .*test_train",
        ),
        (lambda: EarlyStopping(mode="best"), "mode is 'auto', 'min' or 'max', not 'best'"),
        (lambda: EarlyStopping(min_delta=-1), "min_delta is a finite number, at least 0, not -1"),
        (lambda: EarlyStopping(3), "monitor is a name, not 3"),
        (lambda: ModelCheckpoint("a.npz", every=0), "every is a positive int, not 0"),
        (lambda: ModelCheckpoint(3), r"a path is needed, not 3\n  at .*test_train"),
        (lambda: CSVLogger(None), r"a path is needed, not None\n  at .*test_train"),
        (lambda: LearningRateScheduler(0.1), "a schedule is a function of epoch and rate, not 0.1"),
    ],
)
def test_callbacks_that_make_no_sense(make, message):
    with pytest.raises(sg.GraphError, match=message):
        make()


@pytest.mark.parametrize(
    ("callback", "kind", "message"),
    [
        (
            EarlyStopping("val_loss"),
            sg.GraphError,
            "no number that EarlyStopping could watch called 'val_loss'; did you mean 'loss'",
        ),
        (ModelCheckpoint("a.npz", best_only=True), sg.GraphError, "that ModelCheckpoint could"),
        (ModelCheckpoint("a.pt"), sg.CheckpointError, r"ends in \.npz or \.safetensors"),
        (ModelCheckpoint("{top}.npz"), sg.GraphError, "a field that cannot be filled in: 'top'"),
        (ModelCheckpoint("{epoch.x}.npz"), sg.GraphError, "a field that cannot be filled in"),
        (ModelCheckpoint("none/a.npz"), sg.CheckpointError, "no folder .*none for a.npz\n  at "),
        (CSVLogger("none/a.csv"), FileNotFoundError, "no folder .*none for a.csv\n  at "),
        (CSVLogger("."), sg.DataError, "is a folder, and not a file to write"),
        ("stop", sg.GraphError, "a callback is an object of a subclass of Callback, not 's'"),
        ([print], sg.GraphError, "a callback is an object of a subclass of Callback, not <built"),
    ],
)
def test_callbacks_that_do_not_suit_a_run_are_refused_at_once(model, callback, kind, message):
    before = model.l0.W.value
    with pytest.raises(kind, match=message):
        model.fit(X, T, callbacks=callback, verbose=0)
    np.testing.assert_array_equal(model.l0.W.value, before)
    assert len(model.history) == 0


def test_a_rate_that_cannot_be_set():
    schedule = sg.optim.SGD(sg.optim.Cosine(0.1, 10))
    fixed = MLP((3,), in_size=4).compile(schedule, "softmax_cross_entropy")
    with pytest.raises(sg.GraphError, match="can only be set if the optimiser was given a number"):
        fixed.fit(X, T, callbacks=[LearningRateScheduler(lambda epoch, rate: 0.1)], verbose=0)


def test_a_rate_that_is_none(model):
    with pytest.raises(sg.GraphError, match="the schedule gave None for epoch 0; a learning rate"):
        model.fit(X, T, callbacks=[LearningRateScheduler(lambda epoch, rate: None)], verbose=0)


def test_a_bar_shows_numbers_speed_and_time_left(model, capsys, monkeypatch):
    monkeypatch.setattr("symgraph.training.progress.REFRESH_SECONDS", 0.0)
    model.fit(X, T, epochs=2, batch_size=4, validation_data=(X, T))
    shown = capsys.readouterr().err
    assert "epoch 2/2: 100%" in shown
    assert "8/8 [" in shown and "step/s" in shown
    assert "loss " in shown and "accuracy " in shown and "val_loss " in shown
    model.evaluate(X, T, verbose=1)
    assert "evaluation: 100%" in capsys.readouterr().err


def test_lines_and_silence(model, capsys):
    model.fit(X, T, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "loss" in lines[0] and "(1 steps, " in lines[0]
    model.fit(X, T, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_a_bar_starts_no_thread(model):
    import threading

    before = threading.active_count()
    model.fit(X, T, verbose=1)
    assert threading.active_count() == before


def test_the_history_is_drawn(model, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "history.png"
    figure = model.fit(X, T, epochs=3, validation_data=(X, T), verbose=0).plot(path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    for axes, name in zip(figure.axes, ("loss", "accuracy"), strict=True):
        drawn = [line.get_ydata() for line in axes.get_lines()]
        assert [list(line) for line in drawn] == [
            model.history[name], model.history[f"val_{name}"]
        ]  # fmt: skip
    with pytest.raises(sg.GraphError, match=r"pictures end in one of .*\.png.*, unlike '.*\.doc'"):
        model.history.plot(tmp_path / "history.doc")
    assert [entry.name for entry in tmp_path.iterdir()] == ["history.png"]


def test_without_matplotlib_the_history_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(sg.MissingPackageError, match=r"pip install 'symgraph\[examples\]'"):
        History([{"loss": 1.0}]).plot("history.png")


def test_the_history_by_name():
    history = History([{"loss": 2.0}, {"loss": 1.0, "val_loss": 3.0}])
    assert history["loss"] == [2.0, 1.0]
    assert repr(history) == "<history of 2 epochs: loss 1, val_loss 3>"
    assert repr(History()) == "<history of no epochs>"
    assert [dict(row) for row in history] == history.rows
    with pytest.raises(
        sg.GraphError, match="no number in the history called 'los'; did you mean 'l"
    ):
        history["los"]
    with pytest.raises(
        sg.GraphError, match=r"there is no epoch to draw yet\n  at .*test_training_c"
    ):
        History().plot("history.png")
