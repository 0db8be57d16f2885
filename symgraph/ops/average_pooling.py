"""The records of average pooling: the mean of each window, and its adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.node import Node
from symgraph.op import Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array
from symgraph.ops.composite import as_float, composite, numpy_floats
from symgraph.ops.max_pooling import pooled_type, require_type
from symgraph.ops.statistics import MEAN
from symgraph.ops.windows import IMAGE_AXES, Pair, folded, padded, require_images, sliding
from symgraph.types import FLOATS, Shape, TensorType


def _infer_mean(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    (x,) = types
    if x.element not in FLOATS:
        raise DTypeError(f"means are floats; cast {x.element} first")
    return pooled_type(x, attrs)


def _mean(x: Array, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    totals = np.sum(sliding(padded(x, pad), kernel, stride), axis=(4, 5))
    return np.asarray(totals / x.dtype.type(kernel[0] * kernel[1]))


def _infer_spread(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    (g,) = types
    result = TensorType(g.element, attrs["shape"])
    require_type(g, _infer_mean((result,), attrs), "the means and their gradient")
    return result


def _spread(g: Array, shape: tuple[int, ...], kernel: Pair, stride: Pair, pad: Pair) -> Array:
    shares = g / g.dtype.type(kernel[0] * kernel[1])
    count, channels, *windows = g.shape
    columns = np.broadcast_to(shares[:, :, None, None], (count, channels, *kernel, *windows))
    return folded(columns, (shape[2], shape[3]), stride, pad)


def _mean_gradient(g: Node, y: Node, x: Node, **attrs: Any) -> tuple[Node]:
    return (WINDOW_SPREAD2D(g, shape=x.type.dims, **attrs),)


def _spread_gradient(g: Node, y: Node, means: Node, shape: Shape, **attrs: Any) -> tuple[Node]:
    return (WINDOW_MEAN2D(g, **attrs),)


def _sample(of: str, shape: tuple[int, ...], attrs: dict[str, Pair]) -> Sample:
    if of == "mean":
        return Sample(lambda rng: (rng.normal(size=shape),), attrs, (0,))
    pooled = pooled_type(TensorType("float64", shape), attrs).dims
    return Sample(lambda rng: (rng.normal(size=pooled),), {"shape": shape, **attrs}, (0,))


_WINDOWS: tuple[tuple[tuple[int, ...], dict[str, Pair]], ...] = (
    ((2, 2, 4, 6), {"kernel": (2, 2), "stride": (2, 2), "pad": (0, 0)}),
    ((1, 2, 5, 7), {"kernel": (2, 3), "stride": (1, 2), "pad": (1, 2)}),
    ((2, 1, 6, 7), {"kernel": (2, 1), "stride": (3, 4), "pad": (0, 1)}),
)
WINDOW_MEAN2D = Op(
    name="window_mean2d",
    kind=Library("window_mean2d"),
    infer=_infer_mean,
    numpy=_mean,
    grad=_mean_gradient,
    samples=tuple(_sample("mean", *window) for window in _WINDOWS),
    doc="The mean of every window of images (N, C, H, W), padding counted as zeros.",
)
WINDOW_SPREAD2D: Op = Op(
    name="window_spread2d",
    kind=Library("window_spread2d"),
    infer=_infer_spread,
    numpy=_spread,
    grad=_spread_gradient,
    samples=tuple(_sample("spread", *window) for window in _WINDOWS),
    doc="Images of `shape` in which every window has received an equal share of its number.",
)
AVERAGE_POOL2D = composite(
    "average_pool2d",
    expand=lambda x, **attrs: WINDOW_MEAN2D(as_float(x), **attrs),
    numpy=lambda x, **attrs: _mean(numpy_floats(x), **attrs),
    samples=WINDOW_MEAN2D.samples,
    doc="The mean of every window of images (N, C, H, W), padding counted as zeros; float64 for "
    "bools and integers.",
)


def _expand_global(x: Node) -> Node:
    require_images(x.type)
    return MEAN(x, axis=IMAGE_AXES, keepdims=False)


GLOBAL_AVERAGE_POOL2D = composite(
    "global_average_pool2d",
    expand=_expand_global,
    numpy=lambda x: np.asarray(np.mean(numpy_floats(x), axis=IMAGE_AXES)),
    samples=(Sample(lambda rng: (rng.normal(size=(2, 3, 4, 5)),), {}, (0,)),),
    doc="The mean of every plane of images (N, C, H, W), as (N, C).",
)
