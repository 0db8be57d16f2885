"""Means and spreads along axes: mean, var, std."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Extent, maximum, product
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, Axis, as_axes, as_int
from symgraph.ops.arithmetic import sqrt, square
from symgraph.ops.composite import as_float, composite, numpy_floats
from symgraph.ops.index_leaves import extent
from symgraph.ops.reduce import sum as sum_along
from symgraph.types import normalise_axes

Axes = int | tuple[int, ...] | None


def _count(x: Node, axis: Axes) -> Extent:
    return product(tuple(x.type.dims[i] for i in normalise_axes(axis, x.type.rank)))


def _size(x: Array, axis: Axes) -> int:
    return int(np.prod([x.shape[i] for i in normalise_axes(axis, x.ndim)], dtype=np.int64))


def _expand_mean(x: Node, axis: Axes, keepdims: bool) -> Node:
    return sum_along(as_float(x), axis, keepdims) / extent(_count(x, axis))


def _mean(x: Array, axis: Axes, keepdims: bool) -> Array:
    return np.asarray(np.sum(numpy_floats(x), axis=axis, keepdims=keepdims) / _size(x, axis))


def _expand_var(x: Node, axis: Axes, keepdims: bool, ddof: int) -> Node:
    x = as_float(x)
    centred = x - _expand_mean(x, axis, keepdims=True)
    return sum_along(square(centred), axis, keepdims) / extent(maximum(_count(x, axis) - ddof, 0))


def _var(x: Array, axis: Axes, keepdims: bool, ddof: int) -> Array:
    centred = x - _mean(x, axis, keepdims=True)
    total = np.sum(np.square(centred), axis=axis, keepdims=keepdims)
    return np.asarray(total / max(_size(x, axis) - ddof, 0))


def _samples(**attrs: Any) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            lambda rng: (rng.normal(size=(2, 3, 4)),),
            {"axis": axis, "keepdims": keepdims, **attrs},
            (0,),
        )
        for axis, keepdims in ((None, False), (-1, True), ((0, 2), False))
    )


MEAN = composite(
    "mean",
    expand=_expand_mean,
    numpy=_mean,
    samples=_samples(),
    doc="The arithmetic mean along axes; float64 for bools and integers, NaN of nothing.",
)
VAR = composite(
    "var",
    expand=_expand_var,
    numpy=_var,
    samples=_samples(ddof=0) + _samples(ddof=1),
    doc="The variance along axes: squared distances from the mean, over n - ddof.",
)
STD = composite(
    "std",
    expand=lambda x, axis, keepdims, ddof: sqrt(_expand_var(x, axis, keepdims, ddof)),
    numpy=lambda x, axis, keepdims, ddof: np.sqrt(_var(x, axis, keepdims, ddof)),
    samples=_samples(ddof=0),
    doc="The standard deviation along axes: the root of the variance.",
)


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Average along axes.

    Args:
        x: any array.
        axis: an axis, several, or None for all.
        keepdims: keep the reduced axes with extent 1.

    Returns:
        A node of the dtype of `x`; float64 for bools and integers.

    Raises:
        ShapeError: an axis is out of range or named twice.

    Example:
        >>> mean(Placeholder("x", ("N", 3), "float32"), axis=0)
        <mean: float32[3]>
    """
    return MEAN(x, axis=as_axes(axis), keepdims=bool(keepdims))


def var(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Node:
    """Give the variance along axes: the sum of squared distances from the mean over n - ddof.

    All else is as for `mean`.
    """
    return VAR(x, axis=as_axes(axis), keepdims=bool(keepdims), ddof=as_int(ddof, "ddof"))


def std(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Node:
    """Give the standard deviation along axes, the root of `var`; all else is as there."""
    return STD(x, axis=as_axes(axis), keepdims=bool(keepdims), ddof=as_int(ddof, "ddof"))
