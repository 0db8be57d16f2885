"""Whether threads share a kernel call, and in which pieces."""

from __future__ import annotations

from collections.abc import Mapping

from symgraph.dims import symbols
from symgraph.inspection.extents import value_of
from symgraph.inspection.rows import Row
from symgraph.inspection.text import formula
from symgraph.runtime.tables import GRAIN_WORK, grain_of

_MANY = 1 << 40


def sharing(row: Row, bound: Mapping[str, int], names: dict[str, str], threads: int) -> str:
    """Return how threads work on a call.

    Args:
        row: the call.
        bound: the extents whose values are known.
        names: what open extents are called.
        threads: how many there may be.
    """
    if threads < 2 or row.parallel == 1:
        return "one: " + ("no more are allowed" if threads < 2 else "there is no loop to share")
    extent, work = value_of(row.parallel, bound), value_of(row.work, bound)
    if extent is not None and work is not None:
        grain = grain_of(extent, work, threads * row.instruction.pieces)
        if not grain:
            return "one: the work is too small to share"
        return f"shared: {-(-extent // grain)} pieces of {grain} of {extent} iterations"
    loop = f"the {formula(row.parallel, names)} iterations of the outermost loop"
    threshold = _threshold(row, threads)
    if threshold is None:
        least = 2 * GRAIN_WORK
        return f"share {loop} where it pays: where {formula(row.work, names)} >= {least}"
    name, extent = threshold
    if extent >= _MANY:
        return "one: there is no loop to share"
    return f"share {loop} from {names.get(name, name)} = {extent} on"


def _threshold(row: Row, threads: int) -> tuple[str, int] | None:
    """Return the one extent that decides about threads and the least that brings them in."""
    involved = {*symbols(row.work), *symbols(row.parallel)}
    if len(involved) != 1:
        return None
    (name,) = involved
    low, high = 0, _MANY

    def pays(value: int) -> bool:
        extent, work = value_of(row.parallel, {name: value}), value_of(row.work, {name: value})
        return bool(extent and work and grain_of(extent, work, threads))

    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle + 1, high)
    return name, low
