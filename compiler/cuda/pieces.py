"""How an axis is cut where there are too few rows to keep a device busy.

Where it is cut depends on extents alone, so results do not depend on the device.
"""

from __future__ import annotations

from typing import NamedTuple

from symgraph.dims import Extent, floor_divide, maximum, product
from symgraph.types import Shape

ROW_PIECES = 512
"""Pieces of rows, each walked by a block: some four for each processor of a large device."""
COLUMN_PIECES = 1 << 16
"""Pieces of columns, each walked by a thread."""
MOST_OF_COLUMN = 512
"""Pieces of one column, as another thread walks over their results."""


class Pieces(NamedTuple):
    """An array seen as (outer, length, inner), with its middle axis in pieces.

    Args:
        outer: product of the extents before the axis.
        length: extent of the axis.
        inner: product of the extents behind it.
        piece: elements of the axis in each piece, but for the last.
        number: how many pieces there are; one, if the rows are many.
    """

    outer: Extent
    length: Extent
    inner: Extent
    piece: Extent
    number: Extent

    @property
    def partial(self) -> Shape:
        """Return the shape of one number for each piece."""
        return (self.outer, self.number, self.inner)


def pieces_of(dims: Shape, axis: int, of_row: int, of_column: int) -> Pieces:
    """Return how an axis is cut.

    Args:
        dims: of the array.
        axis: a non-negative number.
        of_row: the least that a piece of a row may have, of which it is a multiple.
        of_column: the same of a column, where inner is not 1.
    """
    outer, length, inner = product(dims[:axis]), dims[axis], product(dims[axis + 1 :])
    total = outer * length * inner
    smallest = of_row if inner == 1 else of_column
    if isinstance(length, int) and length <= smallest:
        return Pieces(outer, length, inner, smallest, 1)
    if inner == 1:
        quanta = _quotient(total, smallest * ROW_PIECES)
    else:
        quanta = _quotient(total, smallest * COLUMN_PIECES)
        quanta = maximum(quanta, _quotient(length, smallest * MOST_OF_COLUMN))
    piece = maximum(quanta, 1) * smallest
    return Pieces(outer, length, inner, piece, _quotient(length, piece))


def _quotient(extent: Extent, divisor: Extent) -> Extent:
    """Return a quotient, rounded up."""
    return floor_divide(extent + (divisor - 1), divisor)
