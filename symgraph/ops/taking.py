"""Taking one element for each place of the other axes, and adding at given places."""

from __future__ import annotations

import numpy as np

from symgraph.dims import Extent
from symgraph.errors import BoundsError, ShapeError
from symgraph.leaves import Constant
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, as_int
from symgraph.ops.composite import composite
from symgraph.ops.gather import GATHER, SCATTER_ADD
from symgraph.ops.index_leaves import arange
from symgraph.ops.views import broadcast_to, reshape
from symgraph.types import broadcast_shapes, normalise_axis


def _expand_take_along(x: Node, indices: Node, axis: int) -> Node:
    rank = x.type.rank
    axis = normalise_axis(axis, rank)
    if indices.type.rank != rank:
        raise ShapeError(f"the indices have {indices.type.rank} axes, the array has {rank}")
    places = [
        indices if i == axis else _along(i, rank, extent) for i, extent in enumerate(x.type.dims)
    ]
    return GATHER(x, *places)


def _along(axis: int, rank: int, extent: Extent) -> Node:
    """Return the positions of one axis, shaped to broadcast with those of the others."""
    if extent == 1:
        return Constant(np.zeros((1,) * rank, np.int64))
    return reshape(arange(extent), tuple(-1 if i == axis else 1 for i in range(rank)))


TAKE_ALONG_AXIS = composite(
    "take_along_axis",
    expand=_expand_take_along,
    numpy=lambda x, indices, axis: np.take_along_axis(x, indices, axis),
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(3, 4)), rng.integers(-4, 4, (3, 2))), {"axis": -1}, (0,)
        ),
        Sample(
            lambda rng: (rng.normal(size=(3, 4)), rng.integers(0, 3, (1, 4))), {"axis": 0}, (0,)
        ),
    ),
    doc="x at one index along an axis for each place along the others.",
)


def take_along_axis(x: Operand, indices: Operand, axis: int | None = -1) -> Node:
    """Take elements along an axis, with indices of their own at every place of the other axes.

    Args:
        x: any array.
        indices: integers of the rank of `x`; the other axes broadcast with those of `x`.
        axis: the axis they index; None goes through all elements in C order.

    Returns:
        A node of the dtype of `x` and the shape of `indices`, broadcast.

    Raises:
        ShapeError: ranks differ, or the axis is out of range.
        BoundsError: when called, with an index out of range.

    Example:
        >>> x, i = Placeholder("x", ("N", 3), "float32"), Placeholder("i", ("N", 1), "int64")
        >>> take_along_axis(x, i, axis=1)
        <take_along_axis: float32[N, 1]>
    """
    if axis is None:
        return TAKE_ALONG_AXIS(reshape(x, (-1,)), indices, axis=0)
    return TAKE_ALONG_AXIS(x, indices, axis=as_int(axis, "an axis"))


def _expand_add_at(x: Node, updates: Node, *indices: Node) -> Node:
    positions = broadcast_shapes(entry.type.dims for entry in indices)
    shape = (*positions, *x.type.dims[len(indices) :])
    spread = updates if updates.type.dims == shape else broadcast_to(updates, shape)
    return x + SCATTER_ADD(spread, *indices, shape=x.type.dims)


def _add_at(x: Array, updates: Array, *indices: Array) -> Array:
    result = x.astype(np.result_type(x, updates))
    try:
        np.add.at(result, indices, updates)
    except IndexError as error:
        raise BoundsError(f"scatter_add: {error}") from None
    return result


ADD_AT = composite(
    "add_at",
    expand=_expand_add_at,
    numpy=_add_at,
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(4, 3)), rng.normal(size=3), np.array([1, 1, -1])),
            {},
            (0, 1),
        ),
    ),
    doc="x with the updates added at index arrays for the leading axes; repeated places add up.",
)


def scatter_add(x: Operand, indices: Operand | tuple[Operand, ...], updates: Operand) -> Node:
    """Add updates to an array at given places, as NumPy's `np.add.at` but without changing `x`.

    Args:
        x: any array.
        indices: integers for the first axis, or a tuple of them for the leading axes.
        updates: broadcasts to the shape of `x[indices]`; several for one place add up.

    Returns:
        A node of the shape of `x`.

    Raises:
        DTypeError: an index is no integer.
        ShapeError: shapes do not fit.
        BoundsError: when called, with an index out of range.

    Example:
        >>> scatter_add(Placeholder("x", ("N",), "float32"), [0, 0, 2], 1.0)
        <add_at: float32[N]>
    """
    entries = indices if isinstance(indices, tuple) else (indices,)
    return ADD_AT(x, updates, *entries)
