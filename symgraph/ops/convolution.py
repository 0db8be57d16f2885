"""Convolution of images as users call it: conv2d and its transpose deconv2d."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Extent
from symgraph.errors import ShapeError
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array, ShapeLike, as_int, as_shape
from symgraph.ops.assume import assume_equal
from symgraph.ops.composite import composite
from symgraph.ops.convolution_core import CONVOLUTION, CONVOLUTION_INPUT, geometry
from symgraph.ops.elementwise import cast
from symgraph.ops.views import reshape
from symgraph.ops.windows import (
    Pair,
    PairLike,
    deconv_outsize,
    get_conv_outsize,
    get_deconv_outsize,
    pair,
    require_images,
)
from symgraph.types import promote

__all__ = ["conv2d", "deconv2d", "get_conv_outsize", "get_deconv_outsize", "pair"]


def _of_one_dtype(x: Node, w: Node) -> tuple[Node, Node]:
    dtype = promote((x.type, w.type))
    first, second = (
        node if node.type.element == dtype and not node.type.weak else cast(node, dtype)
        for node in (x, w)
    )
    return first, second


def _with_bias(result: Node, b: tuple[Node, ...]) -> Node:
    """Return images to which one number for each channel is added."""
    if not b:
        return result
    channels = result.type.dims[1]
    if b[0].type.rank != 1:
        raise ShapeError(f"b needs one axis, of {channels} channels, but has the type {b[0].type}")
    reason = f"b has {b[0].type.dims[0]} elements, but the result has {channels} channels"
    assume_equal(b[0].type.dims[0], channels, reason)
    return result + reshape(b[0], (channels, 1, 1))


def _expand_conv2d(x: Node, w: Node, *b: Node, **attrs: Any) -> Node:
    return _with_bias(CONVOLUTION(*_of_one_dtype(x, w), **attrs), b)


def _expand_deconv2d(
    x: Node, w: Node, *b: Node, outsize: tuple[Extent, Extent] | None, **attrs: Any
) -> Node:
    size = outsize
    if size is None:
        size = _natural_size(x, w, **attrs)
    return _with_bias(CONVOLUTION_INPUT(*_of_one_dtype(x, w), size=size, **attrs), b)


def _natural_size(
    x: Node, w: Node, stride: Pair, pad: Pair, dilation: Pair, groups: int
) -> tuple[Extent, Extent]:
    """Return the smallest extents over which as many windows fit as x has elements."""
    require_images(x.type)
    if w.type.rank != 4:
        raise ShapeError(
            f"w needs the axes (inputs, outputs / groups, height, width), but has the type {w.type}"
        )
    height, width = (
        deconv_outsize(x.type.dims[axis + 2], w.type.dims[axis + 2], step, edge, gap, axis + 2)
        for axis, (step, edge, gap) in enumerate(zip(stride, pad, dilation, strict=True))
    )
    return height, width


def _conv2d(x: Array, w: Array, *b: Array, **attrs: Any) -> Array:
    dtype = np.result_type(x, w)
    result = CONVOLUTION.numpy(x.astype(dtype), w.astype(dtype), **attrs)
    return np.asarray(result + b[0][:, None, None] if b else result)


def _deconv2d(x: Array, w: Array, *b: Array, outsize: Pair | None, **attrs: Any) -> Array:
    dtype = np.result_type(x, w)
    pairs = (attrs["stride"], attrs["pad"], attrs["dilation"])
    natural = tuple(map(deconv_outsize, x.shape[2:], w.shape[2:], *pairs))
    size = natural if outsize is None else outsize
    result = CONVOLUTION_INPUT.numpy(x.astype(dtype), w.astype(dtype), size=size, **attrs)
    return np.asarray(result + b[0][:, None, None] if b else result)


def _normal(attrs: dict[str, Any], *shapes: tuple[int, ...]) -> Sample:
    return Sample(
        lambda rng: tuple(rng.normal(size=shape) for shape in shapes),
        attrs,
        tuple(range(len(shapes))),
    )


CONV2D = composite(
    "conv2d",
    expand=_expand_conv2d,
    numpy=_conv2d,
    samples=(
        _normal(geometry(pad=(1, 1)), (2, 2, 3, 4), (3, 2, 3, 3), (3,)),
        _normal(geometry((2, 1), groups=2), (1, 2, 4, 3), (2, 1, 2, 2)),
    ),
    doc="Convolution of images (N, C, H, W) with filters (OC, C / groups, KH, KW), plus a number "
    "for each of the OC channels.",
)
DECONV2D = composite(
    "deconv2d",
    expand=_expand_deconv2d,
    numpy=_deconv2d,
    samples=(
        _normal({**geometry((2, 2), (1, 1)), "outsize": None}, (1, 2, 2, 3), (2, 3, 4, 3), (3,)),
        _normal({**geometry((2, 1), groups=2), "outsize": (5, 4)}, (1, 2, 2, 3), (2, 1, 2, 2)),
    ),
    doc="Transposed convolution of images (N, C, H, W) with filters (C, OC / groups, KH, KW), plus "
    "a number for each of the OC channels.",
)


def conv2d(
    x: Operand,
    w: Operand,
    b: Operand | None = None,
    stride: PairLike = 1,
    pad: PairLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Node:
    """Slide filters over images and sum up products, as neural networks call convolution.

    Args:
        x: shape (N, C, H, W).
        w: filters of shape (OC, C / groups, KH, KW).
        b: what is added to each channel of the result, shape (OC,); None for nothing.
        stride: from one window to the next, a pair (along H, along W) or one int for both.
        pad: rows and columns of zeros put around the images.
        dilation: from one element of a window to the next.
        groups: into how many parts the channels are cut, each with filters of its own.

    Returns:
        A node of the promoted dtype and shape (N, OC, OH, OW), where OH is
        floor((H + 2 pad - dilation (KH - 1) - 1) / stride) + 1, and OW likewise.

    Raises:
        DTypeError: both `x` and `w` hold bools.
        ShapeError: axes, channels or groups do not fit, the kernel is larger than the padded
            images, or an argument is out of range.

    Example:
        >>> x = Placeholder("x", ("N", 1, 28, 28), "float32")
        >>> conv2d(x, Placeholder("w", (8, 1, 3, 3), "float32"), pad=1)
        <conv2d: float32[N, 8, 28, 28]>
    """
    attrs = _arguments(stride, pad, dilation, groups)
    return CONV2D(x, w, **attrs) if b is None else CONV2D(x, w, b, **attrs)


def deconv2d(
    x: Operand,
    w: Operand,
    b: Operand | None = None,
    stride: PairLike = 1,
    pad: PairLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
    outsize: ShapeLike | None = None,
) -> Node:
    """Convolve transposed: add up filters, each times an element of the images, where windows lie.

    This is the gradient of `conv2d` in its images, so it undoes the change of shape of `conv2d`.

    Args:
        x: shape (N, C, H, W).
        w: filters of shape (C, OC / groups, KH, KW).
        b: what is added to each channel of the result, shape (OC,); None for nothing.
        stride: from one window to the next, a pair (along H, along W) or one int for both.
        pad: rows and columns that are cut off around the result.
        dilation: from one element of a window to the next.
        groups: into how many parts the channels are cut, each with filters of its own.
        outsize: height and width of the result, where a stride leaves a choice; the smallest if
            None.

    Returns:
        A node of the promoted dtype and shape (N, OC, OH, OW), where OH is
        stride (H - 1) + dilation (KH - 1) + 1 - 2 pad, and OW likewise.

    Raises:
        DTypeError: both `x` and `w` hold bools.
        ShapeError: axes, channels, groups or `outsize` do not fit, or an argument is out of range.

    Example:
        >>> x = Placeholder("x", ("N", 8, 14, 14), "float32")
        >>> deconv2d(x, Placeholder("w", (8, 1, 4, 4), "float32"), stride=2, pad=1)
        <deconv2d: float32[N, 1, 28, 28]>
    """
    attrs = _arguments(stride, pad, dilation, groups)
    attrs["outsize"] = None if outsize is None else _outsize(outsize)
    return DECONV2D(x, w, **attrs) if b is None else DECONV2D(x, w, b, **attrs)


def _arguments(stride: PairLike, pad: PairLike, dilation: PairLike, groups: int) -> dict[str, Any]:
    count = as_int(groups, "groups")
    if count < 1:
        raise ShapeError(f"groups is at least 1, not {groups!r}\n  at {user_location()}")
    return geometry(
        pair(stride, "stride", 1), pair(pad, "pad"), pair(dilation, "dilation", 1), count
    )


def _outsize(outsize: ShapeLike) -> tuple[Extent, Extent]:
    extents = as_shape(outsize)
    if len(extents) == 1:
        extents = (extents[0], extents[0])
    if len(extents) != 2 or any(isinstance(entry, int) and entry < 0 for entry in extents):
        raise ShapeError(
            f"outsize is an extent or a pair of extents, not {outsize!r}\n  at {user_location()}"
        )
    return extents[0], extents[1]
