"""Reductions as users call them, and their relatives argmax, argmin and cumsum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import GraphError, ShapeError
from symgraph.leaves import lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.op import NO_GRADIENT, Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array, Axis, as_axes, as_int
from symgraph.ops.assume import assume_at_least
from symgraph.ops.reductions import ALL, ANY, MAX, MIN, PROD, SUM, accumulated, reduced_shape
from symgraph.ops.views import reshape
from symgraph.types import TensorType, normalise_axis


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Add up along axes.

    Args:
        x: any array.
        axis: an axis, several, or None for all; negative ones count from the back.
        keepdims: keep the reduced axes with extent 1.

    Returns:
        A node of the dtype of `x`; int64 for bools and integers.

    Raises:
        ShapeError: an axis is out of range or named twice.

    Example:
        >>> sum(Placeholder("x", ("N", 3), "float32"), axis=-1)
        <sum: float32[N]>
    """
    return SUM(x, axis=as_axes(axis), keepdims=bool(keepdims))


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Multiply along axes. Arguments, result and errors are those of `sum`.

    The gradient is exact for any number of zeros; at a zero, its own derivative is not.
    """
    return PROD(x, axis=as_axes(axis), keepdims=bool(keepdims))


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Take the largest along axes; a NaN wins. Ties share the gradient evenly.

    Args:
        x: any array.
        axis: an axis, several, or None for all; negative ones count from the back.
        keepdims: keep the reduced axes with extent 1.

    Returns:
        A node of the dtype of `x`.

    Raises:
        ShapeError: an axis is out of range, named twice, or empty.

    Example:
        >>> max(Placeholder("x", ("N", 3), "float32"), axis=1, keepdims=True)
        <max: float32[N, 1]>
    """
    return MAX(x, axis=as_axes(axis), keepdims=bool(keepdims))


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Take the smallest along axes; a NaN wins. All else is as for `max`."""
    return MIN(x, axis=as_axes(axis), keepdims=bool(keepdims))


def any(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Tell whether some element along axes is not zero. Arguments are those of `sum`."""
    return ANY(x, axis=as_axes(axis), keepdims=bool(keepdims))


def all(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Tell whether no element along axes is zero. Arguments are those of `sum`."""
    return ALL(x, axis=as_axes(axis), keepdims=bool(keepdims))


def _infer_position(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x: TensorType = types[0]
    axis = normalise_axis(attrs["axis"], x.rank)
    assume_at_least(x.dims[axis], 1, f"axis {axis} of {x} is empty, so no element is at any place")
    return TensorType("int64", reduced_shape(x, axis, False))


def _position(name: str, function: Callable[..., Any], which: str) -> Op:
    def reference(x: Array, axis: int) -> Array:
        if x.shape[axis] == 0:
            raise ShapeError(f"{name}: axis {axis} of shape {x.shape} is empty")
        return np.asarray(function(x, axis=axis), np.int64)

    return Op(
        name=name,
        kind=Library(name),
        infer=_infer_position,
        numpy=reference,
        grad=NO_GRADIENT,
        samples=tuple(
            Sample(lambda rng: (rng.normal(size=(3, 4)),), {"axis": axis}, ()) for axis in (0, -1)
        ),
        doc=f"int64: where along an axis the first of the {which} is, or the first NaN.",
    )


ARGMAX = _position("argmax", np.argmax, "largest elements")
ARGMIN = _position("argmin", np.argmin, "smallest elements")


def argmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Node:
    """Find where along an axis the largest element is: the first of several, the first NaN.

    Args:
        x: any array.
        axis: an axis; None looks through all elements in C order.
        keepdims: keep the axis with extent 1.

    Returns:
        An int64 node.

    Raises:
        ShapeError: the axis is out of range or empty.

    Example:
        >>> argmax(Placeholder("x", ("N", 3), "float32"), axis=-1)
        <argmax: int64[N]>
    """
    return _find(ARGMAX, x, axis, keepdims)


def argmin(x: Operand, axis: int | None = None, keepdims: bool = False) -> Node:
    """Find where along an axis the smallest element is; all else is as for `argmax`."""
    return _find(ARGMIN, x, axis, keepdims)


def _find(op: Op, x: Operand, axis: int | None, keepdims: bool) -> Node:
    from symgraph.ops.layout import expand_dims

    node = lift(x)
    if axis is not None:
        found = op(node, axis=as_int(axis, "an axis"))
        return expand_dims(found, axis) if keepdims else found
    found = op(reshape(node, (-1,)), axis=0)
    if not keepdims:
        return found
    if node.type.shape is None:
        raise GraphError(
            f"{op.name} over all axes with keepdims needs a known rank: {describe(node)}\n"
            f"  at {user_location()}\n  give its placeholders a shape"
        )
    return reshape(found, (1,) * node.type.rank)


def _infer_cumsum(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x: TensorType = types[0]
    normalise_axis(attrs["axis"], x.rank)
    return TensorType(accumulated(x.element), x.shape, x.weak)


def _cumsum_gradient(g: Node, y: Node, x: Node, *, axis: int) -> tuple[Node]:
    from symgraph.ops.layout import flip

    return (flip(CUMSUM(flip(g, axis), axis=axis), axis),)


CUMSUM = Op(
    name="cumsum",
    kind=Library("cumsum"),
    infer=_infer_cumsum,
    numpy=lambda x, axis: np.cumsum(x, axis=axis),
    grad=_cumsum_gradient,
    samples=tuple(
        Sample(lambda rng: (rng.normal(size=(3, 4)),), {"axis": axis}, (0,)) for axis in (0, -1)
    ),
    doc="The running sum along an axis; bools and int32 are summed as int64.",
)


def cumsum(x: Operand, axis: int | None = None) -> Node:
    """Add up along an axis, keeping every partial sum.

    Args:
        x: any array.
        axis: an axis; None goes through all elements in C order.

    Returns:
        A node of the shape of `x` (of one axis where `axis` is None); int64 for bools and integers.

    Raises:
        ShapeError: the axis is out of range.

    Example:
        >>> cumsum(Placeholder("x", ("N", 3), "float32"), axis=0)
        <cumsum: float32[N, 3]>
    """
    if axis is None:
        return CUMSUM(reshape(x, (-1,)), axis=0)
    return CUMSUM(x, axis=as_int(axis, "an axis"))
