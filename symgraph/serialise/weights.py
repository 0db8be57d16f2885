"""`save` and `load`: the values of layers, optimisers and parameters, to and from files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import CheckpointError, MissingCheckpointError
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.node import Node
from symgraph.serialise.archive import Archive, Array, Entry, PathLike, check_names
from symgraph.serialise.atomic import write_atomically
from symgraph.serialise.checks import check_fit, converted, missing_of
from symgraph.serialise.names import (
    assign_together,
    named_parameters_of,
    sizes_learned,
    values_of,
)
from symgraph.serialise.npz import NpzArchive, write_npz
from symgraph.serialise.tensors import SafetensorsArchive, write_safetensors

_WRITERS = {".npz": write_npz, ".safetensors": write_safetensors}
_READERS: dict[str, type[NpzArchive | SafetensorsArchive]] = {
    ".npz": NpzArchive,
    ".safetensors": SafetensorsArchive,
}


class Loaded(NamedTuple):
    """What `load` left alone.

    Args:
        missing: names that are wanted, but not in the file; they keep their values.
        unexpected: names that are in the file, but not wanted.
    """

    missing: list[str]
    unexpected: list[str]


def save(savable: Any, path: PathLike, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write values to a file, of which there is all or, if anything goes wrong, nothing new.

    Args:
        savable: a layer or a model (its parameters and states), an optimiser (its states), or a
            dict of names to parameters, layers, optimisers or further dicts: {"model": model, ...}.
            Names are flat, such as `l0/W`; those of dicts are put before them with a slash.
        path: ends in `.npz` or `.safetensors`, which decides on the format.
        metadata: what JSON can hold, stored beside the arrays.

    Raises:
        CheckpointError: there is nothing to save, or a name or the path's ending is unusable.
        ShapeError: a layer does not know its input size yet, so it has no weights.
        OSError: the file cannot be written.

    Example:
        >>> save(model, "weights.npz")
        >>> save({"model": model, "optimizer": optimizer}, "all.safetensors")
    """
    format_of(path)
    parameters = named_parameters_of(savable)
    if not parameters:
        raise CheckpointError(
            f"there is nothing to save in {savable!r}: an optimiser has state, if its rule needs "
            f"any, only after updates() was called\n  at {user_location()}"
        )
    write_arrays(path, values_of(parameters), metadata)


def load(
    savable: Any,
    source: PathLike | Mapping[str, Any],
    *,
    strict: bool = True,
    convert: bool = False,
) -> Loaded:
    """Overwrite values with those of a file, all of them or, if anything does not fit, none.

    Names, shapes and dtypes are compared before anything is read, and everything is read before
    anything is assigned.

    Args:
        savable: as for `save`.
        source: a file, or a dict of names to arrays.
        strict: whether every name must be on both sides; False for pretrained weights of which only
            a part is wanted or there. Shapes and dtypes must fit all the same.
        convert: whether floats may become other floats (float16, bfloat16, float32, float64), and
            integers other integers.

    Returns:
        The names that were not on both sides.

    Raises:
        CheckpointError: the file does not fit, or is damaged.
        ShapeError: a layer does not know its input size, and the file does not tell it.
        OSError: the file cannot be read.

    Example:
        >>> load(model, "weights.npz")
        Loaded(missing=[], unexpected=[])
    """
    if isinstance(source, Mapping):
        return _load_from(_Arrays(source), savable, strict, convert)
    with open_archive(source) as archive:
        return _load_from(archive, savable, strict, convert)


def load_arrays(path: PathLike) -> dict[str, Array]:
    """Read all arrays of a file, to look at them or to rename them before `load`.

    Args:
        path: ends in `.npz` or `.safetensors`. Of a file that you do not trust, mind the size: a
            compressed `.npz` may unpack to a thousand times its length.

    Raises:
        CheckpointError: the file is damaged, or holds what is no array of numbers.
        OSError: it cannot be read.

    Example:
        >>> arrays = load_arrays("vgg16.npz")
        >>> load(model, {name.replace("conv", "l"): array for name, array in arrays.items()})
    """
    with open_archive(path) as archive:
        return {name: archive.read(name) for name in archive.entries}


def write_arrays(
    path: PathLike, arrays: Mapping[str, Array], metadata: Mapping[str, Any] | None
) -> None:
    """Write arrays by name.

    Raises:
        CheckpointError: a name or the path's ending is unusable.
        OSError: the file cannot be written.
    """
    writer = _WRITERS[format_of(path)]
    check_names(arrays)
    write_atomically(path, lambda file: writer(file, arrays, metadata))


def open_archive(path: PathLike) -> Archive:
    """Open a file of arrays.

    Raises:
        CheckpointError: it is not there, is damaged, or has another ending.
        OSError: it cannot be opened.
    """
    reader = _READERS[format_of(path)]
    try:
        return reader(Path(path))
    except FileNotFoundError:
        folder = "" if Path(path).is_absolute() else f" in {os.getcwd()}"
        raise MissingCheckpointError(
            f"there is no file {path}{folder} to load from\n  at {user_location()}"
        ) from None


def format_of(path: PathLike) -> str:
    """Return the ending of a path, which decides on the format.

    Raises:
        CheckpointError: it is no known one.
    """
    if isinstance(path, str | os.PathLike):
        suffix = Path(path).suffix.lower()
        if suffix in _READERS:
            return suffix
    raise CheckpointError(
        f"a file of weights ends in {' or '.join(_READERS)}, unlike {path!r}\n"
        f"  at {user_location()}"
    )


class _Arrays(Archive):
    """A dict of arrays, as if it were a file."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        for name, array in arrays.items():
            if isinstance(array, Node) or not hasattr(array, "__array__"):
                raise CheckpointError(
                    f"the dict to load from holds arrays, not {array!r} under {name!r}\n"
                    f"  at {user_location()}"
                )
        self._found = {name: np.asarray(array) for name, array in arrays.items()}
        self.path = Path("the dict")
        self.metadata = {}
        self.entries = {
            name: Entry(array.shape, array.dtype.name) for name, array in self._found.items()
        }

    def read(self, name: str) -> Array:
        return self._found[name]

    def close(self) -> None:
        pass


def _load_from(archive: Archive, savable: Any, strict: bool, convert: bool) -> Loaded:
    entries = archive.entries
    with sizes_learned(savable, {name: entry.shape for name, entry in entries.items()}):
        targets = named_parameters_of(savable)
        values = fitting_values(archive, entries, targets, strict=strict, convert=convert)
    assign_together(values)
    return Loaded(missing_of(entries, targets), missing_of(targets, entries))


def fitting_values(
    archive: Archive,
    entries: Mapping[str, Entry],
    targets: Mapping[str, Parameter],
    *,
    strict: bool = True,
    convert: bool = False,
) -> dict[Parameter, Array]:
    """Read what parameters are to be overwritten with; nothing is changed.

    Args:
        archive: where to read.
        entries: those of its arrays that are meant.
        targets: the parameters, by the same names.
        strict: as for `load`.
        convert: as for `load`.

    Raises:
        CheckpointError: the arrays do not fit, or are damaged.
    """
    check_fit(archive.path, entries, targets, strict=strict, convert=convert)
    return {
        parameter: converted(name, archive.read(name), np.dtype(parameter.type.element))
        for name, parameter in targets.items()
        if name in entries
    }
