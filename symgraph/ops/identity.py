"""Ops that pass a value through: `stop_gradient` and `check_index`."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Dim
from symgraph.errors import BoundsError, DTypeError
from symgraph.node import Node, Operand
from symgraph.op import NO_GRADIENT, Attrs, Elementwise, Op, Sample
from symgraph.ops.elementwise import Array, between, elementwise
from symgraph.ops.index_leaves import extent as extent_node
from symgraph.types import INTEGERS, TensorType, broadcast_shapes, promote

stop_gradient = elementwise(
    "stop_gradient",
    numpy=lambda x: x,
    scalar=lambda s, x: x,
    grad=NO_GRADIENT,
    domain=(between(-3, 3),),
    dtypes=lambda keys: (_strong(keys[0]), _strong(keys[0])),
    doc="x itself, which derivatives treat as a constant.",
)


def _strong(key: Any) -> str:  # a dtype name, int or float
    return key if isinstance(key, str) else np.dtype(key).name


def _check_reference(index: Array, extent: Array) -> Array:
    bad = (index < 0) | (index >= extent)
    if np.any(bad):
        first = np.broadcast_to(index, bad.shape)[bad][0]
        limit = np.broadcast_to(extent, bad.shape)[bad][0]
        raise BoundsError(
            f"index {first} is out of range for an axis of extent {limit}; indices begin at 0"
        )
    return np.broadcast_to(index, bad.shape)


def _check_scalar(s: Any, index: Any, extent: Any) -> Any:  # opaque handles
    inside = s.bit_and(s.le(s.like(0, index), index), s.lt(index, extent))
    s.flag(s.bit_not(inside), "bounds")
    return index


def _check_infer(types: tuple[Any, ...], _attrs: Attrs) -> TensorType:
    for entry in types:
        if entry.element not in INTEGERS:
            raise DTypeError(f"indices and extents are integers, not {entry.element}")
    return TensorType(promote(types), broadcast_shapes(entry.dims for entry in types))


def _check_sample(rng: np.random.Generator) -> tuple[Array, ...]:
    return rng.integers(0, 5, (3, 4)), np.asarray(5)


CHECK_INDEX = Op(
    name="check_index",
    kind=Elementwise(_check_scalar, flags=lambda dtypes: ("bounds",)),
    infer=_check_infer,
    numpy=_check_reference,
    grad=NO_GRADIENT,
    samples=(Sample(_check_sample, {}, ()),),
    doc="The index itself, after checking at run time that 0 <= index < extent.",
)


def check_index(index: Operand, extent: Any) -> Node:
    """Pass `index` through, checking at run time that each element is in [0, extent).

    Args:
        index: integers of any shape.
        extent: an int, a symbolic extent such as `x.shape[0]`, or an integer node.

    Returns:
        A node equal to `index`.

    Raises:
        DTypeError: an operand is no integer.
        BoundsError: when run, an element lies outside.

    Example:
        >>> check_index(Placeholder("labels", shape=("N",), dtype="int64"), 10)
        <check_index: int64[N]>
    """
    if isinstance(extent, Dim):
        extent = extent_node(extent)
    return CHECK_INDEX(index, extent)
