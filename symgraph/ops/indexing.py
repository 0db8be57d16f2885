"""Indexing as NumPy defines it, and the functions that take and put elements by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.dims import Extent
from symgraph.errors import BoundsError, DTypeError
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, as_int
from symgraph.ops.composite import composite
from symgraph.ops.gather import GATHER
from symgraph.ops.index_key import Entry, completed, parse, python_key, span
from symgraph.ops.slices import SLICE
from symgraph.ops.taking import scatter_add, take_along_axis
from symgraph.ops.views import reshape, transpose
from symgraph.types import INTEGERS, Shape, broadcast_shapes

__all__ = ["index", "scatter_add", "take", "take_along_axis"]


def _expand_index(x: Node, *arrays: Node, key: tuple[Entry, ...]) -> Node:
    entries = completed(key, x.type.rank)
    taken = _spans_taken(x, [entry for entry in entries if entry != ("new",)])
    if not arrays:
        return _shaped(taken, _dims(entries, taken))
    for array in arrays:
        if array.type.element not in INTEGERS:
            raise DTypeError(f"an index is an integer, not {array.type.element}; see where()")
    return _index_arrays(taken, arrays, entries, _side_by_side(key))


def _spans_taken(x: Node, entries: list[Entry]) -> Node:
    """Return `x` cut to what ints and slices take, each int leaving an axis of extent 1."""
    spans = [span(entries[axis], extent, axis) for axis, extent in enumerate(x.type.dims)]
    starts, steps, lengths = (
        (tuple(part) for part in zip(*spans, strict=True)) if spans else ((),) * 3
    )
    if lengths == x.type.dims and all(step == 1 for step in steps):
        return x
    return SLICE(x, starts=starts, steps=steps, lengths=lengths)


def _shaped(x: Node, shape: Shape) -> Node:
    return x if x.type.dims == shape else reshape(x, shape)


def _dims(entries: Sequence[Entry], x: Node) -> Shape:
    """Return the extents that slices and new axes give; `x` has an axis for all other entries."""
    extents = iter(x.type.dims)
    shape: list[Extent] = []
    for entry in entries:
        extent = 1 if entry == ("new",) else next(extents)
        if entry[0] in ("slice", "new"):
            shape.append(extent)
    return tuple(shape)


def _index_arrays(
    x: Node, arrays: tuple[Node, ...], entries: list[Entry], side_by_side: bool
) -> Node:
    """Return `x`, cut by ints and slices already, at the index arrays."""
    positions = broadcast_shapes(array.type.dims for array in arrays)
    axes = [entry for entry in entries if entry != ("new",)]
    indexed = tuple(axis for axis, entry in enumerate(axes) if entry[0] == "array")
    others = tuple(axis for axis, entry in enumerate(axes) if entry[0] != "array")
    order = indexed + others
    leading = x if order == tuple(range(len(order))) else transpose(x, order)
    gathered = GATHER(leading, *arrays)
    rest = _dims(entries, x)
    # NumPy leaves their axes in place if they, and ints, stand together, else puts them first.
    place = next(i for i, entry in enumerate(entries) if _is_advanced(entry)) if side_by_side else 0
    block = len(positions)
    result = _shaped(gathered, (*positions, *rest))
    if place == 0 or block == 0:
        return result
    before = tuple(range(block, block + place))
    after = tuple(range(block + place, block + len(rest)))
    return transpose(result, (*before, *range(block), *after))


def _is_advanced(entry: Entry) -> bool:
    return entry[0] in ("array", "at")


def _side_by_side(key: tuple[Entry, ...]) -> bool:
    """Tell whether no slice, new axis or Ellipsis (even of no axes) parts the index arrays."""
    advanced = [i for i, entry in enumerate(key) if _is_advanced(entry)]
    return advanced[-1] - advanced[0] + 1 == len(advanced)


def _index(x: Array, *arrays: Array, key: tuple[Entry, ...]) -> Array:
    try:
        return np.asarray(x[python_key(key, arrays)])
    except IndexError as error:
        raise BoundsError(f"index: {error}") from None


INDEX = composite(
    "index",
    expand=_expand_index,
    numpy=_index,
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(4, 5, 3)),),
            {"key": (("at", -1), ("slice", None, None, -2), ("new",))},
            (0,),
        ),
        Sample(
            lambda rng: (rng.normal(size=(4, 5)),), {"key": (("rest",), ("slice", 1, -1, 1))}, (0,)
        ),
        Sample(
            lambda rng: (rng.normal(size=(4, 3)), np.array([0, 0, -1])),
            {"key": (("slice", 1, None, 1), ("array", 0))},
            (0,),
        ),
        Sample(
            lambda rng: (rng.normal(size=(4, 3, 2)), np.array([[0], [2]]), np.array([1, 0])),
            {"key": (("array", 0), ("slice", None, None, 1), ("array", 1))},
            (0,),
        ),
    ),
    doc="x[key] as in NumPy; the further operands are the index arrays of the key.",
)


def index(x: Operand, key: Any) -> Node:
    """Index an array as NumPy does: `x[key]`.

    Args:
        x: any array.
        key: ints, slices (steps of either sign, bounds may be symbolic extents), Ellipsis, None,
            integer arrays and integer nodes, or a tuple of these.

    Returns:
        A node of the dtype of `x`.

    Raises:
        GraphError: the key holds a mask or something else that is no index.
        BoundsError: an int is out of range; for index arrays, when called.
        ShapeError: there are more indices than axes.

    Example:
        >>> index(Placeholder("x", ("N", 3), "float32"), (slice(1, None), 0))
        <index: float32[max(N - 1, 0)]>
    """
    entries, arrays = parse(key)
    return INDEX(x, *arrays, key=entries)


def take(x: Operand, indices: Operand, axis: int | None = None) -> Node:
    """Take elements along an axis.

    Args:
        x: any array.
        indices: integers of any shape; negative ones count from the end.
        axis: the axis they index; None indexes all elements in C order.

    Returns:
        A node whose shape has that of `indices` in place of the axis.

    Raises:
        ShapeError: the axis is out of range.
        BoundsError: when called, with an index out of range.

    Example:
        >>> take(Placeholder("x", ("N", 3), "float32"), [0, 0, 2], axis=1)
        <index: float32[N, 3]>
    """
    chosen = np.asarray(indices) if isinstance(indices, int | Sequence) else indices
    if axis is None:
        return index(reshape(x, (-1,)), (chosen,))
    whole, axis = slice(None), as_int(axis, "an axis")
    if axis >= 0:
        return index(x, (*([whole] * axis), chosen))
    return index(x, (Ellipsis, chosen, *([whole] * (-axis - 1))))
