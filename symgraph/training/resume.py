"""Saving a training run, and going on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.errors import CheckpointError
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.serialise.archive import Archive, PathLike
from symgraph.serialise.names import assign_together, named_parameters_of, values_of
from symgraph.serialise.weights import fitting_values, open_archive, write_arrays

if TYPE_CHECKING:
    from symgraph.training.trainer import Trainer

Array = np.ndarray[Any, Any]
States = dict[str, dict[str, Array]]
FORMAT = "symgraph training 1"
_CALLBACKS = "callbacks/"


@dataclass
class Run:
    """One call of `fit`, and those that resumed it.

    Args:
        began: how many epochs the history had when it began.
        identity: what makes up its batches.
        stopped: whether a callback ended it.
    """

    began: int
    identity: dict[str, Any]
    stopped: bool = False


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds, read and compared with what it is for; nothing is changed yet.

    Args:
        values: the new values of parameters and states.
        rows: of the history.
        run: the run that goes on.
        callbacks: the states of callbacks.
    """

    values: dict[Parameter, Array]
    rows: list[dict[str, float]]
    run: Run | None
    callbacks: States


def save_training(trainer: Trainer, path: PathLike) -> None:
    """Write a run; see `Trainer.save_checkpoint`."""
    arrays = values_of(_targets(trainer))
    for key, state in trainer.callback_states().items():
        arrays |= {f"{_CALLBACKS}{key}/{name}": array for name, array in state.items()}
    notes = {
        "format": FORMAT,
        "history": trainer.history.rows,
        "run": None if trainer.run is None else asdict(trainer.run),
    }
    write_arrays(path, arrays, notes)


def read_training(trainer: Trainer, path: PathLike) -> Saved:
    """Read a run and check that it is one of this trainer.

    Raises:
        CheckpointError: the file is no checkpoint, is damaged, or does not fit.
        OSError: it cannot be read.
    """
    with open_archive(path) as archive:
        rows, run = _checked_notes(path, archive.metadata)
        entries = {n: e for n, e in archive.entries.items() if not n.startswith(_CALLBACKS)}
        values = fitting_values(archive, entries, _targets(trainer))
        return Saved(values, rows, run, _callback_states(archive))


def apply_training(trainer: Trainer, saved: Saved) -> None:
    """Give a trainer what was read."""
    assign_together(saved.values)
    trainer.history.rows[:] = saved.rows
    trainer.run = saved.run


def _targets(trainer: Trainer) -> dict[str, Parameter]:
    program = trainer.program
    return named_parameters_of(
        {
            "model": trainer.model,
            "optimizer": trainer.optimizer,
            "training": {"steps": program.steps, "progress": program.progress},
        }
    )


def _callback_states(archive: Archive) -> States:
    """Return the arrays of callbacks: by callback, then by name."""
    states: States = {}
    for name in archive.entries:
        if name.startswith(_CALLBACKS):
            key, _, rest = name.removeprefix(_CALLBACKS).partition("/")
            states.setdefault(key, {})[rest] = archive.read(name)
    return states


def _checked_notes(
    path: PathLike, notes: Mapping[str, Any]
) -> tuple[list[dict[str, float]], Run | None]:
    """Return history and run.

    Raises:
        CheckpointError: they are not what `save_training` writes.
    """
    rows, run = notes.get("history"), notes.get("run")
    fits = (
        notes.get("format") == FORMAT
        and isinstance(rows, list)
        and all(isinstance(row, dict) and all(map(_is_number, row.values())) for row in rows)
        and (run is None or (isinstance(run, dict) and _is_run(run, rows)))
    )
    if not fits:
        raise CheckpointError(
            f"{path} is no checkpoint of fit; for a file of weights use load\n"
            f"  at {user_location()}"
        )
    assert isinstance(rows, list), "checked above"
    return rows, None if run is None else Run(**run)


def _is_run(run: Mapping[str, Any], rows: list[Any]) -> bool:
    began = run.get("began")
    return (
        run.keys() == {"began", "identity", "stopped"}
        and isinstance(began, int)
        and 0 <= began <= len(rows)
        and isinstance(run["identity"], dict)
        and isinstance(run["stopped"], bool)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def require_same_batches(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse to go on with a run on other batches.

    Raises:
        CheckpointError: they differ; the message says how.
    """
    names = [name for name in {**saved, **given} if saved.get(name) != given.get(name)]
    if names:
        told = "; ".join(f"{n} was {saved.get(n)} and is {given.get(n)}" for n in names)
        raise CheckpointError(
            f"a run goes on with the batches that it began with: {told}\n  at {user_location()}"
        )
