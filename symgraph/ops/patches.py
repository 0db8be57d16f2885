"""The windows of images as an array of their own: im2col and its adjoint col2im."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import product
from symgraph.errors import DTypeError, ShapeError
from symgraph.node import Node, Operand
from symgraph.op import Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array, ShapeLike, as_shape
from symgraph.ops.assume import assume_equal
from symgraph.ops.windows import (
    Pair,
    PairLike,
    conv_outsizes,
    folded,
    padded,
    pair,
    require_images,
    sliding,
)
from symgraph.types import Shape, TensorType


def _columns_type(x: TensorType, attrs: Attrs) -> TensorType:
    """Return the type of the windows of images.

    Raises:
        ShapeError: these are no images, or no window fits.
    """
    require_images(x)
    count, channels = x.dims[:2]
    kernel: Pair = attrs["kernel"]
    windows = conv_outsizes(x, kernel, attrs["stride"], attrs["pad"], attrs["dilation"])
    shape: Shape = (count, channels, *kernel, *windows)
    if attrs["to_matrix"]:
        shape = (product((count, *windows)), product((channels, *kernel)))
    return TensorType(x.element, shape, x.weak)


def _infer_im2col(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    return _columns_type(types[0], attrs)


def _infer_col2im(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    (columns,) = types
    if columns.element == "bool":
        raise DTypeError("bools do not add up in place; cast them to an integer dtype first")
    result = TensorType(columns.element, attrs["shape"], columns.weak)
    wanted = _columns_type(result, attrs)
    reason = f"columns of type {columns} are not the windows of such images, which are {wanted}"
    if columns.rank != wanted.rank:
        raise ShapeError(reason)
    for extent, other in zip(columns.dims, wanted.dims, strict=True):
        assume_equal(extent, other, reason)
    return result


def _im2col(
    x: Array, kernel: Pair, stride: Pair, pad: Pair, dilation: Pair, to_matrix: bool
) -> Array:
    windows = sliding(padded(x, pad), kernel, stride, dilation)
    count, channels, height, width = windows.shape[:4]
    if not to_matrix:
        return np.ascontiguousarray(windows.transpose(0, 1, 4, 5, 2, 3))
    rows, columns = count * height * width, channels * kernel[0] * kernel[1]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(rows, columns)


def _col2im(
    columns: Array,
    shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    to_matrix: bool,
) -> Array:
    if to_matrix:
        attrs = {"kernel": kernel, "stride": stride, "pad": pad, "dilation": dilation}
        apart = _columns_type(
            TensorType(columns.dtype.name, shape), {**attrs, "to_matrix": False}
        ).dims
        count, channels, *_, height, width = apart
        columns = columns.reshape(count, height, width, channels, *kernel)
        columns = columns.transpose(0, 3, 4, 5, 1, 2)
    return folded(columns, (shape[2], shape[3]), stride, pad, dilation)


def _im2col_gradient(g: Node, y: Node, x: Node, **attrs: Any) -> tuple[Node]:
    return (COL2IM(g, shape=x.type.dims, **attrs),)


def _col2im_gradient(g: Node, y: Node, columns: Node, shape: Shape, **attrs: Any) -> tuple[Node]:
    return (IM2COL(g, **attrs),)


def _sample(of: str, shape: tuple[int, ...], attrs: dict[str, Any]) -> Sample:
    if of == "images":
        return Sample(lambda rng: (rng.normal(size=shape),), attrs, (0,))
    columns = _columns_type(TensorType("float64", shape), attrs).dims
    return Sample(lambda rng: (rng.normal(size=columns),), {"shape": shape, **attrs}, (0,))


def _geometry(*pairs: Pair, to_matrix: bool) -> dict[str, Any]:
    names = ("kernel", "stride", "pad", "dilation")
    return {**dict(zip(names, pairs, strict=True)), "to_matrix": to_matrix}


_WINDOWS: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((2, 2, 4, 5), _geometry((2, 3), (1, 1), (0, 0), (1, 1), to_matrix=True)),
    ((1, 2, 5, 6), _geometry((2, 2), (2, 1), (1, 0), (2, 3), to_matrix=True)),
    ((2, 1, 4, 5), _geometry((3, 2), (1, 1), (1, 2), (1, 1), to_matrix=False)),
    ((1, 2, 5, 6), _geometry((2, 2), (2, 3), (0, 1), (1, 2), to_matrix=False)),
)
IM2COL = Op(
    name="im2col",
    kind=Library("im2col"),
    infer=_infer_im2col,
    numpy=_im2col,
    grad=_im2col_gradient,
    samples=tuple(_sample("images", *window) for window in _WINDOWS),
    doc="Every window of images (N, C, H, W), padding as zeros: a matrix (N OH OW, C KH KW), or "
    "(N, C, KH, KW, OH, OW).",
)
COL2IM: Op = Op(
    name="col2im",
    kind=Library("col2im"),
    infer=_infer_col2im,
    numpy=_col2im,
    grad=_col2im_gradient,
    samples=tuple(_sample("columns", *window) for window in _WINDOWS),
    doc="Images of `shape` to which windows, laid out as im2col does, are added where they lie.",
)


def im2col(
    x: Operand,
    kernel: PairLike,
    stride: PairLike = 1,
    pad: PairLike = 0,
    dilation: PairLike = 1,
    to_matrix: bool = True,
) -> Node:
    """Lay out every window of images side by side.

    Args:
        x: shape (N, C, H, W).
        kernel: height and width of the window, a pair or one int for both.
        stride: from one window to the next.
        pad: rows and columns of zeros put around the images.
        dilation: from one element of a window to the next.
        to_matrix: give a matrix with one row for each window.

    Returns:
        A node of the dtype of `x` and shape (N OH OW, C KH KW), or (N, C, KH, KW, OH, OW) where
        `to_matrix` is False.

    Raises:
        ShapeError: `x` has other axes, a window is larger than the padded images, or an argument
            is out of range.

    Example:
        >>> im2col(Placeholder("x", (1, 3, 7, 7), "float32"), 5)
        <im2col: float32[9, 75]>
    """
    return IM2COL(x, **_arguments(kernel, stride, pad, dilation, to_matrix))


def col2im(
    columns: Operand,
    shape: ShapeLike,
    kernel: PairLike,
    stride: PairLike = 1,
    pad: PairLike = 0,
    dilation: PairLike = 1,
    to_matrix: bool = True,
) -> Node:
    """Add windows up where they lie in images: the adjoint of `im2col`.

    Args:
        columns: windows as `im2col` gives them for images of `shape`.
        shape: extents (N, C, H, W) of the result.
        kernel: height and width of the window, a pair or one int for both.
        stride: from one window to the next.
        pad: rows and columns around the images, whose windows' elements are dropped.
        dilation: from one element of a window to the next.
        to_matrix: whether `columns` is a matrix.

    Returns:
        A node of `shape` and the dtype of `columns`.

    Raises:
        DTypeError: `columns` holds bools.
        ShapeError: `columns` are not the windows of such images, or an argument is out of range.

    Example:
        >>> col2im(Placeholder("columns", (9, 75), "float32"), (1, 3, 7, 7), 5)
        <col2im: float32[1, 3, 7, 7]>
    """
    attrs = _arguments(kernel, stride, pad, dilation, to_matrix)
    return COL2IM(columns, shape=as_shape(shape), **attrs)


def _arguments(
    kernel: PairLike, stride: PairLike, pad: PairLike, dilation: PairLike, to_matrix: bool
) -> dict[str, Any]:
    return {
        "kernel": pair(kernel, "kernel", 1),
        "stride": pair(stride, "stride", 1),
        "pad": pair(pad, "pad"),
        "dilation": pair(dilation, "dilation", 1),
        "to_matrix": bool(to_matrix),
    }
