"""Callbacks: what happens between the epochs of `fit`."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.errors import (
    GraphError,
    MissingCheckpointError,
    MissingDataError,
    SymGraphError,
)
from symgraph.leaves import State
from symgraph.location import user_location
from symgraph.node import describe
from symgraph.serialise.archive import PathLike
from symgraph.serialise.atomic import write_atomically
from symgraph.serialise.names import assign_together, named_parameters_of, values_of
from symgraph.serialise.weights import format_of, save
from symgraph.training.checks import positive_int
from symgraph.training.monitor import Monitor

if TYPE_CHECKING:
    from symgraph.training.trainer import Trainer

Array = np.ndarray[Any, Any]
Schedule = Callable[[int, float], float]


class Callback:
    """Watches a training run: a subclass defines the methods that it needs.

    Attributes:
        late: whether its `epoch_end` comes after those of all callbacks that are not late.

    Example:
        >>> class Announce(Callback):
        ...     def epoch_end(self, trainer, epoch, numbers):
        ...         print(epoch, numbers["loss"])
        >>> model.fit(x, y, callbacks=[Announce()])
    """

    late = False

    def train_begin(self, trainer: Trainer) -> None:
        """Do what comes before the first step; raise if something is wrong with the run."""

    def epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Do what comes before epoch number `epoch`, counted from 0."""

    def step_end(self, trainer: Trainer, step: int, numbers: Mapping[str, Array]) -> None:
        """Do what comes after a training step.

        Args:
            trainer: what trains.
            step: how many steps were made, over all epochs.
            numbers: loss and metrics of the batch, before the step changed the parameters.
        """

    def epoch_end(self, trainer: Trainer, epoch: int, numbers: Mapping[str, float]) -> None:
        """Do what comes after an epoch, which is in the history by then.

        Args:
            trainer: what trains; `trainer.stop()` makes this the last epoch.
            epoch: its number, counted from 0.
            numbers: loss and metrics, also of the validation data.
        """

    def train_end(self, trainer: Trainer) -> None:
        """Do what comes after the last epoch; not called after an error or Ctrl-C."""

    def state(self) -> dict[str, Array]:
        """Return what a checkpoint must hold so that a resumed run goes on in the same way."""
        return {}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what `state` returned."""


class EarlyStopping(Callback):
    """Stops when a number does not get better any more.

    Args:
        monitor: a column of the history, such as `val_loss`.
        patience: after how many epochs in a row without an improvement to stop.
        min_delta: how much better a number must be to count as an improvement.
        mode: "min" or "max" says which numbers are better; "auto" takes "max" for accuracies and
            "min" for all else.
        restore_best: at the end of training, also of one that was not stopped, give the model the
            parameters and states of its best epoch.

    Raises:
        GraphError: an argument is out of range; or in `fit`, there is no such column.

    Example:
        >>> stopping = EarlyStopping("val_accuracy", patience=3, restore_best=True)
        >>> model.fit(x, y, epochs=100, validation_data=held_out, callbacks=[stopping])
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 1,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = False,
    ) -> None:
        """Check the arguments."""
        self.monitor = Monitor(monitor, mode, min_delta)
        self.patience = positive_int("patience", patience)
        self.restore_best = restore_best
        self._best: dict[str, Array] = {}

    def train_begin(self, trainer: Trainer) -> None:
        """Check that the number will be there."""
        self.monitor.check(self, trainer.columns)
        self._best = {}

    def epoch_end(self, trainer: Trainer, epoch: int, numbers: Mapping[str, float]) -> None:
        """Keep the best values, or stop."""
        since = self.monitor.epochs_since_best(trainer.run_history)
        if since == 0 and self.restore_best:
            self._best = values_of(named_parameters_of(trainer.model))
        if since >= self.patience:
            trainer.stop()

    def train_end(self, trainer: Trainer) -> None:
        """Give the model its best values."""
        if self._best:
            leaves = named_parameters_of(trainer.model)
            assign_together({leaves[name]: value for name, value in self._best.items()})

    def state(self) -> dict[str, Array]:
        """Return the best values so far."""
        return self._best

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take them back."""
        self._best = dict(state)


class ModelCheckpoint(Callback):
    """Saves the run at the end of epochs, so that `fit(..., resume=path)` can go on with it.

    Args:
        path: ends in `.npz` or `.safetensors`; `{epoch}`, counted from 1, and the columns of the
            history are filled in, as in `"run-{epoch:03d}-{val_loss:.3f}.npz"`.
        best_only: save only epochs in which the number got better.
        monitor: a column of the history.
        mode: as for `EarlyStopping`.
        weights_only: save only the model's parameters and states, see `sg.save`.
        every: save each so many epochs.

    Raises:
        GraphError: an argument is out of range; or in `fit`, there is no such column.
        CheckpointError: in `fit`, the path has another ending, or its folder is not there.
        OSError: in `fit`, a file cannot be written.

    Example:
        >>> model.fit(x, y, epochs=20, callbacks=[ModelCheckpoint("run.npz")], resume="run.npz")
    """

    late = True

    def __init__(
        self,
        path: PathLike,
        *,
        best_only: bool = False,
        monitor: str = "val_loss",
        mode: str = "auto",
        weights_only: bool = False,
        every: int = 1,
    ) -> None:
        """Check the arguments."""
        self.path = _checked_path(path)
        self.best_only = best_only
        self.monitor = Monitor(monitor, mode, 0.0)
        self.weights_only = weights_only
        self.every = positive_int("every", every)

    def train_begin(self, trainer: Trainer) -> None:
        """Check that the number will be there, and the path's ending and fields."""
        if self.best_only:
            self.monitor.check(self, trainer.columns)
        path = self._filled(0, dict.fromkeys(trainer.columns, 0.0))
        format_of(path)
        if "{" not in str(Path(self.path).parent):
            _require_folder(path, MissingCheckpointError)

    def epoch_end(self, trainer: Trainer, epoch: int, numbers: Mapping[str, float]) -> None:
        """Save, if it is time to."""
        if (epoch + 1) % self.every:
            return
        if self.best_only and self.monitor.epochs_since_best(trainer.run_history) > 0:
            return
        path = self._filled(epoch, numbers)
        if self.weights_only:
            save(trainer.model, path)
        else:
            trainer.save_checkpoint(path)

    def _filled(self, epoch: int, numbers: Mapping[str, float]) -> Path:
        try:
            return Path(str(self.path).format(epoch=epoch + 1, **numbers))
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise GraphError(
                f"the path {str(self.path)!r} has a field that cannot be filled in: {error}; there "
                f"are epoch, {', '.join(numbers)}\n  at {user_location()}"
            ) from None


def _checked_path(path: PathLike) -> PathLike:
    if not isinstance(path, str | os.PathLike):
        raise GraphError(f"a path is needed, not {path!r}\n  at {user_location()}")
    return path


def _require_folder(path: Path, kind: type[SymGraphError]) -> None:
    """Refuse a path that nothing could be written to, before the time of an epoch is lost."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise kind(f"there is no folder {folder} for {path.name}\n  at {user_location()}")
    if path.is_dir():
        raise kind(f"{path} is a folder, and not a file to write\n  at {user_location()}")


class CSVLogger(Callback):
    """Writes the history to a CSV file after each epoch, whole or not at all.

    The first column is `epoch`, counted from 1; a number that an epoch does not have is left empty.

    Args:
        path: where to write. The file has all epochs of the history, also those of earlier calls of
            `fit`.

    Raises:
        GraphError: `path` is none.
        DataError: in `fit`, the folder is not there.
        OSError: in `fit`, the file cannot be written.

    Example:
        >>> model.fit(x, y, epochs=5, callbacks=[CSVLogger("history.csv")])
    """

    late = True

    def __init__(self, path: PathLike) -> None:
        """Keep the path."""
        self.path = Path(_checked_path(path))

    def train_begin(self, trainer: Trainer) -> None:
        """Check that there is a folder to write in."""
        _require_folder(self.path, MissingDataError)

    def epoch_end(self, trainer: Trainer, epoch: int, numbers: Mapping[str, float]) -> None:
        """Write the file."""
        text = io.StringIO(newline="")
        names = trainer.history.names
        writer = csv.DictWriter(text, ["epoch", *names], restval="", lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(trainer.history):
            writer.writerow({"epoch": number + 1, **row})
        data = text.getvalue().encode()

        def fill(file: Path) -> None:
            file.write_bytes(data)

        write_atomically(self.path, fill)


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch; nothing is compiled anew.

    For rates that change from step to step give the optimiser one of the schedules of `sg.optim`.

    Args:
        schedule: a function of the number of the epoch, counted from 0, and of the present rate, to
            the new rate.

    Raises:
        GraphError: it is no function; or in `fit`, the optimiser was not given a number as its
            rate, or the function gives no finite number of at least 0.

    Example:
        >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch % 10 == 9 else rate)
    """

    def __init__(self, schedule: Schedule) -> None:
        """Check the argument."""
        if not callable(schedule):
            raise GraphError(
                f"a schedule is a function of epoch and rate, not {schedule!r}\n"
                f"  at {user_location()}"
            )
        self.schedule = schedule

    def train_begin(self, trainer: Trainer) -> None:
        """Check that the rate can be set."""
        rate = trainer.optimizer.learning_rate
        if not isinstance(rate, State):
            raise GraphError(
                "the learning rate can only be set if the optimiser was given a number, and not "
                f"{describe(rate)}\n  at {user_location()}"
            )

    def epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Set the rate."""
        rate = trainer.optimizer.learning_rate
        new = self.schedule(epoch, float(rate.value))
        plain = isinstance(new, int | float | np.number) and not isinstance(new, bool)
        if not plain or not 0.0 <= float(new) < math.inf:
            raise GraphError(
                f"the schedule gave {new!r} for epoch {epoch}; a learning rate is a finite number, "
                f"at least 0\n  at {user_location()}"
            )
        rate.value = float(new)
