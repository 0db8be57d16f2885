"""The core view that takes a regular part of an array; its adjoint is `assemble`."""

from __future__ import annotations

from typing import Any

from symgraph.errors import ShapeError
from symgraph.node import Node
from symgraph.op import Attrs, Op, Sample, View
from symgraph.ops.arguments import Array
from symgraph.types import Shape, TensorType


def python_slice(start: int, step: int, length: int) -> slice:
    """Return the Python slice that takes `length` elements from `start` on."""
    if length == 0:
        return slice(0, 0)
    stop = start + step * length
    return slice(start, stop if stop >= 0 else None, step)


def _infer_slice(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x: TensorType = types[0]
    starts, steps, lengths = attrs["starts"], attrs["steps"], attrs["lengths"]
    if not len(starts) == len(steps) == len(lengths) == x.rank:
        raise ShapeError(f"starts, steps and lengths need one entry for each of {x.rank} axes")
    for extent, start, step, length in zip(x.dims, starts, steps, lengths, strict=True):
        if length == 0 or not all(isinstance(v, int) for v in (extent, start, length)):
            continue
        last = start + (length - 1) * step
        if step == 0 or length < 0 or not (0 <= start < extent and 0 <= last < extent):
            raise ShapeError(f"elements {start} to {last} lie outside an axis of extent {extent}")
    return x.with_shape(lengths)


def _slice(
    x: Array, starts: tuple[int, ...], steps: tuple[int, ...], lengths: tuple[int, ...]
) -> Array:
    return x[tuple(map(python_slice, starts, steps, lengths))]


def _slice_gradient(
    g: Node, y: Node, x: Node, *, starts: Shape, steps: tuple[int, ...], lengths: Shape
) -> tuple[Node]:
    from symgraph.ops.joining import ASSEMBLE

    return (ASSEMBLE(g, shape=x.type.dims, fill=0, placements=((starts, steps),)),)


SLICE = Op(
    name="slice",
    kind=View(),
    infer=_infer_slice,
    numpy=_slice,
    grad=_slice_gradient,
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(5, 4)),),
            {"starts": (1, 3), "steps": (2, -1), "lengths": (2, 3)},
            (0,),
        ),
    ),
    doc="Element k of an axis is start + k * step of x; where a length is 0 its start is not used.",
)
