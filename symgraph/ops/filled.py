"""Arrays filled with one value or with a simple pattern: full, zeros, ones, eye, one_hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Extent
from symgraph.errors import DTypeError
from symgraph.leaves import Constant
from symgraph.node import Node, Operand
from symgraph.op import NO_GRADIENT, Attrs, Composite, Op, Sample
from symgraph.ops.arguments import Array, ShapeLike, as_extent
from symgraph.ops.comparison import equal
from symgraph.ops.composite import composite
from symgraph.ops.elementwise import cast
from symgraph.ops.identity import CHECK_INDEX, check_index
from symgraph.ops.index_leaves import arange
from symgraph.ops.views import broadcast_to, reshape
from symgraph.types import INTEGERS, TensorType, check_dtype


def full(shape: ShapeLike, value: Operand, dtype: Any = None) -> Node:
    """Fill an array with one value.

    Args:
        shape: ints and symbolic extents.
        value: a number or node that broadcasts to `shape`.
        dtype: of the result; that of `value` if None.

    Returns:
        A node of `shape`.

    Example:
        >>> full((2, 3), 0.5, "float32")
        <broadcast_to: float32[2, 3]>
    """
    if dtype is None:
        return broadcast_to(value, shape)
    if isinstance(value, Node):
        return broadcast_to(cast(value, dtype), shape)
    return broadcast_to(Constant(np.asarray(value).astype(check_dtype(dtype)), dtype), shape)


def zeros(shape: ShapeLike, dtype: Any = "float64") -> Node:
    """Fill an array with zeros; see `full`."""
    return full(shape, 0, dtype)


def ones(shape: ShapeLike, dtype: Any = "float64") -> Node:
    """Fill an array with ones; see `full`."""
    return full(shape, 1, dtype)


def _expand_full_like(x: Node, value: Node, dtype: str | None) -> Node:
    return broadcast_to(cast(value, dtype or x.type.element), x.type.dims)


FULL_LIKE = composite(
    "full_like",
    expand=_expand_full_like,
    numpy=lambda x, value, dtype: np.array(
        np.broadcast_to(value.astype(dtype or x.dtype), x.shape)
    ),
    samples=(
        Sample(lambda rng: (np.ones((2, 3)), rng.normal(size=())), {"dtype": None}, (1,)),
        Sample(lambda rng: (np.ones(4), rng.normal(size=())), {"dtype": "int32"}, ()),
    ),
    doc="`value` in the shape of x, and in its dtype unless one is given.",
)


def full_like(x: Operand, value: Operand, dtype: Any = None) -> Node:
    """Fill an array shaped like another with one value.

    Args:
        x: gives the shape, also where its rank is still open.
        value: a number or node that broadcasts to that shape.
        dtype: of the result; that of `x` if None.

    Returns:
        A node of the shape of `x`.

    Example:
        >>> full_like(Placeholder("x", ("N",), "float32"), 2)
        <full_like: float32[N]>
    """
    return FULL_LIKE(x, value, dtype=None if dtype is None else check_dtype(dtype))


def zeros_like(x: Operand, dtype: Any = None) -> Node:
    """Fill an array shaped like another with zeros; see `full_like`."""
    return full_like(x, 0, dtype)


def ones_like(x: Operand, dtype: Any = None) -> Node:
    """Fill an array shaped like another with ones; see `full_like`."""
    return full_like(x, 1, dtype)


def eye(rows: Extent, columns: Extent | None = None, k: int = 0, dtype: Any = "float64") -> Node:
    """Give ones on a diagonal and zeros elsewhere.

    Args:
        rows: an int or a symbolic extent.
        columns: likewise; as many as rows if None.
        k: which diagonal; positive is above the main one.
        dtype: of the result.

    Returns:
        A node of shape (rows, columns).

    Example:
        >>> eye(3, dtype="float32")
        <cast: float32[3, 3]>
    """
    row = reshape(arange(k, as_extent(rows) + k), (-1, 1))
    return cast(equal(row, arange(rows if columns is None else columns)), dtype)


def _infer_one_hot(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    labels: TensorType = types[0]
    if labels.element not in INTEGERS:
        raise DTypeError(f"labels are integers, not {labels.element}")
    return TensorType(attrs["dtype"], (*labels.dims, attrs["classes"]))


def _expand_one_hot(labels: Node, classes: Extent, dtype: str) -> Node:
    column = reshape(check_index(labels, classes), (*labels.type.dims, 1))
    return cast(equal(column, arange(classes)), dtype)


def _one_hot(labels: Array, classes: int, dtype: str) -> Array:
    checked = CHECK_INDEX.numpy(labels, np.asarray(classes))
    return np.asarray(checked[..., None] == np.arange(classes)).astype(dtype)


ONE_HOT = Op(
    name="one_hot",
    kind=Composite(_expand_one_hot),
    infer=_infer_one_hot,
    numpy=_one_hot,
    grad=NO_GRADIENT,
    samples=(
        Sample(lambda rng: (rng.integers(0, 4, (2, 3)),), {"classes": 4, "dtype": "float32"}, ()),
    ),
    doc="1 at the position of each label on a new last axis, 0 elsewhere.",
)


def one_hot(labels: Operand, classes: Extent, dtype: Any = "float32") -> Node:
    """Turn labels into rows that are 1 at the label and 0 elsewhere.

    Args:
        labels: integers in [0, classes), of any shape.
        classes: how many there are, an int or a symbolic extent.
        dtype: of the result.

    Returns:
        A node of shape (*labels.shape, classes).

    Raises:
        DTypeError: `labels` are not integers.
        BoundsError: when called, with a label out of range.

    Example:
        >>> one_hot(Placeholder("t", ("N",), "int64"), 10)
        <one_hot: float32[N, 10]>
    """
    return ONE_HOT(labels, classes=as_extent(classes), dtype=check_dtype(dtype))
