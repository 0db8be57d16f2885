"""What batch normalisation knows of each channel: mean and variance, of a batch and running."""

from __future__ import annotations

import numpy as np

from symgraph.dims import Extent, maximum, product
from symgraph.errors import ShapeError
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops import extremes
from symgraph.ops.arguments import Array
from symgraph.ops.arithmetic import square
from symgraph.ops.assume import assume_equal
from symgraph.ops.comparison import where
from symgraph.ops.composite import as_float, composite, numpy_floats
from symgraph.ops.elementwise import cast
from symgraph.ops.index_leaves import extent
from symgraph.ops.reduce import sum as sum_along
from symgraph.ops.views import broadcast_to, reshape

CHANNEL = 1
"""The axis of (N, D) and (N, C, H, W) that keeps its own statistics."""


def batch_axes(rank: int) -> tuple[int, ...]:
    """Return the axes over which a batch's statistics run.

    Raises:
        ShapeError: these are neither rows nor images.
    """
    if rank not in (2, 4):
        raise ShapeError(f"x needs the axes (N, D) or (N, C, H, W), but has {rank} axes")
    return tuple(axis for axis in range(rank) if axis != CHANNEL)


def per_channel(value: Node, x: Node, what: str) -> Node:
    """Return one number for each channel, shaped to broadcast with `x`.

    Raises:
        ShapeError: it has not one number for each channel.
    """
    channels = x.type.dims[CHANNEL]
    reason = f"{what} has the type {value.type}, but x has {channels} channels (axis {CHANNEL})"
    if value.type.rank != 1:
        raise ShapeError(reason)
    assume_equal(value.type.dims[0], channels, reason)
    return reshape(value, tuple(channels if a == CHANNEL else 1 for a in range(x.type.rank)))


def numpy_per_channel(value: Array, x: Array) -> Array:
    """Return what `per_channel` gives."""
    return value.reshape([-1 if axis == CHANNEL else 1 for axis in range(x.ndim)])


def _count(x: Node) -> Extent:
    return product(tuple(x.type.dims[axis] for axis in batch_axes(x.type.rank)))


def _numpy_count(x: Array) -> int:
    return int(np.prod([x.shape[axis] for axis in batch_axes(x.ndim)], dtype=np.int64))


def _expand_mean(x: Node) -> Node:
    x, axes = as_float(x), batch_axes(x.type.rank)
    count = extent(maximum(_count(x), 1))
    return cast(sum_along(cast(x, "float64"), axes) / count, x.type.element)


def _mean(x: Array) -> Array:
    x = numpy_floats(x)
    total = np.sum(x, axis=batch_axes(x.ndim), dtype=np.float64)
    return np.asarray(total / max(_numpy_count(x), 1)).astype(x.dtype)


def _mean_gradient(g: Node, y: Node, x: Node) -> tuple[Node]:
    share = g / extent(maximum(_count(x), 1))
    return (broadcast_to(per_channel(share, x, "the gradient"), x.type.dims),)


def _expand_variance(x: Node) -> Node:
    x, axes = as_float(x), batch_axes(x.type.rank)
    count = extent(maximum(_count(x), 1))
    wide = cast(x, "float64")
    mean = sum_along(wide, axes) / count
    if x.type.element == "float64":
        return sum_along(square(wide - per_channel(mean, x, "the mean")), axes) / count
    # One walk over the batch. float64 holds squares of float32 exactly, so what cancels here is
    # far below what the elements themselves are known to.
    variance = sum_along(square(wide), axes) / count - square(mean)
    return cast(extremes.maximum(variance, 0), x.type.element)


def _variance(x: Array) -> Array:
    x, axes = numpy_floats(x), batch_axes(x.ndim)
    count = max(_numpy_count(x), 1)
    wide = x.astype(np.float64)
    centred = wide - numpy_per_channel(np.sum(wide, axis=axes) / count, x)
    return np.asarray(np.sum(np.square(centred), axis=axes) / count).astype(x.dtype)


def _variance_gradient(g: Node, y: Node, x: Node) -> tuple[Node]:
    share = 2 * g / extent(maximum(_count(x), 1))
    centred = x - per_channel(BATCH_MEAN(x), x, "the mean")
    return (per_channel(share, x, "the gradient") * centred,)


def _sample(*shape: int) -> Sample:
    return Sample(lambda rng: (rng.normal(size=shape),), {}, (0,))


_BATCHES = (_sample(4, 3), _sample(2, 3, 2, 4))
BATCH_MEAN = composite(
    "batch_mean",
    expand=_expand_mean,
    numpy=_mean,
    grad=_mean_gradient,
    samples=_BATCHES,
    doc="The mean of each channel (axis 1) of rows (N, D) or images (N, C, H, W); 0 of nothing.",
)
BATCH_VARIANCE = composite(
    "batch_variance",
    expand=_expand_variance,
    numpy=_variance,
    grad=_variance_gradient,
    samples=_BATCHES,
    doc="The variance of each channel (axis 1): the mean of squared distances from the mean.",
)


def batch_moments(x: Operand) -> tuple[Node, Node]:
    """Give the mean and the variance of each channel of a batch.

    Args:
        x: rows (N, D) or images (N, C, H, W).

    Returns:
        Two nodes of shape (D,) or (C,): the mean, and the mean of squared distances from it.

    Raises:
        ShapeError: `x` has other axes.

    Example:
        >>> batch_moments(Placeholder("x", ("N", 3), "float32"))
        (<batch_mean: float32[3]>, <batch_variance: float32[3]>)
    """
    return BATCH_MEAN(x), BATCH_VARIANCE(x)


def _expand_running(old: Node, new: Node, x: Node, decay: Node, unbiased: bool) -> Node:
    count = _count(x)
    if unbiased:
        new = new * extent(count) / extent(maximum(count - 1, 1))
    moved = cast(old * decay + new * (1 - decay), old.type.element)
    return where(extent(count) > 0, moved, old)


def _running(old: Array, new: Array, x: Array, decay: Array, unbiased: bool) -> Array:
    count = _numpy_count(x)
    if unbiased:
        new = new * count / max(count - 1, 1)
    moved = np.asarray(old * decay + new * (1 - decay)).astype(old.dtype)
    return moved if count else old


def _running_sample(unbiased: bool) -> Sample:
    return Sample(
        lambda rng: (*rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), np.asarray(0.75)),
        {"unbiased": unbiased},
        (0, 1),
    )


RUNNING = composite(
    "running_statistic",
    expand=_expand_running,
    numpy=_running,
    samples=(_running_sample(False), _running_sample(True)),
    doc="old decay + new (1 - decay), in the dtype of old; old where the third operand, whose "
    "statistic is new, has no rows. Unbiased: new is scaled by n / max(n - 1, 1).",
)


def running_moments(
    x: Operand,
    batch: tuple[Operand, Operand],
    running: tuple[Operand, Operand],
    decay: Operand = 0.9,
) -> tuple[Node, Node]:
    """Give running statistics after a batch: old decay + new (1 - decay).

    The batch's variance enters as the unbiased estimate, n / max(n - 1, 1) times it. A batch
    without elements leaves both as they are.

    Args:
        x: the batch, rows (N, D) or images (N, C, H, W).
        batch: its mean and variance, as `batch_moments` gives them.
        running: the running mean and variance so far, of one shape with those.
        decay: the weight of the old ones, in [0, 1].

    Returns:
        The new running mean and variance, in the dtypes of the old ones.

    Raises:
        ShapeError: `x` has other axes.

    Example:
        >>> x, old = Placeholder("x", ("N", 3), "float32"), np.zeros(3, np.float32)
        >>> running_moments(x, batch_moments(x), (old, old))
        (<running_statistic: float32[3]>, <running_statistic: float32[3]>)
    """
    return (
        RUNNING(running[0], batch[0], x, decay, unbiased=False),
        RUNNING(running[1], batch[1], x, decay, unbiased=True),
    )
