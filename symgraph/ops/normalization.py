"""Batch and layer normalisation, made of reductions and elementwise ops that fuse.

The statistics of a batch are ops of their own, so that `normalized` is one function for training
(the batch's mean and variance) and for inference (running ones), and derivatives go through
whatever it is given. Ioffe and Szegedy 2015, Batch Normalization; Ba, Kiros and Hinton 2016, Layer
Normalization.
"""

from __future__ import annotations

import numpy as np

from symgraph.errors import ShapeError
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array
from symgraph.ops.arithmetic import rsqrt
from symgraph.ops.assume import assume_equal
from symgraph.ops.batch_statistics import (
    batch_axes,
    batch_moments,
    numpy_per_channel,
    per_channel,
    running_moments,
)
from symgraph.ops.composite import as_float, composite, numpy_floats
from symgraph.ops.elementwise import cast
from symgraph.ops.reduce import sum as sum_along
from symgraph.ops.statistics import mean as mean_along
from symgraph.ops.statistics import var as variance_along


def _expand_normalized(
    x: Node, gamma: Node, beta: Node, mean: Node, variance: Node, eps: float
) -> Node:
    x = as_float(x)
    batch_axes(x.type.rank)
    for value, what in ((gamma, "gamma"), (variance, "the variance")):
        per_channel(value, x, what)
    scale = per_channel(gamma * rsqrt(variance + eps), x, "the scale")
    return (x - per_channel(mean, x, "the mean")) * scale + per_channel(beta, x, "beta")


def _normalized(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float
) -> Array:
    x = numpy_floats(x)
    scale = numpy_per_channel(gamma * np.reciprocal(np.sqrt(variance + eps)), x)
    return np.asarray((x - numpy_per_channel(mean, x)) * scale + numpy_per_channel(beta, x))


def _normalized_gradient(
    g: Node, y: Node, x: Node, gamma: Node, beta: Node, mean: Node, variance: Node, eps: float
) -> tuple[Node, ...]:
    inverse = rsqrt(variance + eps)
    scale = gamma * inverse
    # Two sums over the batch give all four gradients of what each channel has one of.
    by_beta, by_offset = _sums(g, x, mean)
    by_gamma = by_offset * inverse
    by_variance = by_gamma * scale * inverse * -0.5
    return g * per_channel(scale, x, "gamma"), by_gamma, by_beta, -by_beta * scale, by_variance


def _sums(g: Node, x: Node, mean: Node) -> tuple[Node, Node]:
    """Return for each channel the sums of `g` and of `g * (x - mean)`."""
    axes = batch_axes(x.type.rank)
    if x.type.element != "float32" or g.type.element != "float32":
        centred = x - per_channel(mean, x, "the mean")
        return sum_along(g, axes), sum_along(g * centred, axes)
    # Neither sum waits for the mean, so one walk over the batch finds both. float64 holds products
    # of float32 exactly, so what cancels is far below what the elements themselves are known to.
    wide = cast(g, "float64")
    total = sum_along(wide, axes)
    product = sum_along(wide * cast(x, "float64"), axes) - cast(mean, "float64") * total
    return cast(total, "float32"), cast(product, "float32")


def _batch(*shape: int) -> Sample:
    def make(rng: np.random.Generator) -> tuple[Array, ...]:
        gamma, beta, mean = rng.normal(size=(3, shape[1]))
        return rng.normal(size=shape), gamma, beta, mean, rng.uniform(0.5, 1.5, shape[1])

    return Sample(make, {"eps": 1e-3}, (0, 1, 2, 3, 4))


NORMALIZED = composite(
    "normalized",
    expand=_expand_normalized,
    numpy=_normalized,
    grad=_normalized_gradient,
    samples=(_batch(4, 3), _batch(2, 3, 2, 2)),
    doc="gamma (x - mean) / sqrt(variance + eps) + beta, each with one number for every channel "
    "(axis 1) of rows (N, D) or images (N, C, H, W).",
)


def normalized(
    x: Operand, gamma: Operand, beta: Operand, mean: Operand, variance: Operand, eps: float = 2e-5
) -> Node:
    """Shift and scale each channel by given statistics: batch normalisation without its state.

    Args:
        x: rows (N, D) or images (N, C, H, W); the channels are axis 1.
        gamma: shape (D,) or (C,), the scale of what is normalised.
        beta: of the same shape, what is added to it.
        mean: of the same shape, what is subtracted from `x`.
        variance: of the same shape, whose root `x` is divided by.
        eps: is added to the variance, to keep its root away from zero.

    Returns:
        gamma (x - mean) / sqrt(variance + eps) + beta, of the shape of `x`.

    Raises:
        ShapeError: `x` has other axes, or an operand has not one number for each channel.

    Example:
        >>> x, ones = Placeholder("x", ("N", 3), "float32"), np.ones(3, np.float32)
        >>> normalized(x, ones, ones, *batch_moments(x))
        <normalized: float32[N, 3]>
    """
    return NORMALIZED(x, gamma, beta, mean, variance, eps=float(eps))


def batch_norm_training(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    mean: Operand,
    variance: Operand,
    decay: Operand = 0.9,
    eps: float = 2e-5,
) -> tuple[Node, Node, Node]:
    """Normalise each channel of a batch by the batch's own mean and variance.

    Args:
        x: rows (N, D) or images (N, C, H, W); the channels are axis 1.
        gamma: shape (D,) or (C,), the scale of what is normalised.
        beta: of the same shape, what is added to it.
        mean: of the same shape, the running mean so far.
        variance: of the same shape, the running variance so far.
        decay: the weight of the running statistics in the new ones.
        eps: is added to the variance, to keep its root away from zero.

    Returns:
        The normalised batch, and the running mean and variance after it, see `running_moments`.

    Raises:
        ShapeError: `x` has other axes, or an operand has not one number for each channel.

    Example:
        >>> x, ones = Placeholder("x", ("N", 3), "float32"), np.ones(3, np.float32)
        >>> batch_norm_training(x, ones, ones, ones, ones)[0]
        <normalized: float32[N, 3]>
    """
    moments = batch_moments(x)
    y = normalized(x, gamma, beta, *moments, eps)
    return y, *running_moments(x, moments, (mean, variance), decay)


def _row_axes(x: Node, gamma: Node, beta: Node) -> tuple[int, ...]:
    """Return the trailing axes that a row of layer normalisation consists of.

    Raises:
        ShapeError: gamma or beta has not the shape of a row.
    """
    rank = gamma.type.rank
    reason = (
        f"gamma and beta have the types {gamma.type} and {beta.type}, but need the shape of the "
        f"last axes of x, which is {x.type}"
    )
    if not 0 < rank <= x.type.rank or beta.type.rank != rank:
        raise ShapeError(reason)
    for parameter in (gamma, beta):
        for found, wanted in zip(parameter.type.dims, x.type.dims[-rank:], strict=True):
            assume_equal(found, wanted, reason)
    return tuple(range(-rank, 0))


def _expand_layer_norm(x: Node, gamma: Node, beta: Node, eps: float) -> Node:
    x, axes = as_float(x), _row_axes(x, gamma, beta)
    inverse = rsqrt(variance_along(x, axes, keepdims=True) + eps)
    return (x - mean_along(x, axes, keepdims=True)) * inverse * gamma + beta


def _layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    x, axes = numpy_floats(x), tuple(range(-gamma.ndim, 0))
    count = max(gamma.size, 1)
    centred = x - np.sum(x, axis=axes, keepdims=True) / count
    variance = np.sum(np.square(centred), axis=axes, keepdims=True) / count
    return np.asarray(centred * np.reciprocal(np.sqrt(variance + eps)) * gamma + beta)


def _layer_norm_gradient(
    g: Node, y: Node, x: Node, gamma: Node, beta: Node, eps: float
) -> tuple[Node, Node, Node]:
    axes = _row_axes(x, gamma, beta)
    inverse = rsqrt(variance_along(x, axes, keepdims=True) + eps)
    standard = (x - mean_along(x, axes, keepdims=True)) * inverse
    scaled = g * gamma
    along = mean_along(scaled * standard, axes, keepdims=True)
    by_x = (scaled - mean_along(scaled, axes, keepdims=True) - standard * along) * inverse
    return by_x, g * standard, g


def _rows(*shape: int, rank: int) -> Sample:
    return Sample(
        lambda rng: (rng.normal(size=shape), *rng.normal(size=(2, *shape[-rank:]))),
        {"eps": 1e-3},
        (0, 1, 2),
    )


LAYER_NORM = composite(
    "layer_norm",
    expand=_expand_layer_norm,
    numpy=_layer_norm,
    grad=_layer_norm_gradient,
    samples=(_rows(3, 4, rank=1), _rows(2, 3, 4, rank=2)),
    doc="gamma (x - mean) / sqrt(variance + eps) + beta, with the mean and variance of each row: "
    "of the last axes, as many as gamma has.",
)


def layer_norm(x: Operand, gamma: Operand, beta: Operand, eps: float = 1e-5) -> Node:
    """Normalise each row by its own mean and variance.

    Args:
        x: shape (..., *row).
        gamma: the scale of what is normalised, of the shape of a row: of the last axis of `x`, or
            of several.
        beta: what is added to it, of the same shape.
        eps: is added to the variance, to keep its root away from zero.

    Returns:
        A node of the shape of `x`.

    Raises:
        ShapeError: gamma or beta has not the shape of a row.

    Example:
        >>> x, ones = Placeholder("x", ("N", 3), "float32"), np.ones(3, np.float32)
        >>> layer_norm(x, ones, ones)
        <layer_norm: float32[N, 3]>
    """
    return LAYER_NORM(x, gamma, beta, eps=float(eps))
