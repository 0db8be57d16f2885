"""How reports write numbers, places and tables."""

from __future__ import annotations

import os
from collections.abc import Sequence

from symgraph.dims import Dim, Extent, substitute, symbol
from symgraph.location import SourceLoc
from symgraph.printer import printable

_DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
LONGEST_CODE = 72


def scaled(number: float, unit: str) -> str:
    """Return a number with a decimal prefix, such as `1.5 MB`.

    Args:
        number: what to show.
        unit: what it counts; may be empty.

    Example:
        >>> scaled(1_500_000, "B")
        '1.5 MB'
    """
    for size, prefix in _DECIMAL:
        if abs(number) >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}".rstrip()


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def formula(extent: Extent, names: dict[str, str]) -> str:
    """Return an extent as a formula, in which open extents carry the names of `names`."""
    if isinstance(extent, Dim):
        extent = substitute(extent, lambda one: symbol(names.get(one.name, one.name)))
    return str(extent)


def place(loc: SourceLoc | str) -> str:
    """Return `file:line`, the file as seen from the present folder where it lies inside."""
    text = f"{loc.file}:{loc.line}" if isinstance(loc, SourceLoc) else loc
    file, _, line = text.rpartition(":")
    inside = file.startswith(os.getcwd() + os.sep)
    return f"{os.path.relpath(file) if inside else file}:{line}"


def code_of(loc: SourceLoc) -> str:
    """Return the user's line, on one line and cut where it is too long."""
    return printable(loc.code, LONGEST_CODE)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> str:
    """Return rows under a header, in columns that are aligned to the right, or left where named.

    Args:
        header: a title for each column.
        rows: cells, as many in each row as there are titles.
        left: the columns whose text starts at the left.
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def aligned(line: list[str]) -> str:
        cells = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(map(aligned, lines))
