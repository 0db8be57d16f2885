"""The core ops `gather` and `scatter_add`, each the adjoint of the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import BoundsError, DTypeError, ShapeError
from symgraph.node import Node
from symgraph.op import Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array
from symgraph.ops.assume import assume_at_least, assume_equal
from symgraph.types import INTEGERS, Shape, TensorType, broadcast_shapes


def _positions(indices: tuple[TensorType, ...], shape: Shape) -> Shape:
    """Return the broadcast shape of the index arrays into the leading axes of `shape`."""
    for entry in indices:
        if entry.element not in INTEGERS:
            raise DTypeError(f"an index is an integer, not {entry.element}")
    if not 0 < len(indices) <= len(shape):
        raise ShapeError(f"{len(indices)} indices do not fit {len(shape)} axes")
    positions = broadcast_shapes(entry.dims for entry in indices)
    if 0 not in positions:
        for axis, extent in enumerate(shape[: len(indices)]):
            if extent == 0:
                assume_at_least(0, 1, f"axis {axis} is empty, so no index is in range")
    return positions


def _infer_gather(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x, indices = types[0], types[1:]
    return TensorType(x.element, (*_positions(indices, x.dims), *x.dims[len(indices) :]), x.weak)


def _gather(x: Array, *indices: Array) -> Array:
    try:
        return np.asarray(x[indices])
    except IndexError as error:
        raise BoundsError(f"gather: {error}") from None


def _gather_gradient(g: Node, y: Node, x: Node, *indices: Node) -> tuple[Node | None, ...]:
    return (SCATTER_ADD(g, *indices, shape=x.type.dims), *(None for _ in indices))


def _infer_scatter(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    updates, indices = types[0], types[1:]
    shape: Shape = attrs["shape"]
    if updates.element == "bool":
        raise DTypeError("bools do not add up in place; cast them to an integer dtype first")
    wanted = (*_positions(indices, shape), *shape[len(indices) :])
    reason = f"updates of shape {updates} are not of shape ({', '.join(map(str, wanted))})"
    if len(wanted) != updates.rank:
        raise ShapeError(reason)
    for extent, other in zip(updates.dims, wanted, strict=True):
        assume_equal(extent, other, reason)
    return TensorType(updates.element, shape, updates.weak)


def _scatter(updates: Array, *indices: Array, shape: tuple[int, ...]) -> Array:
    result = np.zeros(shape, updates.dtype)
    try:
        np.add.at(result, indices, updates)
    except IndexError as error:
        raise BoundsError(f"scatter_add: {error}") from None
    return result


def _scatter_gradient(
    g: Node, y: Node, updates: Node, *indices: Node, shape: Shape
) -> tuple[Node | None, ...]:
    return (GATHER(g, *indices), *(None for _ in indices))


def _two_indices(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.integers(-4, 4, (2, 1)), rng.integers(0, 3, 2)


GATHER = Op(
    name="gather",
    kind=Library("gather"),
    infer=_infer_gather,
    numpy=_gather,
    grad=_gather_gradient,
    samples=(
        Sample(lambda rng: (rng.normal(size=(4, 3)), rng.integers(-4, 4, 5)), {}, (0,)),
        Sample(lambda rng: (rng.normal(size=(4, 3, 2)), *_two_indices(rng)), {}, (0,)),
        Sample(lambda rng: (rng.normal(size=(4, 3)), np.asarray(-1)), {}, (0,)),
    ),
    doc="x at index arrays for its leading axes, which broadcast together; negative ones count "
    "from the end, and out of range is a BoundsError. Shape: (*indices, *other axes).",
)
SCATTER_ADD = Op(
    name="scatter_add",
    kind=Library("scatter_add"),
    infer=_infer_scatter,
    numpy=_scatter,
    grad=_scatter_gradient,
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(5, 3)), rng.integers(-4, 4, 5)), {"shape": (4, 3)}, (0,)
        ),
        Sample(
            lambda rng: (rng.normal(size=(2, 2, 2)), *_two_indices(rng)), {"shape": (4, 3, 2)}, (0,)
        ),
    ),
    doc="Zeros of `shape` to which the updates are added at index arrays for the leading axes; "
    "updates to one place add up.",
)
