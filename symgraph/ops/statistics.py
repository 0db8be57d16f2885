"""Means and spreads, and the stable log-sum-exp family: logsumexp, softmax, log_softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Extent, maximum, product
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arithmetic import sqrt, square
from symgraph.ops.arguments import Array, Axis, as_axes, as_int
from symgraph.ops.comparison import isfinite, where
from symgraph.ops.composite import as_float, composite
from symgraph.ops.identity import stop_gradient
from symgraph.ops.index_leaves import extent
from symgraph.ops.reduce import max as max_along
from symgraph.ops.reduce import sum as sum_along
from symgraph.ops.transcendental import exp, log
from symgraph.ops.views import reshape
from symgraph.types import normalise_axes

Axes = int | tuple[int, ...] | None


def _count(x: Node, axis: Axes) -> Extent:
    return product(tuple(x.type.dims[i] for i in normalise_axes(axis, x.type.rank)))


def _size(x: Array, axis: Axes) -> int:
    return int(np.prod([x.shape[i] for i in normalise_axes(axis, x.ndim)], dtype=np.int64))


def _expand_mean(x: Node, axis: Axes, keepdims: bool) -> Node:
    return sum_along(x, axis, keepdims) / extent(_count(x, axis))


def _mean(x: Array, axis: Axes, keepdims: bool) -> Array:
    return np.asarray(np.sum(x, axis=axis, keepdims=keepdims) / _size(x, axis))


def _expand_var(x: Node, axis: Axes, keepdims: bool, ddof: int) -> Node:
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


def _shift(x: Node, axis: Axes) -> Node:
    """Return the largest elements, for subtraction before exp; 0 where they are not finite.

    Results do not depend on the shift, hence nor do derivatives.
    """
    largest = max_along(x, axis, keepdims=True)
    return stop_gradient(where(isfinite(largest), largest, 0))


def _expand_logsumexp(x: Node, axis: Axes, keepdims: bool) -> Node:
    x = as_float(x)
    shift = _shift(x, axis)
    total = log(sum_along(exp(x - shift), axis, keepdims=True)) + shift
    return total if keepdims else reshape(total, sum_along(x, axis).type.dims)


def _logsumexp(x: Array, axis: Axes, keepdims: bool) -> Array:
    x = _floats(x)
    largest = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0)
    total = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else np.asarray(np.squeeze(total, normalise_axes(axis, x.ndim)))


def _floats(x: Array) -> Array:
    return x if x.dtype.kind == "f" else x.astype(np.float64)


LOGSUMEXP = composite(
    "logsumexp",
    expand=_expand_logsumexp,
    numpy=_logsumexp,
    samples=_samples(),
    doc="log(sum(exp(x))) along axes, without overflow: -inf only of nothing but -inf.",
)


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Give log(sum(exp(x))) along axes, without overflow.

    Args:
        x: any array.
        axis: an axis, several, or None for all.
        keepdims: keep the reduced axes with extent 1.

    Returns:
        A node of the dtype of `x`; float64 for bools and integers.

    Raises:
        ShapeError: an axis is out of range, named twice, or empty.

    Example:
        >>> logsumexp(Placeholder("x", ("N", 3), "float32"), axis=-1)
        <logsumexp: float32[N]>
    """
    return LOGSUMEXP(x, axis=as_axes(axis), keepdims=bool(keepdims))


def _expand_softmax(x: Node, axis: int | tuple[int, ...]) -> Node:
    x = as_float(x)
    powers = exp(x - _shift(x, axis))
    return powers / sum_along(powers, axis, keepdims=True)


def _softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    x = _floats(x)
    largest = np.max(x, axis=axis, keepdims=True)
    powers = np.exp(x - np.where(np.isfinite(largest), largest, 0))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def _softmax_gradient(g: Node, y: Node, x: Node, *, axis: Any) -> tuple[Node]:
    weighted = g * y
    return (weighted - y * sum_along(weighted, axis, keepdims=True),)


def _expand_log_softmax(x: Node, axis: int | tuple[int, ...]) -> Node:
    x = as_float(x)
    shifted = x - _shift(x, axis)
    return shifted - log(sum_along(exp(shifted), axis, keepdims=True))


def _log_softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    x = _floats(x)
    largest = np.max(x, axis=axis, keepdims=True)
    shifted = x - np.where(np.isfinite(largest), largest, 0)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _log_softmax_gradient(g: Node, y: Node, x: Node, *, axis: Any) -> tuple[Node]:
    return (g - exp(y) * sum_along(g, axis, keepdims=True),)


_ROWS = tuple(
    Sample(lambda rng: (rng.normal(size=(3, 4)),), {"axis": axis}, (0,)) for axis in (-1, 0)
)
SOFTMAX = composite(
    "softmax",
    expand=_expand_softmax,
    numpy=_softmax,
    grad=_softmax_gradient,
    samples=_ROWS,
    doc="exp(x) / sum(exp(x)) along an axis, without overflow.",
)
LOG_SOFTMAX = composite(
    "log_softmax",
    expand=_expand_log_softmax,
    numpy=_log_softmax,
    grad=_log_softmax_gradient,
    samples=_ROWS,
    doc="The logarithm of softmax along an axis, exact where softmax underflows.",
)


def softmax(x: Operand, axis: int = -1) -> Node:
    """Turn scores into positive numbers that sum to 1 along an axis.

    Args:
        x: any array.
        axis: the axis of the classes.

    Returns:
        A node of the shape of `x`, of its dtype; float64 for bools and integers.

    Raises:
        ShapeError: the axis is out of range or empty.

    Example:
        >>> softmax(Placeholder("x", ("N", 10), "float32"))
        <softmax: float32[N, 10]>
    """
    return SOFTMAX(x, axis=as_axes(axis))


def log_softmax(x: Operand, axis: int = -1) -> Node:
    """Give the logarithm of `softmax`, exact where that underflows; all else is as there."""
    return LOG_SOFTMAX(x, axis=as_axes(axis))
