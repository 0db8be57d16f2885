"""The log-sum-exp family, safe from overflow: logsumexp, softmax, log_softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, Axis, as_axes
from symgraph.ops.comparison import isfinite, not_equal, where
from symgraph.ops.composite import as_float, composite, numpy_floats
from symgraph.ops.identity import stop_gradient
from symgraph.ops.reduce import max as max_along
from symgraph.ops.reduce import sum as sum_along
from symgraph.ops.transcendental import exp, log
from symgraph.ops.views import reshape
from symgraph.types import normalise_axes

Axes = int | tuple[int, ...] | None


def _shift(x: Node, axis: Axes) -> Node:
    """Return the largest elements, for subtraction before exp; 0 where they are not finite.

    Results do not depend on the shift, hence nor do derivatives.
    """
    largest = max_along(x, axis, keepdims=True)
    return stop_gradient(where(isfinite(largest), largest, 0))


def _shift_to_nan(x: Node, axis: Axes) -> Node:
    """Return a shift as `_shift` does, but keep +inf, by which a row with +inf becomes NaN."""
    largest = max_along(x, axis, keepdims=True)
    return stop_gradient(where(not_equal(largest, -np.inf), largest, 0))


def _expand_logsumexp(x: Node, axis: Axes, keepdims: bool) -> Node:
    x = as_float(x)
    shift = _shift(x, axis)
    total = log(sum_along(exp(x - shift), axis, keepdims=True)) + shift
    return total if keepdims else reshape(total, sum_along(x, axis).type.dims)


def _logsumexp(x: Array, axis: Axes, keepdims: bool) -> Array:
    x = numpy_floats(x)
    largest = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0)
    total = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else np.asarray(np.squeeze(total, normalise_axes(axis, x.ndim)))


LOGSUMEXP = composite(
    "logsumexp",
    expand=_expand_logsumexp,
    numpy=_logsumexp,
    samples=tuple(
        Sample(
            lambda rng: (rng.normal(size=(2, 3, 4)),), {"axis": axis, "keepdims": keepdims}, (0,)
        )
        for axis, keepdims in ((None, False), (-1, True), ((0, 2), False))
    ),
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
    powers = exp(x - _shift_to_nan(x, axis))
    return powers / sum_along(powers, axis, keepdims=True)


def _softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    x = numpy_floats(x)
    largest = np.max(x, axis=axis, keepdims=True)
    powers = np.exp(x - np.where(largest == -np.inf, 0, largest))
    return np.asarray(powers / np.sum(powers, axis=axis, keepdims=True))


def _softmax_gradient(g: Node, y: Node, x: Node, *, axis: Any) -> tuple[Node]:
    weighted = g * y
    return (weighted - y * sum_along(weighted, axis, keepdims=True),)


def _expand_log_softmax(x: Node, axis: int | tuple[int, ...]) -> Node:
    x = as_float(x)
    shifted = x - _shift_to_nan(x, axis)
    return shifted - log(sum_along(exp(shifted), axis, keepdims=True))


def _log_softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    x = numpy_floats(x)
    largest = np.max(x, axis=axis, keepdims=True)
    shifted = x - np.where(largest == -np.inf, 0, largest)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))


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
