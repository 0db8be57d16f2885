"""Rearranging arrays; every function here is made of the core views, sums and `assemble`."""

from __future__ import annotations

import math

import numpy as np

from symgraph.dims import Extent, product
from symgraph.errors import ShapeError
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, ShapeLike, as_shape
from symgraph.ops.assume import assume_equal
from symgraph.ops.axes import expand_dims, moveaxis, squeeze, swapaxes
from symgraph.ops.composite import composite
from symgraph.ops.joining import concatenate, stack
from symgraph.ops.partition import pad, split
from symgraph.ops.reduce import sum as sum_along
from symgraph.ops.repetition import flip, repeat, tile
from symgraph.ops.views import broadcast_to, reshape, transpose

__all__ = [
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "flatten",
    "flip",
    "moveaxis",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "split",
    "squeeze",
    "stack",
    "sum_to",
    "swapaxes",
    "tile",
    "transpose",
]


def _expand_sum_to(x: Node, shape: tuple[Extent, ...]) -> Node:
    dims = x.type.dims
    added = len(dims) - len(shape)
    if added < 0:
        raise ShapeError(f"{len(dims)} axes cannot be summed to {len(shape)}")
    axes = list(range(added))
    for position, wanted in enumerate(shape, start=added):
        if wanted == 1 and dims[position] != 1:
            axes.append(position)
        else:
            assume_equal(
                dims[position], wanted, f"axis {position} has extent {dims[position]}, not {wanted}"
            )
    summed = sum_along(x, tuple(axes), keepdims=True) if axes else x
    return reshape(summed, shape) if summed.type.dims != shape else summed


def _sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    added = x.ndim - len(shape)
    kept = tuple(
        added + i for i, extent in enumerate(shape) if extent == 1 and x.shape[added + i] != 1
    )
    axes = (*range(added), *kept)
    return np.sum(x, axis=axes, keepdims=True).reshape(shape) if axes else x


SUM_TO = composite(
    "sum_to",
    expand=_expand_sum_to,
    numpy=_sum_to,
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 3, 4)),), {"shape": (3, 1)}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"shape": ()}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"shape": (2, 3)}, (0,)),
    ),
    doc="x summed over the axes along which `shape` would be broadcast to the shape of x.",
)


def sum_to(x: Operand, shape: ShapeLike) -> Node:
    """Sum an array to a shape that broadcasts to its own; the adjoint of `broadcast_to`.

    Args:
        x: any array.
        shape: the extents of the result.

    Returns:
        A node of `shape`.

    Raises:
        ShapeError: `shape` does not broadcast to the shape of `x`.

    Example:
        >>> sum_to(Placeholder("x", (2, 3), "float32"), (1, 3))
        <sum_to: float32[1, 3]>
    """
    return SUM_TO(x, shape=as_shape(shape))


def ravel(x: Operand) -> Node:
    """Give the elements of an array in C order along one axis; see `reshape`."""
    return reshape(x, (-1,))


def _expand_flatten(x: Node) -> Node:
    if not x.type.rank:
        raise ShapeError("x needs an axis, which stays as it is, and has none")
    return reshape(x, (x.type.dims[0], product(x.type.dims[1:])))


FLATTEN = composite(
    "flatten",
    expand=_expand_flatten,
    numpy=lambda x: np.reshape(x, (x.shape[0], math.prod(x.shape[1:]))),
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 3, 4)),), {}, (0,)),
        Sample(lambda rng: (rng.normal(size=(3,)),), {}, (0,)),
    ),
    doc="The elements of each x[i] along one axis.",
)


def flatten(x: Operand) -> Node:
    """Join all axes but the first, which counts the examples of a batch.

    Args:
        x: shape (N, ...).

    Returns:
        A node of shape (N, M), where M is the number of elements of one example.

    Raises:
        ShapeError: `x` has no axis.

    Example:
        >>> flatten(Placeholder("x", ("N", 3, 4, 4), "float32"))
        <flatten: float32[N, 48]>
    """
    return FLATTEN(x)
