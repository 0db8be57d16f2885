"""Matrix products of rows that lie one behind another, as cuBLAS computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from symgraph.runtime.arena import ITEM_BYTES
from symgraph.runtime.cuda.cublas import Matrices

MOST_MATRICES = 65535
"""What one call takes of a stack: not more than blocks along the z axis of a grid."""


class Operand(NamedTuple):
    """A stack of matrices in device memory.

    Args:
        address: of the first one.
        leading: elements from one row to the next, whose elements are neighbours.
        step: elements from one matrix to the next; 0 where there is one for all.
        transposed: whether the columns are what lies so, not the rows.
    """

    address: int
    leading: int
    step: int = 0
    transposed: bool = False


def operand(
    address: int, shape: tuple[int, int], strides: tuple[int, int], step: int
) -> Operand | None:
    """Return how cuBLAS reads a stack of matrices, None if it cannot.

    Args:
        address: of the first element.
        shape: rows and columns.
        strides: from one row, and from one column, to the next.
        step: from one matrix to the next.
    """
    (rows, columns), (down, across) = shape, strides
    if (across == 1 or columns <= 1) and (down >= max(columns, 1) or rows <= 1):
        return Operand(address, down if rows > 1 else max(columns, 1), step)
    if (down == 1 or rows <= 1) and (across >= max(rows, 1) or columns <= 1):
        return Operand(address, across if columns > 1 else max(rows, 1), step, transposed=True)
    return None


def multiply(
    device: Any,
    options: Mapping[str, Any],
    extents: tuple[int, int, int, int],
    left: Operand,
    right: Operand,
    result: Operand,
    beta: float = 0.0,
) -> None:
    """Compute result = left @ right + beta * result for each matrix of a stack.

    Args:
        device: where.
        options: the `dtype`, and the `precision` of float32 factors.
        extents: rows, columns, depth and count.
        left: the first factor.
        right: the second one.
        result: what is written; not transposed.
        beta: 0, or 1 to add to what is there.
    """
    rows, columns, depth, count = extents
    if min(rows, columns, count) == 0:
        return
    if depth == 0:
        if beta == 0.0:
            _clear(device, options["dtype"], (rows, columns, count), result)
        return
    if count > 1 and _continues(rows, left, result) and right.step == 0:
        rows, count = rows * count, 1
    dtype, precision = options["dtype"], options["precision"]
    for start in range(0, count, MOST_MATRICES):
        # To cuBLAS rows are columns, so it sees all three matrices transposed.
        first, second, product = (
            Matrices(entry.address + start * entry.step * ITEM_BYTES[dtype], *entry[1:])
            for entry in (right, left, result)
        )
        several = (columns, rows, depth, min(count - start, MOST_MATRICES))
        device.cublas.gemm_strided_batched(
            dtype, precision, several, (first, second), product, beta
        )


def _continues(rows: int, left: Operand, result: Operand) -> bool:
    """Tell whether the rows of each matrix go on with those of the next, so that all are one."""
    return not left.transposed and all(
        entry.step == rows * entry.leading for entry in (left, result)
    )


def _clear(device: Any, dtype: str, extents: tuple[int, int, int], result: Operand) -> None:
    rows, columns, count = extents
    item = ITEM_BYTES[dtype]
    whole = result.leading == columns and (count == 1 or result.step == rows * columns)
    if whole:
        device.fill(result.address, rows * columns * count * item)
        return
    for number in range(count):
        for row in range(rows):
            start = result.address + (number * result.step + row * result.leading) * item
            device.fill(start, columns * item)
