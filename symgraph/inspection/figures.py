"""What instructions move and compute, as formulas of the extents and as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgraph.dims import Extent
from symgraph.inspection.extents import value_of
from symgraph.inspection.nesting import Loop
from symgraph.inspection.rows import Row
from symgraph.inspection.text import formula, scaled

Bound = Mapping[str, int]

_LONGEST_FORMULA = 100


def moved(row: Row, bound: Bound, names: dict[str, str]) -> str:
    """Return what one run of a call moves and computes.

    Args:
        row: the call.
        bound: the extents whose values are known.
        names: what open extents are called.
    """
    parts = [
        f"reads {_figure(row.read, 'B', bound, names)}",
        f"writes {_figure(row.written, 'B', bound, names)}",
    ]
    if row.operations != 0:
        parts.append(f"computes {_figure(row.operations, 'FLOP', bound, names)}")
    return ", ".join(parts)


def moved_in_all(row: Row, bound: Bound, names: dict[str, str]) -> str:
    """Return how often the loops around a call repeat it, and what all its runs move."""
    count = row.repetitions
    if count is None:
        return "as many as the loop takes"
    parts = [
        f"{formula(count, names)}, in which it moves "
        f"{_figure(count * (row.read + row.written), 'B', bound, names)}"
    ]
    if row.operations != 0:
        parts.append(f"computes {_figure(count * row.operations, 'FLOP', bound, names)}")
    return " and ".join(parts)


def totals(rows: Sequence[Row], bound: Bound, names: dict[str, str]) -> str:
    """Return what one call moves and computes, each loop as often as it is known to run."""
    read: Extent = 0
    written: Extent = 0
    operations: Extent = 0
    notes = []
    for row in rows:
        count = row.repetitions
        if count is None and row.is_call:
            notes = ["loops that only data end counted as one step"]
        read = read + (1 if count is None else count) * row.read
        written = written + (1 if count is None else count) * row.written
        operations = operations + (1 if count is None else count) * row.operations
    parts = [
        f"reads {_short(read, 'B', bound, names)}",
        f"writes {_short(written, 'B', bound, names)}",
        f"computes {_short(operations, 'FLOP', bound, names)}",
    ]
    if any(row.title == "cond" for row in rows):
        notes.append("both branches of conditions counted")
    return f"in all it {', '.join(parts)}" + (f" ({'; '.join(notes)})" if notes else "")


def loop_text(loop: Loop, names: dict[str, str]) -> str:
    """Return which instructions a loop repeats, and how often."""
    body = f"#{loop.first + 1} to #{loop.last - 1}"
    order = ", the last row first" if loop.is_reversed else ""
    if loop.steps is not None:
        steps = formula(loop.steps, names)
        return f"{steps} {'step' if loop.steps == 1 else 'steps'} of {body}{order}"
    return f"steps of {body}, as many as data decide{order}"


def _short(extent: Extent, unit: str, bound: Bound, names: dict[str, str]) -> str:
    """Return a figure, only as a number where that is known."""
    value = value_of(extent, bound)
    if value is not None:
        return scaled(value, unit)
    text = formula(extent, names)
    return f"{text} {unit}" if len(text) <= _LONGEST_FORMULA else f"a polynomial of {unit}"


def _figure(extent: Extent, unit: str, bound: Bound, names: dict[str, str]) -> str:
    text = formula(extent, names)
    value = value_of(extent, bound)
    if isinstance(extent, int) or value is None:
        return scaled(extent, unit) if isinstance(extent, int) else f"{text} {unit}"
    return f"{text} {unit} = {scaled(value, unit)}"
