"""Windows that slide over images: arguments as pairs, sizes of results, NumPy's view of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.dims import Extent, floor_divide
from symgraph.errors import ShapeError
from symgraph.location import user_location
from symgraph.ops.arguments import Array
from symgraph.ops.assume import assume_at_least
from symgraph.types import TensorType

Pair = tuple[int, int]
PairLike = int | Sequence[int]
IMAGE_AXES = (2, 3)
"""Where images (N, C, H, W) have their height and width."""


def pair(value: Any, name: str = "the value", smallest: int = 0) -> Pair:
    """Return an int, for both axes of an image, or two of them, as (height, width).

    Args:
        value: an int or a sequence of two.
        name: how messages call it.
        smallest: the least that each may be.

    Raises:
        ShapeError: it is neither, or too small.

    Example:
        >>> pair(3)
        (3, 3)
    """
    several = isinstance(value, Sequence) and not isinstance(value, str)
    given: list[Any] = list(value) if several else [value, value]
    if len(given) != 2 or not all(_is_int(entry) for entry in given):
        raise ShapeError(
            f"{name} is an int or a pair of ints, not {value!r}\n  at {user_location()}"
        )
    first, second = int(given[0]), int(given[1])
    if min(first, second) < smallest:
        raise ShapeError(f"{name} is at least {smallest}, not {value!r}\n  at {user_location()}")
    return first, second


def _is_int(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)


def span(kernel: Extent, dilation: int) -> Extent:
    """Return how many elements a window of `kernel` taps, `dilation` apart, reaches over."""
    return (kernel - 1) * dilation + 1


def conv_outsize(
    extent: Extent,
    kernel: Extent,
    stride: int,
    pad: int,
    dilation: int = 1,
    axis: int | None = None,
) -> Extent:
    """Return how many windows fit along an axis: floor((extent + 2 pad - span) / stride) + 1.

    Args:
        extent: of the axis; it may be symbolic.
        kernel: taps of the window.
        stride: from one window to the next.
        pad: elements put before and after the axis.
        dilation: from one tap to the next.
        axis: how messages call the axis, None where there is no array.

    Raises:
        ShapeError: not even one window fits, for any value of the extent; where it depends on that,
            it is noted, to be checked at each call.
    """
    reach = span(kernel, dilation)
    taps = f"a kernel of {kernel}" + (f" dilated by {dilation}" if dilation > 1 else "")
    place = "" if axis is None else f" of axis {axis}"
    assume_at_least(
        extent + 2 * pad,
        reach,
        f"{taps} spans {reach} elements, more than the extent {extent}{place} with {pad} of "
        "padding on each side; take a smaller kernel or more padding",
    )
    # One window more than strides fit: added inside, so that most symbolic sizes are plainly >= 0.
    return floor_divide(extent + (2 * pad - reach + stride), stride)


def deconv_outsize(
    extent: Extent,
    kernel: Extent,
    stride: int,
    pad: int,
    dilation: int = 1,
    axis: int | None = None,
) -> Extent:
    """Return the least extent over which windows fit: stride (extent - 1) + span - 2 pad.

    Arguments are those of `conv_outsize`.

    Raises:
        ShapeError: nothing would be left inside the padding; where that depends on a symbolic
            extent, it is noted, to be checked at each call.
    """
    result = stride * (extent - 1) + span(kernel, dilation) - 2 * pad
    place = "" if axis is None else f" of axis {axis}"
    assume_at_least(
        result,
        1,
        f"{extent} windows of {kernel}{place} with {pad} of padding on each side leave an extent "
        f"of {result}",
    )
    return result


def conv_outsizes(
    images: TensorType, kernel: Pair, stride: Pair, pad: Pair, dilation: Pair = (1, 1)
) -> tuple[Extent, Extent]:
    """Return `conv_outsize` of the height and of the width of images (N, C, H, W)."""
    height, width = (
        conv_outsize(images.dims[axis], kernel[i], stride[i], pad[i], dilation[i], axis)
        for i, axis in enumerate(IMAGE_AXES)
    )
    return height, width


def require_images(images: TensorType, what: str = "x") -> None:
    """Check that a type has the four axes of images.

    Raises:
        ShapeError: it has not.
    """
    if images.rank != 4:
        raise ShapeError(f"{what} needs the axes (N, C, H, W), but has the type {images}")


def get_conv_outsize(size: Extent, kernel: int, stride: int, pad: int, dilation: int = 1) -> Extent:
    """Give the size of a convolution's or pooling's result along one axis.

    Args:
        size: extent of the axis, an int or a symbolic extent.
        kernel: taps of the window.
        stride: from one window to the next.
        pad: elements put before and after the axis.
        dilation: from one tap to the next.

    Returns:
        floor((size + 2 pad - dilation (kernel - 1) - 1) / stride) + 1.

    Raises:
        ShapeError: the kernel is larger than the padded axis, or an argument is out of range.

    Example:
        >>> get_conv_outsize(224, 7, 2, 3)
        112
    """
    _check_window(kernel, stride, pad, dilation)
    try:
        return conv_outsize(size, kernel, stride, pad, dilation)
    except ShapeError as error:
        raise ShapeError(f"{error}\n  at {user_location()}") from None


def get_deconv_outsize(
    size: Extent, kernel: int, stride: int, pad: int, dilation: int = 1
) -> Extent:
    """Give the size of a transposed convolution's result along one axis.

    Args:
        size: extent of the axis, an int or a symbolic extent.
        kernel: taps of the window.
        stride: from one window to the next.
        pad: elements cut off before and after.
        dilation: from one tap to the next.

    Returns:
        stride (size - 1) + dilation (kernel - 1) + 1 - 2 pad.

    Raises:
        ShapeError: nothing is left, or an argument is out of range.

    Example:
        >>> get_deconv_outsize(7, 4, 2, 1)
        14
    """
    _check_window(kernel, stride, pad, dilation)
    try:
        return deconv_outsize(size, kernel, stride, pad, dilation)
    except ShapeError as error:
        raise ShapeError(f"{error}\n  at {user_location()}") from None


def _check_window(kernel: int, stride: int, pad: int, dilation: int) -> None:
    for value, name, smallest in (
        (kernel, "kernel", 1),
        (stride, "stride", 1),
        (pad, "pad", 0),
        (dilation, "dilation", 1),
    ):
        pair((value, value), name, smallest)


def padded(x: Array, pad: Pair, value: float = 0) -> Array:
    """Return images with `pad` rows and columns of a value on all four sides."""
    edges = [(0, 0)] * (x.ndim - 2) + [(width, width) for width in pad]
    return np.pad(x, edges, constant_values=value)


def sliding(x: Array, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Array:
    """Return a read-only view (N, C, OH, OW, KH, KW) of the windows of padded images."""
    reach = tuple((taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=IMAGE_AXES)
    return windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def folded(columns: Array, size: Pair, stride: Pair, pad: Pair, dilation: Pair = (1, 1)) -> Array:
    """Return images of `size` to which windows (N, C, KH, KW, OH, OW) are added where they lie."""
    count, channels, *kernel = columns.shape[:4]
    windows = columns.shape[4:]
    total = np.zeros((count, channels, size[0] + 2 * pad[0], size[1] + 2 * pad[1]), columns.dtype)
    for row, column in np.ndindex(*kernel):
        rows, across = (
            slice(tap * step, tap * step + stride * extent, stride)
            for tap, step, stride, extent in zip(
                (row, column), dilation, stride, windows, strict=True
            )
        )
        target = total[:, :, rows, across]
        target += columns[:, :, row, column, : target.shape[2], : target.shape[3]]
    return total[:, :, pad[0] : pad[0] + size[0], pad[1] : pad[1] + size[1]]
