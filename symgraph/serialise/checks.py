"""Whether what a file holds fits what it is loaded into, and conversions of dtypes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from symgraph.errors import CheckpointError
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.node import shown
from symgraph.serialise.archive import Array, Entry

LISTED = 12
"""Problems of one kind that a message lists."""
_OTHER_NAMES = "\n  load what is on both sides with strict=False, or rename what load_arrays gives"
_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def check_fit(
    source: Any,
    entries: Mapping[str, Entry],
    targets: Mapping[str, Parameter],
    *,
    strict: bool,
    convert: bool,
) -> None:
    """Compare names, shapes and dtypes; nothing is read or assigned.

    Args:
        source: what messages call the origin of the arrays.
        entries: what there is.
        targets: what is wanted.
        strict: whether every name must be on both sides.
        convert: whether floats may become other floats, and integers other integers.

    Raises:
        CheckpointError: something does not fit; the message lists all that does not.
    """
    problems: list[str] = []
    if strict:
        missing = (
            f"{shown(name)} ({_type_of(targets[name])})" for name in missing_of(entries, targets)
        )
        extra = (f"{shown(name)} ({entries[name]})" for name in missing_of(targets, entries))
        problems += _listed("missing in the file", missing)
        problems += _listed("in the file, but not wanted", extra)
    hint = _OTHER_NAMES if problems else ""
    common = [name for name in targets if name in entries]
    if not strict and not common:
        problems.append("no name is the same on both sides")
    wrong = (_mismatch(name, entries[name], targets[name], convert) for name in common)
    problems += _listed("of another type", [text for text in wrong if text])
    if problems:
        text = "\n".join(f"  {line}" for line in problems)
        raise CheckpointError(
            f"{source} does not fit; nothing was loaded\n{text}\n  at {user_location()}{hint}"
        )


def missing_of(there: Collection[str], wanted: Iterable[str]) -> list[str]:
    """Return the names of `wanted` that are not in `there`, in their order."""
    return [name for name in wanted if name not in there]


def _listed(title: str, found: Iterable[str]) -> list[str]:
    lines = list(found)
    if not lines:
        return []
    rest = [f"  ... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [f"{title}:", *(f"  {line}" for line in lines[:LISTED]), *rest]


def _mismatch(name: str, entry: Entry, parameter: Parameter, convert: bool) -> str:
    """Return how an entry and its target differ, '' where they do not."""
    wanted = _type_of(parameter)
    if entry.dtype == "object":
        return f"{shown(name)} holds pickled Python objects, which are never loaded"
    same = entry.dtype == wanted.dtype
    if entry.shape == wanted.shape and (same or (convert and _convertible(entry, wanted))):
        return ""
    hint = ""
    if entry.shape == wanted.shape and _convertible(entry, wanted):
        hint = "; pass convert=True to convert it"
    return f"{shown(name)} is {entry}, wanted is {wanted} (made at {parameter.loc}){hint}"


def _type_of(parameter: Parameter) -> Entry:
    return Entry(concrete(parameter), parameter.type.element)


def concrete(parameter: Parameter) -> tuple[int, ...]:
    """Return the shape of a parameter; asking for `storage` would draw its initial numbers."""
    return tuple(extent for extent in parameter.type.dims if isinstance(extent, int))


def _convertible(entry: Entry, wanted: Entry) -> bool:
    kinds = (_FLOATS, _INTEGERS)
    return any(entry.dtype in kind and wanted.dtype in kind for kind in kinds)


def converted(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return `array` in another dtype of its kind.

    Raises:
        CheckpointError: a number is too large for it.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    if dtype.kind == "f":
        lost = not np.array_equal(np.isinf(result), np.isinf(array))
    else:
        lost = not np.array_equal(result, array)
    if lost:
        raise CheckpointError(
            f"{shown(name)} holds numbers that are too large for {dtype}; nothing was loaded\n"
            f"  at {user_location()}"
        )
    return result
