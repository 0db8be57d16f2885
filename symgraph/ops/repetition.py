"""Reversing and repeating: flip, tile, repeat."""

from __future__ import annotations

import numpy as np

from symgraph.dims import Extent
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, Axis, ShapeLike, as_axes, as_extent, as_int, as_shape
from symgraph.ops.assume import assume_at_least
from symgraph.ops.composite import composite
from symgraph.ops.slices import SLICE
from symgraph.ops.views import broadcast_to, reshape
from symgraph.types import Shape, normalise_axes, normalise_axis


def _expand_flip(x: Node, axis: int | tuple[int, ...] | None) -> Node:
    dims = x.type.dims
    axes = normalise_axes(axis, len(dims))
    return SLICE(
        x,
        starts=tuple(extent - 1 if i in axes else 0 for i, extent in enumerate(dims)),
        steps=tuple(-1 if i in axes else 1 for i in range(len(dims))),
        lengths=dims,
    )


FLIP = composite(
    "flip",
    expand=_expand_flip,
    numpy=lambda x, axis: np.flip(x, axis),
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"axis": -1}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"axis": None}, (0,)),
    ),
    doc="x with the order of the elements reversed along axes.",
)


def flip(x: Operand, axis: Axis = None) -> Node:
    """Reverse the order of the elements along axes.

    Args:
        x: any array.
        axis: an axis, several, or None for all.

    Returns:
        A node of the type of `x`.

    Raises:
        ShapeError: an axis is out of range or named twice.

    Example:
        >>> flip(Placeholder("x", ("N", 3), "float32"), 0)
        <flip: float32[N, 3]>
    """
    return FLIP(x, axis=as_axes(axis))


def _require_counts(counts: Shape) -> None:
    for count in counts:
        assume_at_least(count, 0, f"a number of repetitions is negative: {count}")


def _expand_tile(x: Node, reps: Shape) -> Node:
    _require_counts(reps)
    dims = x.type.dims
    rank = max(len(dims), len(reps))
    dims = (1,) * (rank - len(dims)) + dims
    counts = (1,) * (rank - len(reps)) + reps
    pairs = tuple(zip(counts, dims, strict=True))
    split = reshape(x, tuple(extent for dim in dims for extent in (1, dim)))
    repeated = broadcast_to(split, tuple(extent for pair in pairs for extent in pair))
    return reshape(repeated, tuple(count * dim for count, dim in pairs))


TILE = composite(
    "tile",
    expand=_expand_tile,
    numpy=lambda x, reps: np.tile(x, reps),
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"reps": (2, 1, 2)}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"reps": (2,)}, (0,)),
    ),
    doc="Copies of x side by side, reps[i] of them along axis i.",
)


def tile(x: Operand, reps: ShapeLike) -> Node:
    """Lay copies of an array side by side.

    Args:
        x: any array.
        reps: how many copies along each axis; the shorter of `reps` and the shape gets leading 1s.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: a count is negative.

    Example:
        >>> tile(Placeholder("x", ("N", 3), "float32"), (2, 1))
        <tile: float32[2*N, 3]>
    """
    return TILE(x, reps=as_shape(reps))


def _expand_repeat(x: Node, repeats: Extent, axis: int) -> Node:
    _require_counts((repeats,))
    dims = x.type.dims
    axis = normalise_axis(axis, len(dims))
    before, extent, after = dims[:axis], dims[axis], dims[axis + 1 :]
    split = reshape(x, (*before, extent, 1, *after))
    repeated = broadcast_to(split, (*before, extent, repeats, *after))
    return reshape(repeated, (*before, extent * repeats, *after))


def _repeat(x: Array, repeats: int, axis: int) -> Array:
    return np.repeat(x, repeats, axis)


REPEAT = composite(
    "repeat",
    expand=_expand_repeat,
    numpy=_repeat,
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"repeats": 2, "axis": -1}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"repeats": 3, "axis": 0}, (0,)),
    ),
    doc="Every element of an axis several times in a row.",
)


def repeat(x: Operand, repeats: Extent, axis: int | None = None) -> Node:
    """Repeat every element of an axis several times in a row.

    Args:
        x: any array.
        repeats: how many times, the same for all elements.
        axis: the axis; None goes through all elements in C order.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: `repeats` is negative, or the axis is out of range.

    Example:
        >>> repeat(Placeholder("x", ("N", 3), "float32"), 2, axis=0)
        <repeat: float32[2*N, 3]>
    """
    count = as_extent(repeats)
    if axis is None:
        return REPEAT(reshape(x, (-1,)), repeats=count, axis=0)
    return REPEAT(x, repeats=count, axis=as_int(axis, "an axis"))
