"""The records of max pooling: the largest of each window, and the two ways to follow its place.

The place of a window's value is its first largest element in row-major order, or its first NaN. The
gradient of a pooled array goes there (`max_pool2d_scatter`), and what reads another array at those
places (`max_pool2d_select`) is the adjoint of that: so derivatives of every order are these two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.node import Node
from symgraph.op import Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array
from symgraph.ops.assume import assume_at_least, assume_equal
from symgraph.ops.windows import IMAGE_AXES, Pair, conv_outsizes, padded, require_images, sliding
from symgraph.types import TensorType


def pooled_type(x: TensorType, attrs: Attrs) -> TensorType:
    """Return the type of what is left of images when every window becomes one element.

    Raises:
        ShapeError: these are no images, or a window does not fit.
    """
    require_images(x)
    for axis in IMAGE_AXES:
        assume_at_least(x.dims[axis], 1, f"axis {axis} of {x} is empty, so windows hold nothing")
    outsizes = conv_outsizes(x, attrs["kernel"], attrs["stride"], attrs["pad"])
    return TensorType(x.element, (*x.dims[:2], *outsizes), x.weak)


def require_type(found: TensorType, wanted: TensorType, what: str) -> None:
    """Check an operand that must have the type of another value.

    Raises:
        DTypeError: the dtypes differ.
        ShapeError: the shapes differ.
    """
    reason = f"{what} have the types {found} and {wanted}, but need one"
    if found.element != wanted.element:
        raise DTypeError(reason)
    require_images(found, what)
    for extent, other in zip(found.dims, wanted.dims, strict=True):
        assume_equal(extent, other, reason)


def _infer_max_pool(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    for pad, kernel in zip(attrs["pad"], attrs["kernel"], strict=True):
        if pad >= kernel:
            raise ShapeError(
                f"pad {pad} is not smaller than kernel {kernel}, so some windows would hold "
                "nothing but padding; take less padding or a larger kernel"
            )
    return pooled_type(types[0], attrs)


def _infer_scatter(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    g, x = types
    if g.element == "bool":
        raise DTypeError("bools do not add up in place; cast them to an integer dtype first")
    require_type(g, pooled_type(x, attrs), "a pooled array and its gradient")
    return TensorType(x.element, x.dims)


def _infer_select(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    values, x = types
    require_type(values, x, "the values and the array that says where")
    return pooled_type(x, attrs)


def _places(x: Array, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    """Return where in its plane, counted in row-major order, each window has its value."""
    height, width = x.shape[2:]
    lowest = {"b": False, "f": -np.inf}.get(x.dtype.kind)
    if lowest is None:
        lowest = np.iinfo(x.dtype).min
    positions = np.arange(height * width).reshape(1, 1, height, width)

    def flat(images: Array, filling: Any) -> Array:
        windows = sliding(padded(images, pad, filling), kernel, stride)
        return windows.reshape(*windows.shape[:4], kernel[0] * kernel[1])

    values = flat(x, lowest)
    inside = np.broadcast_to(flat(positions, -1), values.shape)
    best = np.argmax(values, axis=-1)[..., None]
    found = np.take_along_axis(inside, best, axis=-1)
    # Where all elements are as low as the padding, the first one that is no padding counts.
    first = np.take_along_axis(inside, np.argmax(inside >= 0, axis=-1)[..., None], axis=-1)
    return np.where(found < 0, first, found)[..., 0]


def _select(values: Array, x: Array, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    places = _places(x, kernel, stride, pad)
    planes, windows = (*x.shape[:2], x.shape[2] * x.shape[3]), places.shape
    flat = places.reshape(*windows[:2], windows[2] * windows[3])
    return np.take_along_axis(values.reshape(planes), flat, axis=-1).reshape(windows)


def _scatter(g: Array, x: Array, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    places = _places(x, kernel, stride, pad)
    total = np.zeros((*x.shape[:2], x.shape[2] * x.shape[3]), g.dtype)
    count, channels = np.ogrid[: x.shape[0], : x.shape[1]]
    np.add.at(total, (count[..., None, None], channels[..., None, None], places), g)
    return total.reshape(x.shape)


def _max_gradient(g: Node, y: Node, x: Node, **attrs: Any) -> tuple[Node]:
    return (MAX_POOL2D_SCATTER(g, x, **attrs),)


def _scatter_gradient(g: Node, y: Node, given: Node, x: Node, **attrs: Any) -> tuple[Node, None]:
    return MAX_POOL2D_SELECT(g, x, **attrs), None


def _select_gradient(g: Node, y: Node, values: Node, x: Node, **attrs: Any) -> tuple[Node, None]:
    return MAX_POOL2D_SCATTER(g, x, **attrs), None


def _sample(of: str, shape: tuple[int, ...], attrs: dict[str, Pair]) -> Sample:
    def make(rng: np.random.Generator) -> tuple[Array, ...]:
        # So far apart that small steps do not change which one is largest.
        x = rng.permutation(int(np.prod(shape))).reshape(shape) / 4
        if of == "max":
            return (x,)
        pooled = pooled_type(TensorType("float64", shape), attrs).dims
        return rng.normal(size=pooled if of == "scatter" else shape), x

    return Sample(make, attrs, (0,))


_WINDOWS: tuple[tuple[tuple[int, ...], dict[str, Pair]], ...] = (
    ((2, 2, 4, 6), {"kernel": (2, 2), "stride": (2, 2), "pad": (0, 0)}),
    ((1, 2, 5, 7), {"kernel": (3, 2), "stride": (2, 1), "pad": (1, 1)}),
    ((2, 1, 6, 7), {"kernel": (2, 3), "stride": (3, 4), "pad": (0, 1)}),
)
MAX_POOL2D = Op(
    name="max_pool2d",
    kind=Library("max_pool2d"),
    infer=_infer_max_pool,
    numpy=lambda x, kernel, stride, pad: _select(x, x, kernel, stride, pad),
    grad=_max_gradient,
    samples=tuple(_sample("max", *window) for window in _WINDOWS),
    doc="The largest element of every window of images (N, C, H, W); a NaN wins, padding never.",
)
MAX_POOL2D_SCATTER: Op = Op(
    name="max_pool2d_scatter",
    kind=Library("max_pool2d_scatter"),
    infer=_infer_scatter,
    numpy=_scatter,
    grad=_scatter_gradient,
    samples=tuple(_sample("scatter", *window) for window in _WINDOWS),
    doc="Zeros of the shape of the second operand, to which one number for each window is added "
    "where that operand is the window's first largest element.",
)
MAX_POOL2D_SELECT: Op = Op(
    name="max_pool2d_select",
    kind=Library("max_pool2d_select"),
    infer=_infer_select,
    numpy=_select,
    grad=_select_gradient,
    samples=tuple(_sample("select", *window) for window in _WINDOWS),
    doc="The first operand where the second is the first largest element of each window.",
)
