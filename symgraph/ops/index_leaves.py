"""Leaves that are computed from positions alone: index ranges, extents as numbers, call numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.dims import Dim, Extent, floor_divide, maximum, product
from symgraph.errors import DTypeError
from symgraph.leaves import Constant
from symgraph.location import user_location
from symgraph.node import Node, apply
from symgraph.op import NO_GRADIENT, Leaf, Op, Sample
from symgraph.ops.arguments import Array, as_extent
from symgraph.ops.elementwise import cast
from symgraph.types import Shape, TensorType


def _affine_index(shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
    result = np.full(shape, offset, np.int64)
    for axis, stride in enumerate(strides):
        steps = np.arange(shape[axis], dtype=np.int64) * stride
        result += steps.reshape((-1,) + (1,) * (len(shape) - axis - 1))
    return result


AFFINE_INDEX = Op(
    name="affine_index",
    kind=Leaf(),
    infer=lambda types, attrs: TensorType("int64", attrs["shape"]),
    numpy=_affine_index,
    grad=NO_GRADIENT,
    samples=(
        Sample(lambda rng: (), {"shape": (2, 3), "strides": (3, -1), "offset": 5}, ()),
        Sample(lambda rng: (), {"shape": (), "strides": (), "offset": -2}, ()),
    ),
    doc="int64: element [i, j, ...] is offset + i * strides[0] + j * strides[1] + ...",
)
EXTENT = Op(
    name="extent",
    kind=Leaf(),
    infer=lambda types, attrs: TensorType("int64", (), weak=True),
    numpy=lambda value: np.array(value, np.int64),
    grad=NO_GRADIENT,
    samples=(Sample(lambda rng: (), {"value": 7}, ()),),
    doc="A symbolic extent as a number: 0-d, weak like a Python int.",
)
CALL_INDEX = Op(
    name="call_index",
    kind=Leaf(),
    infer=lambda types, attrs: TensorType("int64", ()),
    numpy=lambda call_index=0: np.array(call_index, np.int64),
    grad=NO_GRADIENT,
    samples=(Sample(lambda rng: (), {}, ()),),
    doc="int64, 0-d: how many calls of the compiled function came before this one.",
)


def extent(value: Extent) -> Node:
    """Give an extent as a number that adapts to other dtypes like a Python int.

    Args:
        value: an int or a symbolic extent such as `x.shape[0]`.

    Returns:
        A 0-d node.

    Example:
        >>> extent(Placeholder("x", ("N",), "float32").shape[0])
        <extent: int64[]>
    """
    value = as_extent(value)
    return Constant(value) if isinstance(value, int) else apply(EXTENT, value=value)


def call_index() -> Node:
    """Give the number of the call of the compiled function, an int64 0-d node, from 0 on."""
    return apply(CALL_INDEX)


def linear_index(shape: Shape) -> Node:
    """Give each element's position in C order, int64 of `shape`."""
    strides = tuple(product(shape[axis + 1 :]) for axis in range(len(shape)))
    return apply(AFFINE_INDEX, shape=shape, strides=strides, offset=0)


def arange(
    start: Extent | float, stop: Extent | float | None = None, step: float = 1, dtype: Any = None
) -> Node:
    """Give evenly spaced numbers from `start` up to, without, `stop`.

    Args:
        start: an int, a symbolic extent, or a float; the stop where it is the only argument.
        stop: likewise; never part of the result.
        step: an int or a float, not 0.
        dtype: of the result; int64 for ints and extents, float64 if a float occurs.

    Returns:
        A node of one axis.

    Raises:
        DTypeError: an argument is no number, or `step` is 0.

    Example:
        >>> arange(Placeholder("x", ("N",), "float32").shape[0])
        <affine_index: int64[N]>
    """
    first, last = (0, start) if stop is None else (start, stop)
    for value in (first, last, step):
        if isinstance(value, bool) or not isinstance(value, int | float | Dim | np.number):
            raise DTypeError(f"arange takes numbers, not {value!r}\n  at {user_location()}")
    if step == 0 or isinstance(step, Dim):
        raise DTypeError(f"arange needs a fixed step other than 0\n  at {user_location()}")
    if any(isinstance(value, float | np.floating) for value in (first, last, step)):
        return _float_range(first, last, step, dtype)
    low, high, stride = as_extent(first), as_extent(last), int(step)
    distance = maximum(high - low if stride > 0 else low - high, 0)
    length = floor_divide(distance + abs(stride) - 1, abs(stride))
    indices = apply(AFFINE_INDEX, shape=(length,), strides=(stride,), offset=low)
    return indices if dtype is None else cast(indices, dtype)


def _float_range(first: Any, last: Any, step: Any, dtype: Any) -> Node:
    if any(isinstance(value, Dim) for value in (first, last)):
        raise DTypeError(
            "arange of a symbolic extent takes an int start and step; scale the result instead\n"
            f"  at {user_location()}"
        )
    length = max(math.ceil((last - first) / step), 0)
    # NumPy's steps: each is the rounded difference of the first two elements.
    delta = (first + step) - first
    indices = apply(AFFINE_INDEX, shape=(length,), strides=(1,), offset=0)
    return cast(float(first) + indices * float(delta), dtype or "float64")
