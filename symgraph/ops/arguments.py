"""Normalising what users pass: shapes and axes as plain tuples of ints and symbolic extents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.dims import Dim, Extent, symbol
from symgraph.errors import GraphError, ShapeError
from symgraph.location import user_location
from symgraph.node import Node, describe
from symgraph.types import Shape

Array = np.ndarray[Any, Any]
ShapeLike = int | Dim | Sequence[Any]
Axis = int | Sequence[int] | None


def as_int(value: object, what: str) -> int:
    """Return `value` as a Python int.

    Raises:
        ShapeError: it is none.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    raise ShapeError(f"{what} must be an int, not {value!r}\n  at {user_location()}")


def as_extent(value: object) -> Extent:
    """Return one entry of a shape: an int (-1 included) or a symbolic extent.

    Raises:
        GraphError: it is a node, whose value is not known when types are inferred.
        ShapeError: it is no extent.
    """
    if isinstance(value, Dim):
        return value
    if isinstance(value, str) and value.isidentifier():
        return symbol(value)
    if isinstance(value, Node):
        raise GraphError(
            f"a shape is made of ints and symbolic extents such as x.shape[0], not of "
            f"{describe(value)}\n  at {user_location()}"
        )
    return as_int(value, "an extent")


def as_shape(shape: ShapeLike) -> Shape:
    """Return `shape` as a tuple; a single extent is a shape of one axis."""
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        return tuple(as_extent(entry) for entry in shape)
    return (as_extent(shape),)


def as_axes(axis: Axis) -> int | tuple[int, ...] | None:
    """Return `axis` as an int, a tuple of ints, or None."""
    if axis is None:
        return None
    if isinstance(axis, Sequence):
        return tuple(as_int(entry, "an axis") for entry in axis)
    return as_int(axis, "an axis")
