"""The core op `assemble`, and what is made of it: concatenate, stack, split, pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.dims import Extent, minimum
from symgraph.errors import GraphError, ShapeError
from symgraph.leaves import lift
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.op import Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array, as_int
from symgraph.ops.assume import assume_at_least, assume_equal
from symgraph.ops.composite import composite
from symgraph.ops.slices import SLICE, python_slice
from symgraph.ops.views import reshape, shape_text
from symgraph.types import Shape, TensorType, normalise_axis, promote

Placement = tuple[Shape, tuple[int, ...]]


def _infer_assemble(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    shape: Shape = attrs["shape"]
    placements: tuple[Placement, ...] = attrs["placements"]
    if not types or len(placements) != len(types):
        raise ShapeError(f"{len(types)} parts have {len(placements)} placements")
    for part, (starts, steps) in zip(types, placements, strict=True):
        if not part.rank == len(shape) == len(starts) == len(steps):
            raise ShapeError(f"a part of rank {part.rank} does not fit {shape_text(shape)}")
        for whole, length, start, step in zip(shape, part.dims, starts, steps, strict=True):
            if length == 0:
                continue
            last = start + (length - 1) * step
            # 1 where there is something to place: nothing fits anywhere.
            some = minimum(length, 1)
            reason = f"a part of extent {length} from {start} by {step} leaves an axis of {whole}"
            assume_at_least(whole, some * ((last if step > 0 else start) + 1), reason)
            assume_at_least(some * (start if step > 0 else last), 0, reason)
    return TensorType(promote(types), shape, all(part.weak for part in types))


def _assemble(
    *parts: Array, shape: tuple[int, ...], fill: float, placements: tuple[Any, ...]
) -> Array:
    result = np.full(shape, fill, np.result_type(*parts))
    for part, (starts, steps) in zip(parts, placements, strict=True):
        result[tuple(map(python_slice, starts, steps, part.shape))] = part
    return result


def _assemble_gradient(
    g: Node, y: Node, *parts: Node, shape: Shape, fill: float, placements: tuple[Placement, ...]
) -> tuple[Node, ...]:
    return tuple(
        SLICE(g, starts=starts, steps=steps, lengths=part.type.dims)
        for part, (starts, steps) in zip(parts, placements, strict=True)
    )


ASSEMBLE = Op(
    name="assemble",
    kind=Library("assemble"),
    infer=_infer_assemble,
    numpy=_assemble,
    grad=_assemble_gradient,
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(2, 3)), rng.normal(size=(1, 2))),
            {"shape": (5, 4), "fill": 0.5, "placements": (((0, 3), (2, -1)), ((3, 0), (1, 2)))},
            (0, 1),
        ),
    ),
    doc="`fill` everywhere but where the parts, which do not overlap, are written: element k of an "
    "axis of a part goes to start + k * step. Where a part is empty its start is not used.",
)


def _expand_concatenate(*parts: Node, axis: int) -> Node:
    rank = parts[0].type.rank
    if rank == 0:
        raise ShapeError("arrays without axes cannot be joined along one; use stack")
    axis = normalise_axis(axis, rank)
    shape: list[Extent] = list(parts[0].type.dims)
    total: Extent = 0
    placements: list[Placement] = []
    for number, part in enumerate(parts):
        if part.type.rank != rank:
            raise ShapeError(f"operand {number} has {part.type.rank} axes, operand 0 has {rank}")
        for i, extent in enumerate(part.type.dims):
            if i != axis:
                shape[i] = _common(shape[i], extent, f"axis {i} of operand {number}")
        placements.append((tuple(total if i == axis else 0 for i in range(rank)), (1,) * rank))
        total = total + part.type.dims[axis]
    shape[axis] = total
    return ASSEMBLE(*parts, shape=tuple(shape), fill=0, placements=tuple(placements))


def _common(first: Extent, other: Extent, where: str) -> Extent:
    assume_equal(first, other, f"{where} has extent {other}, but operand 0 has {first}")
    return other if isinstance(other, int) else first


CONCATENATE = composite(
    "concatenate",
    expand=_expand_concatenate,
    numpy=lambda *parts, axis: np.concatenate(parts, axis),
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(2, 3)), rng.normal(size=(2, 1)), np.zeros((2, 0))),
            {"axis": -1},
            (0, 1),
        ),
        Sample(lambda rng: (rng.normal(size=3),), {"axis": 0}, (0,)),
    ),
    doc="The parts one after the other along an axis; all other extents are equal.",
)


def _parts(arrays: Sequence[Operand], name: str) -> list[Node]:
    if isinstance(arrays, Node) or not len(arrays):
        raise GraphError(
            f"{name} takes a non-empty sequence of arrays, not {arrays!r}\n  at {user_location()}"
        )
    return [lift(array) for array in arrays]


def concatenate(arrays: Sequence[Operand], axis: int | None = 0) -> Node:
    """Join arrays along an axis.

    Args:
        arrays: at least one, of equal extents but along `axis`.
        axis: an axis that all have; None joins their elements in C order.

    Returns:
        A node of the promoted dtype.

    Raises:
        GraphError: there are no arrays.
        ShapeError: ranks or extents differ, or the axis is out of range.

    Example:
        >>> x = Placeholder("x", ("N", 3), "float32")
        >>> concatenate([x, x])
        <concatenate: float32[2*N, 3]>
    """
    parts = _parts(arrays, "concatenate")
    if axis is None:
        return CONCATENATE(*(reshape(part, (-1,)) for part in parts), axis=0)
    return CONCATENATE(*parts, axis=as_int(axis, "an axis"))


def _expand_stack(*parts: Node, axis: int) -> Node:
    rank = parts[0].type.rank
    axis = normalise_axis(axis, rank + 1)
    for number, part in enumerate(parts):
        if part.type.rank != rank:
            raise ShapeError(f"operand {number} has {part.type.rank} axes, operand 0 has {rank}")
    slabs = [reshape(part, (*part.type.dims[:axis], 1, *part.type.dims[axis:])) for part in parts]
    return _expand_concatenate(*slabs, axis=axis)


STACK = composite(
    "stack",
    expand=_expand_stack,
    numpy=lambda *parts, axis: np.stack(parts, axis),
    samples=(
        Sample(lambda rng: (rng.normal(size=3), rng.normal(size=3)), {"axis": -1}, (0, 1)),
        Sample(lambda rng: (rng.normal(size=()), rng.normal(size=())), {"axis": 0}, (0, 1)),
    ),
    doc="The parts, all of one shape, along a new axis.",
)


def stack(arrays: Sequence[Operand], axis: int = 0) -> Node:
    """Join arrays of one shape along a new axis.

    Args:
        arrays: at least one.
        axis: the place of the new axis in the result.

    Returns:
        A node of the promoted dtype.

    Raises:
        GraphError: there are no arrays.
        ShapeError: shapes differ, or the axis is out of range.

    Example:
        >>> x = Placeholder("x", ("N",), "float32")
        >>> stack([x, x, x], axis=1)
        <stack: float32[N, 3]>
    """
    return STACK(*_parts(arrays, "stack"), axis=as_int(axis, "an axis"))
