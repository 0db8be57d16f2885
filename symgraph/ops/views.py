"""The core views that keep all elements: transpose, reshape, broadcast_to."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import Extent, broadcast, evaluate, floor_divide, product
from symgraph.errors import ShapeError
from symgraph.leaves import lift
from symgraph.node import Node, Operand
from symgraph.op import Attrs, Op, Sample, View
from symgraph.ops.arguments import Array, Axis, ShapeLike, as_axes, as_shape
from symgraph.ops.assume import assume_equal
from symgraph.types import Shape, TensorType, normalise_axis


def permutation(axes: tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    """Return `axes` counted from the front; None reverses all.

    Raises:
        ShapeError: `axes` is not a permutation of the axes.
    """
    if axes is None:
        return tuple(range(rank))[::-1]
    counted = tuple(normalise_axis(axis, rank) for axis in axes)
    if sorted(counted) != list(range(rank)):
        raise ShapeError(f"axes {axes} is not a permutation of the {rank} axes")
    return counted


def _infer_transpose(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x: TensorType = types[0]
    return x.with_shape(tuple(x.dims[axis] for axis in permutation(attrs["axes"], x.rank)))


def _transpose_gradient(g: Node, y: Node, x: Node, *, axes: tuple[int, ...] | None) -> tuple[Node]:
    forward = permutation(axes, x.type.rank)
    return (TRANSPOSE(g, axes=tuple(forward.index(axis) for axis in range(len(forward)))),)


TRANSPOSE = Op(
    name="transpose",
    kind=View(),
    infer=_infer_transpose,
    numpy=lambda x, axes: np.transpose(x, axes),
    grad=_transpose_gradient,
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 3, 4)),), {"axes": (1, -1, 0)}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3)),), {"axes": None}, (0,)),
    ),
    doc="The axes of x in another order; axes=None reverses them.",
)


def resolved_shape(source: Shape, target: Shape) -> Shape:
    """Return `target` with its -1 replaced so that it holds as many elements as `source`.

    Raises:
        ShapeError: no extent fits, or the element counts differ.
    """
    size = product(source)
    if -1 not in target and product(target) == size:
        if any(isinstance(extent, int) and extent < 0 for extent in target):
            raise ShapeError(f"shape {shape_text(target)} has a negative extent")
        return target
    reason = f"{size} elements of shape {shape_text(source)} do not fill shape {shape_text(target)}"
    if any(isinstance(extent, int) and extent < -1 for extent in target):
        raise ShapeError(f"shape {shape_text(target)} has a negative extent")
    if target.count(-1) > 1:
        raise ShapeError(f"shape {shape_text(target)} has more than one -1")
    if -1 in target:
        rest = product(tuple(extent for extent in target if extent != -1))
        if rest == 0:
            raise ShapeError(
                f"-1 is ambiguous in shape {shape_text(target)}, which has an extent 0"
            )
        target = tuple(floor_divide(size, rest) if entry == -1 else entry for entry in target)
    assume_equal(product(target), size, reason)
    return target


def shape_text(shape: Shape) -> str:
    """Return how messages show a shape."""
    return f"({', '.join(str(extent) for extent in shape)})"


def _infer_reshape(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x: TensorType = types[0]
    return x.with_shape(resolved_shape(x.dims, attrs["shape"]))


def _reshape(x: Array, shape: tuple[int, ...]) -> Array:
    return np.reshape(x, tuple(evaluate(extent, {}) for extent in resolved_shape(x.shape, shape)))


RESHAPE: Op = Op(
    name="reshape",
    kind=View(),
    infer=_infer_reshape,
    numpy=_reshape,
    grad=lambda g, y, x, shape: (RESHAPE(g, shape=x.type.dims),),
    samples=(
        Sample(lambda rng: (rng.normal(size=(2, 6)),), {"shape": (3, -1)}, (0,)),
        Sample(lambda rng: (rng.normal(size=(1,)),), {"shape": ()}, (0,)),
    ),
    doc="The elements of x, in C order, in another shape; one extent may be -1.",
)


def _infer_broadcast(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x: TensorType = types[0]
    target: Shape = attrs["shape"]
    added = len(target) - x.rank
    if added < 0:
        raise ShapeError(
            f"{x.rank} axes do not broadcast to the {len(target)} of {shape_text(target)}"
        )
    result: list[Extent] = list(target)
    for position, extent in enumerate(x.dims, start=added):
        wanted = target[position]
        reason = f"shape {shape_text(x.dims)} does not broadcast to {shape_text(target)}"
        if wanted == 1:
            assume_equal(extent, 1, reason)
            continue
        merged = broadcast(extent, wanted)
        if merged is None:
            raise ShapeError(reason)
        result[position] = merged
    if any(isinstance(extent, int) and extent < 0 for extent in target):
        raise ShapeError(f"shape {shape_text(target)} has a negative extent")
    return x.with_shape(tuple(result))


BROADCAST_TO = Op(
    name="broadcast_to",
    kind=View(),
    infer=_infer_broadcast,
    numpy=lambda x, shape: np.broadcast_to(x, shape),
    grad=lambda g, y, x, shape: (g,),
    samples=(
        Sample(lambda rng: (rng.normal(size=(3, 1)),), {"shape": (2, 3, 4)}, (0,)),
        Sample(lambda rng: (rng.normal(size=()),), {"shape": (2,)}, (0,)),
    ),
    doc="x repeated along axes of extent 1 and along new leading axes.",
)


def transpose(x: Operand, axes: Axis = None) -> Node:
    """Reorder the axes of an array.

    Args:
        x: any array.
        axes: a permutation of the axes; None reverses them.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: `axes` is not a permutation.

    Example:
        >>> transpose(Placeholder("x", (2, "N"), "float32"))
        <transpose: float32[N, 2]>
    """
    order = as_axes(axes)
    return TRANSPOSE(x, axes=(order,) if isinstance(order, int) else order)


def reshape(x: Operand, shape: ShapeLike) -> Node:
    """Give the elements of an array, in C order, another shape.

    Args:
        x: any array.
        shape: extents, which may be symbolic (`y.shape[0]`); at most one is -1 and found.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: the element counts differ.

    Example:
        >>> reshape(Placeholder("x", ("N", 2, 3), "float32"), (-1, 6))
        <reshape: float32[N, 6]>
    """
    node = lift(x)
    target = as_shape(shape)
    result = RESHAPE(node, shape=target)
    # Stored without -1, so that the rewrites and the reference need not find it again.
    return RESHAPE(node, shape=result.type.shape) if -1 in target and result.type.shape else result


def broadcast_to(x: Operand, shape: ShapeLike) -> Node:
    """Repeat an array along axes of extent 1 and along new leading axes.

    Args:
        x: any array.
        shape: the extents of the result.

    Returns:
        A node of the same dtype.

    Raises:
        ShapeError: `x` does not broadcast to `shape`.

    Example:
        >>> broadcast_to(Placeholder("x", (3,), "float32"), (2, 3))
        <broadcast_to: float32[2, 3]>
    """
    return BROADCAST_TO(x, shape=as_shape(shape))
