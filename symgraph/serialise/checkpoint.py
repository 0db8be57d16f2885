"""Checkpoints: all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.errors import CheckpointError
from symgraph.function import Function
from symgraph.location import user_location
from symgraph.serialise.archive import PathLike
from symgraph.serialise.names import (
    assign_together,
    named_parameters_of,
    sizes_learned,
    values_of,
)
from symgraph.serialise.weights import fitting_values, open_archive, write_arrays

FORMAT = "symgraph checkpoint 1"


def save_checkpoint(
    path: PathLike,
    savable: Any,
    *,
    functions: Mapping[str, Function] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write values, the positions of random sequences, and notes, in one file, or nothing new.

    `Trainer.save_checkpoint` does this for `fit`; this is for training loops of one's own.

    Args:
        path: ends in `.npz` or `.safetensors`.
        savable: as for `save`, say {"model": model, "optimizer": optimizer}.
        functions: compiled functions by name, of which `call_index` is saved: with dropout and
            other random nodes, the training step.
        metadata: what JSON can hold, say the number of the epoch.

    Raises:
        CheckpointError: a name or the path's ending is unusable, or the metadata are.
        ShapeError: a layer does not know its input size yet, so it has no weights.
        OSError: the file cannot be written.

    Example:
        >>> save_checkpoint("run.npz", {"model": model, "optimizer": optimizer},
        ...                 functions={"step": step}, metadata={"epoch": 3})
    """
    notes = {
        "format": FORMAT,
        "calls": {name: function.call_index for name, function in (functions or {}).items()},
        "metadata": dict(metadata or {}),
    }
    write_arrays(path, values_of(named_parameters_of(savable)), notes)


def load_checkpoint(
    path: PathLike, savable: Any, *, functions: Mapping[str, Function] | None = None
) -> dict[str, Any]:
    """Take back what `save_checkpoint` wrote: all of it or, if anything does not fit, nothing.

    Args:
        path: the file.
        savable: what was saved, with the same names, shapes and dtypes.
        functions: the functions whose positions were saved, by the same names.

    Returns:
        The metadata.

    Raises:
        CheckpointError: the file is no checkpoint, is damaged, or does not fit.
        OSError: it cannot be read.

    Example:
        >>> load_checkpoint("run.npz", {"model": model, "optimizer": optimizer},
        ...                 functions={"step": step})
        {'epoch': 3}
    """
    functions = functions or {}
    with open_archive(path) as archive:
        notes = archive.metadata
        calls, metadata = notes.get("calls"), notes.get("metadata")
        known = notes.get("format") == FORMAT
        if not known or not isinstance(calls, dict) or not isinstance(metadata, dict):
            raise CheckpointError(
                f"{path} is no checkpoint of this version; for a file of weights use load\n"
                f"  at {user_location()}"
            )
        if calls.keys() != functions.keys() or not all(map(_is_count, calls.values())):
            raise CheckpointError(
                f"{path} has the positions of the functions {sorted(calls)}, but "
                f"{sorted(functions)} were given; nothing was loaded\n  at {user_location()}"
            )
        entries = archive.entries
        with sizes_learned(savable, {name: entry.shape for name, entry in entries.items()}):
            values = fitting_values(archive, entries, named_parameters_of(savable))
    assign_together(values)
    for name, function in functions.items():
        function.call_index = calls[name]
    return metadata


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
