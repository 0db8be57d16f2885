"""Pooling of images as users call it: max_pool2d, average_pool2d, global_average_pool2d."""

from __future__ import annotations

from symgraph.node import Node, Operand
from symgraph.ops.average_pooling import AVERAGE_POOL2D, GLOBAL_AVERAGE_POOL2D
from symgraph.ops.max_pooling import MAX_POOL2D
from symgraph.ops.windows import Pair, PairLike, pair


def max_pool2d(
    x: Operand, kernel: PairLike, stride: PairLike | None = None, pad: PairLike = 0
) -> Node:
    """Take the largest element of every window of images.

    Padding is never taken: it counts as less than any number. A NaN wins, as in NumPy's `max`. The
    gradient of a window goes to its first largest element (or first NaN) in row-major order, whole.

    Args:
        x: shape (N, C, H, W).
        kernel: height and width of the window, a pair or one int for both.
        stride: from one window to the next; None for windows side by side.
        pad: rows and columns put around the images; smaller than the kernel.

    Returns:
        A node of the dtype of `x` and shape (N, C, OH, OW), where OH is
        floor((H + 2 pad - kernel) / stride) + 1, and OW likewise.

    Raises:
        ShapeError: `x` has other axes, a window is larger than the padded images, or an argument
            is out of range.

    Example:
        >>> max_pool2d(Placeholder("x", ("N", 3, 28, 28), "float32"), 2)
        <max_pool2d: float32[N, 3, 14, 14]>
    """
    size, step, edge = _window(kernel, stride, pad)
    return MAX_POOL2D(x, kernel=size, stride=step, pad=edge)


def average_pool2d(
    x: Operand, kernel: PairLike, stride: PairLike | None = None, pad: PairLike = 0
) -> Node:
    """Average the elements of every window of images; padding counts as zeros.

    Args:
        x: shape (N, C, H, W).
        kernel: height and width of the window, a pair or one int for both.
        stride: from one window to the next; None for windows side by side.
        pad: rows and columns of zeros put around the images.

    Returns:
        A node of the dtype of `x`, float64 for bools and integers, and shape (N, C, OH, OW) as for
        `max_pool2d`.

    Raises:
        ShapeError: `x` has other axes, a window is larger than the padded images, or an argument
            is out of range.

    Example:
        >>> average_pool2d(Placeholder("x", ("N", 3, 28, 28), "float32"), (2, 4))
        <average_pool2d: float32[N, 3, 14, 7]>
    """
    size, step, edge = _window(kernel, stride, pad)
    return AVERAGE_POOL2D(x, kernel=size, stride=step, pad=edge)


def global_average_pool2d(x: Operand) -> Node:
    """Average each plane of images.

    Args:
        x: shape (N, C, H, W).

    Returns:
        A node of shape (N, C), of the dtype of `x`; float64 for bools and integers.

    Raises:
        ShapeError: `x` has other axes.

    Example:
        >>> global_average_pool2d(Placeholder("x", ("N", 3, 7, 7), "float32"))
        <global_average_pool2d: float32[N, 3]>
    """
    return GLOBAL_AVERAGE_POOL2D(x)


def _window(kernel: PairLike, stride: PairLike | None, pad: PairLike) -> tuple[Pair, Pair, Pair]:
    size = pair(kernel, "kernel", 1)
    return size, size if stride is None else pair(stride, "stride", 1), pair(pad, "pad")
