"""Runs that stop and go on: the same numbers, bit for bit, as if they had never stopped."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import BatchNorm, Linear
from symgraph.models import Sequential
from symgraph.training import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
)

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X, T = RNG.random((50, 4), "float32"), RNG.integers(0, 3, 50)
OPTIONS = {"epochs": 3, "batch_size": 16, "validation_data": (X[:20], T[:20]), "verbose": 0}


def fresh():
    """Return a model with all that has state: running statistics, random numbers, Adam, a rate."""
    sg.random.seed(7)
    model = Sequential(
        Linear(8, 4, seed=0), BatchNorm(8), lambda x: sg.nn.dropout(x, 0.3), Linear(3, 8, seed=1)
    )
    return model.compile("adam", "softmax_cross_entropy", ["accuracy"])


def callbacks():
    return [
        LearningRateScheduler(lambda epoch, rate: rate * 0.7),
        EarlyStopping("val_loss", patience=9, restore_best=True),
    ]


def values(model):
    leaves = {**model.named_parameters(), **model.named_states()}
    states = model.trainer.optimizer.states()
    return {name: p.value.tobytes() for name, p in {**leaves, **states}.items()}


class Halting(Callback):
    """Does what Ctrl-C does, after a number of steps; saves at that moment if there is a path."""

    def __init__(self, after, path=None):
        self.after, self.path = after, path

    def step_end(self, trainer, step, numbers):
        if step == self.after:
            if self.path is not None:
                trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt("Ctrl-C")


@pytest.fixture(scope="module")
def whole():
    model = fresh()
    model.fit(X, T, callbacks=callbacks(), **OPTIONS)
    return values(model), model.history.rows


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
@pytest.mark.inventory("N.state", "D.step53")
def test_a_run_resumed_at_any_step_ends_as_the_whole_run_does(tmp_path, whole, ending):
    path = tmp_path / f"run.{ending}"
    model = fresh()
    # In the middle of an epoch, at its end, at the beginning of the next, and at the very end.
    for after in (3, 4, 5, 12) if ending == "npz" else (7,):
        stopped = fresh()
        with pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
            stopped.fit(X, T, callbacks=[*callbacks(), Halting(after, path)], **OPTIONS)
        # The trainer that goes on has done something else before.
        model.fit(X, T, callbacks=callbacks(), resume=path, **OPTIONS)
        assert values(model) == whole[0]
        assert model.history.rows == whole[1]


def test_a_run_that_was_interrupted_goes_on_in_the_same_process(whole):
    model = fresh()
    for after in (2, 3, 7, 12):
        with pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
            model.fit(X, T, callbacks=[*callbacks(), Halting(after)], resume=after > 2, **OPTIONS)
        assert int(model.trainer.program.steps.value) == after
        assert model.history.rows == whole[1][: (after - 1) // 4]
    model.fit(X, T, callbacks=callbacks(), resume=True, **OPTIONS)
    assert model.history.rows == whole[1]
    before = values(model)
    model.fit(X, T, callbacks=callbacks(), resume=True, **OPTIONS)  # there is nothing left to do
    assert values(model) == before


def test_a_run_begins_where_there_is_no_checkpoint_and_goes_on_where_there_is(tmp_path, whole):
    path = tmp_path / "run.npz"
    for epochs in (1, 2, 3):
        model = fresh()
        saving = [*callbacks(), ModelCheckpoint(path)]
        model.fit(X, T, callbacks=saving, resume=path, **{**OPTIONS, "epochs": epochs})
        assert model.history.rows == whole[1][:epochs]


def test_the_best_weights_are_in_the_checkpoint(tmp_path):
    """The best epoch lies before the checkpoint, and is restored by the process that resumes."""
    rates = [0.01, 0.01, 0.5, 0.5, 0.5]

    def watching():
        return [
            LearningRateScheduler(lambda epoch, rate: rates[epoch]),
            EarlyStopping("loss", patience=9, restore_best=True),
        ]

    options = {"batch_size": 16, "verbose": 0, "shuffle": False}
    one, two, path = fresh(), fresh(), tmp_path / "run.npz"
    one.fit(X, T, callbacks=watching(), epochs=5, **options)
    assert one.history["loss"].index(min(one.history["loss"])) < 4
    two.fit(X, T, callbacks=[*watching(), ModelCheckpoint(path)], epochs=3, **options)
    three = fresh()
    three.fit(X, T, callbacks=watching(), epochs=5, resume=path, **options)
    assert values(three) == values(one)


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    path = tmp_path / "run.npz"
    flat = [EarlyStopping("loss", patience=1, min_delta=10.0), ModelCheckpoint(path)]
    one = fresh()
    one.fit(X, T, callbacks=flat, **OPTIONS)
    assert len(one.history) == 2
    two = fresh()
    two.fit(X, T, callbacks=flat, resume=path, **OPTIONS)
    assert len(two.history) == 2
    assert values(one) == values(two)


def test_what_does_not_belong_to_a_run_is_refused_before_anything_is_changed(tmp_path):
    path = tmp_path / "run.npz"
    model = fresh()
    with pytest.raises(sg.GraphError, match=r"no run to go on with\n  at .*test_training_resume"):
        model.fit(X, T, resume=True, **OPTIONS)
    model.fit(X, T, **{**OPTIONS, "epochs": 1})
    model.save_checkpoint(path)
    other = fresh()
    before = values(other)
    for data, options, message in [
        ((X[:40], T[:40]), {}, "rows was 50 and is 40"),
        ((X, T), {"batch_size": 8}, "batch_size was 16 and is 8"),
        ((X, T), {"seed": 3}, "seed was 0 and is 3"),
        ((X, T), {"shuffle": False}, "shuffle was True and is False"),
    ]:
        with pytest.raises(sg.CheckpointError, match=message):
            other.fit(*data, resume=path, **{**OPTIONS, **options})
    narrow = Sequential(Linear(3, 4, seed=0)).compile("adam", "softmax_cross_entropy", "accuracy")
    with pytest.raises(
        sg.CheckpointError, match=r"does not fit; nothing was loaded\n(.|\n)*model/l1"
    ):
        narrow.load_checkpoint(path)
    sg.save(model, tmp_path / "weights.npz")
    with pytest.raises(sg.CheckpointError, match="is no checkpoint of fit; for a file of weights"):
        other.fit(X, T, resume=tmp_path / "weights.npz", **OPTIONS)
    assert values(other) == before
    assert len(other.history) == len(narrow.history) == 0
    unbuilt = Sequential(Linear(3)).compile("adam", "softmax_cross_entropy")
    with pytest.raises(sg.GraphError, match="nothing is compiled yet"):
        unbuilt.save_checkpoint(path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    model = fresh()
    model.fit(X, T, **{**OPTIONS, "epochs": 1})
    model.save_checkpoint(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    before = values(model)
    with pytest.raises(sg.CheckpointError, match="is damaged or incomplete"):
        model.load_checkpoint(path)
    assert values(model) == before


INTERRUPTED = """
import random, signal, sys
import numpy as np
import symgraph as sg
from symgraph.models import MLP
from symgraph.training import Callback, CSVLogger, ModelCheckpoint

signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
x, t = rng.random((200, 16), "f4"), rng.integers(0, 3, 200)


def fresh():
    sg.random.seed(0)
    model = MLP((32, 3), activation=lambda h: sg.nn.dropout(h, 0.3), in_size=16, seed=0)
    return model.compile("adam", "softmax_cross_entropy", ["accuracy"])


class Noting(Callback):
    def __init__(self):
        self.after = {{}}

    def step_end(self, trainer, step, numbers):
        self.after[step] = [p.storage.tobytes() for p in trainer.model.parameters()]


options = dict(epochs=6, batch_size=8, validation_data=(x, t), verbose=0)
whole, noting = fresh(), Noting()
whole.fit(x, t, callbacks=[noting], **options)
model = fresh()
noting.after[0] = [p.storage.tobytes() for p in model.parameters()]
saving = [ModelCheckpoint({folder!r} + "/run.npz"), CSVLogger({folder!r} + "/run.csv")]
model.trainer.program.evaluation
interrupts, chance = 0, random.Random(0)
while True:
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 4e-3) * 1.1**interrupts)
        model.fit(x, t, callbacks=saving, resume=model.trainer.run is not None, **options)
        signal.setitimer(signal.ITIMER_REAL, 0)
        break
    except KeyboardInterrupt:
        interrupts += 1
        made = int(model.trainer.program.steps.value)
        assert [p.storage.tobytes() for p in model.parameters()] == noting.after[made]
        assert model.history.rows == whole.history.rows[: len(model.history)]
        assert made - 25 * len(model.history) in range(26)
assert model.history.rows == whole.history.rows
assert [p.storage.tobytes() for p in model.parameters()] == noting.after[150]
import os
assert {{name for name in os.listdir({folder!r})}} <= {{"run.npz", "run.csv"}}
print(interrupts)
"""


def test_interrupts_at_random_moments_lose_nothing(tmp_path):
    code = textwrap.dedent(INTERRUPTED).format(folder=str(tmp_path))
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert int(finished.stdout) > 3


def test_the_csv_of_a_resumed_run_has_all_epochs(tmp_path):
    path, table = tmp_path / "run.npz", tmp_path / "run.csv"
    for epochs in (1, 3):
        fresh().fit(
            X, T, callbacks=[CSVLogger(table), ModelCheckpoint(path)], resume=path,
            **{**OPTIONS, "epochs": epochs},
        )  # fmt: skip
    lines = table.read_text().splitlines()
    assert lines[0] == "epoch,loss,accuracy,val_loss,val_accuracy"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
