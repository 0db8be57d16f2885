"""Adding, dropping and reordering axes: expand_dims, squeeze, swapaxes, moveaxis."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Dim
from symgraph.errors import ShapeError
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Axis, as_axes, as_int
from symgraph.ops.assume import assume_equal
from symgraph.ops.composite import composite
from symgraph.ops.views import TRANSPOSE, reshape, shape_text
from symgraph.types import normalise_axes, normalise_axis


def _expand_expand_dims(x: Node, axis: int | tuple[int, ...]) -> Node:
    added = axis if isinstance(axis, tuple) else (axis,)
    rank = x.type.rank + len(added)
    places = normalise_axes(added, rank)
    extents = iter(x.type.dims)
    return reshape(x, tuple(1 if i in places else next(extents) for i in range(rank)))


EXPAND_DIMS = composite(
    "expand_dims",
    expand=_expand_expand_dims,
    numpy=lambda x, axis: np.expand_dims(x, axis),
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"axis": -1}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"axis": (0, 2)}, (0,)),
    ),
    doc="x with new axes of extent 1, at these places of the result.",
)


def expand_dims(x: Operand, axis: Axis) -> Node:
    """Insert axes of extent 1.

    Args:
        x: any array.
        axis: where the new axes are in the result; negative ones count from its back.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: an axis is out of range or named twice.

    Example:
        >>> expand_dims(Placeholder("x", (2, 3), "float32"), -1)
        <expand_dims: float32[2, 3, 1]>
    """
    axes = as_axes(axis)
    if axes is None:
        raise ShapeError("expand_dims needs an axis")
    return EXPAND_DIMS(x, axis=axes)


def _expand_squeeze(x: Node, axis: int | tuple[int, ...] | None) -> Node:
    dims = x.type.dims
    if axis is None:
        if any(isinstance(extent, Dim) for extent in dims):
            raise ShapeError(
                f"which axes of shape {shape_text(dims)} have extent 1 differs from call to call; "
                "name the axes to drop"
            )
        return reshape(x, tuple(extent for extent in dims if extent != 1))
    axes = normalise_axes(axis, len(dims))
    for i in axes:
        assume_equal(dims[i], 1, f"axis {i} has extent {dims[i]}, so it cannot be dropped")
    return reshape(x, tuple(extent for i, extent in enumerate(dims) if i not in axes))


SQUEEZE = composite(
    "squeeze",
    expand=_expand_squeeze,
    numpy=lambda x, axis: np.squeeze(x, axis),
    samples=(
        Sample(lambda rng: (rng.normal(size=(1, 3, 1)),), {"axis": None}, (0,)),
        Sample(lambda rng: (rng.normal(size=(1, 3, 1)),), {"axis": -1}, (0,)),
    ),
    doc="x without axes of extent 1: those given, or all of them.",
)


def squeeze(x: Operand, axis: Axis = None) -> Node:
    """Drop axes of extent 1.

    Args:
        x: any array.
        axis: which ones; None drops all of extent 1, which then must be known for every axis.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: an axis is out of range or has another extent, or axis is None and an extent
            differs from call to call, so that which axes are dropped would too.

    Example:
        >>> squeeze(Placeholder("x", ("N", 1), "float32"))
        <squeeze: float32[N]>
    """
    return SQUEEZE(x, axis=as_axes(axis))


def _expand_swapaxes(x: Node, first: int, second: int) -> Node:
    one, other = normalise_axis(first, x.type.rank), normalise_axis(second, x.type.rank)
    order = list(range(x.type.rank))
    order[one], order[other] = other, one
    return TRANSPOSE(x, axes=tuple(order))


SWAPAXES = composite(
    "swapaxes",
    expand=_expand_swapaxes,
    numpy=lambda x, first, second: np.swapaxes(x, first, second),
    samples=(Sample(lambda rng: (rng.normal(size=(2, 3, 4)),), {"first": 0, "second": -1}, (0,)),),
    doc="x with two axes exchanged.",
)


def swapaxes(x: Operand, axis1: int, axis2: int) -> Node:
    """Exchange two axes.

    Args:
        x: any array.
        axis1: an axis; a negative one counts from the back.
        axis2: another one.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: an axis is out of range.

    Example:
        >>> swapaxes(Placeholder("x", ("N", 3), "float32"), 0, 1)
        <swapaxes: float32[3, N]>
    """
    return SWAPAXES(x, first=as_int(axis1, "an axis"), second=as_int(axis2, "an axis"))


def _expand_moveaxis(x: Node, source: tuple[int, ...], destination: tuple[int, ...]) -> Node:
    rank = x.type.rank
    if len(source) != len(destination):
        raise ShapeError(f"{len(source)} axes cannot move to {len(destination)} places")
    for axes in (source, destination):
        normalise_axes(axes, rank)
    moved = [normalise_axis(axis, rank) for axis in source]
    order = [axis for axis in range(rank) if axis not in moved]
    for place, axis in sorted(
        (normalise_axis(place, rank), axis) for place, axis in zip(destination, moved, strict=True)
    ):
        order.insert(place, axis)
    return TRANSPOSE(x, axes=tuple(order))


MOVEAXIS = composite(
    "moveaxis",
    expand=_expand_moveaxis,
    numpy=lambda x, source, destination: np.moveaxis(x, source, destination),
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(2, 3, 4, 1)),),
            {"source": (0, -1), "destination": (2, 0)},
            (0,),
        ),
    ),
    doc="x with some axes moved to other places; the rest keep their order.",
)


def moveaxis(x: Operand, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Node:
    """Move axes to other places; the others keep their order.

    Args:
        x: any array.
        source: an axis or several.
        destination: where each of them is in the result.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: an axis is out of range or named twice, or the counts differ.

    Example:
        >>> moveaxis(Placeholder("x", (2, 3, 4), "float32"), 0, -1)
        <moveaxis: float32[3, 4, 2]>
    """
    return MOVEAXIS(x, source=_tuple(source), destination=_tuple(destination))


def _tuple(axis: Any) -> tuple[int, ...]:
    axes = as_axes(axis)
    return axes if isinstance(axes, tuple) else (as_int(axes, "an axis"),)
