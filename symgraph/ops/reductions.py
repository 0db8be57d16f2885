"""The records of the reductions: sum, prod, max, min, any, all. Users call those in `reduce`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.node import Node
from symgraph.op import NO_GRADIENT, Attrs, Gradient, Op, Reduce, Sample, _NoGradient
from symgraph.ops.adjoint import scaled
from symgraph.ops.arguments import Array
from symgraph.ops.assume import assume_at_least
from symgraph.ops.comparison import where
from symgraph.ops.elementwise import cast
from symgraph.ops.views import broadcast_to, reshape
from symgraph.types import FLOATS, Shape, TensorType, normalise_axes

Axes = int | tuple[int, ...] | None


def reduced_shape(x: TensorType, axis: Axes, keepdims: bool) -> Shape:
    """Return the shape of `x` reduced along `axis`."""
    axes = normalise_axes(axis, x.rank)
    if keepdims:
        return tuple(1 if i in axes else extent for i, extent in enumerate(x.dims))
    return tuple(extent for i, extent in enumerate(x.dims) if i not in axes)


def accumulated(dtype: str) -> str:
    """Return the dtype in which NumPy sums `dtype`."""
    return dtype if dtype in FLOATS else "int64"


def spread(g: Node, x: Node, axis: Axes) -> Node:
    """Return `g`, a reduction of `x` along `axis`, repeated to the shape of `x`."""
    return broadcast_to(kept(g, x, axis), x.type.dims)


def kept(g: Node, x: Node, axis: Axes) -> Node:
    """Return `g`, a reduction of `x` along `axis`, with those axes kept with extent 1."""
    return reshape(g, reduced_shape(x.type, axis, True))


def _require_elements(x: TensorType, axis: Axes, name: str) -> None:
    for i in normalise_axes(axis, x.rank):
        assume_at_least(
            x.dims[i], 1, f"axis {i} of {x} is empty, and {name} of nothing is undefined"
        )


def _reduction(
    name: str,
    function: Callable[..., Any],
    *,
    dtype: Callable[[str], str],
    grad: Gradient | _NoGradient,
    make: Callable[[np.random.Generator], Array],
    doc: str,
    needs_elements: bool = False,
) -> Op:
    def infer(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
        x: TensorType = types[0]
        if needs_elements:
            _require_elements(x, attrs["axis"], name)
        shape = reduced_shape(x, attrs["axis"], attrs["keepdims"])
        return TensorType(dtype(x.element), shape, x.weak)

    def reference(x: Array, axis: Axes, keepdims: bool) -> Array:
        if needs_elements and any(x.shape[i] == 0 for i in normalise_axes(axis, x.ndim)):
            raise ShapeError(f"{name}: an axis of shape {x.shape} is empty")
        return np.asarray(function(x, axis=axis, keepdims=keepdims))

    floats = () if grad is NO_GRADIENT else (0,)
    choices: tuple[tuple[Axes, bool], ...] = (
        (None, False),
        (-1, True),
        (0, False),
        ((0, 2), False),
    )
    return Op(
        name=name,
        kind=Reduce(name),
        infer=infer,
        numpy=reference,
        grad=grad,
        samples=tuple(
            Sample(lambda rng: (make(rng),), {"axis": axis, "keepdims": keepdims}, floats)
            for axis, keepdims in choices
        ),
        doc=doc,
    )


def _prod_gradient(g: Node, y: Node, x: Node, *, axis: Axes, keepdims: bool) -> tuple[Node]:
    # For each element the product of the others: the product of the non-zero ones, divided by
    # the element, unless a zero stands elsewhere. At a zero this is exact to first order only.
    is_zero = x == 0
    nonzero = where(is_zero, 1, x)
    zeros = SUM(is_zero, axis=axis, keepdims=True)
    others = where(zeros == cast(is_zero, "int64"), PROD(nonzero, axis=axis, keepdims=True), 0)
    return (scaled(spread(g, x, axis), others / nonzero),)


def _extreme_gradient(g: Node, y: Node, x: Node, *, axis: Axes, keepdims: bool) -> tuple[Node]:
    chosen = x == kept(y, x, axis)
    ties = SUM(chosen, axis=axis, keepdims=True)
    return (where(chosen, kept(g, x, axis) / cast(ties, x.type.element), 0),)


def _distinct(rng: np.random.Generator) -> Array:
    return rng.permutation(24).reshape(2, 3, 4) + rng.uniform(0.0, 0.3, (2, 3, 4))


SUM = _reduction(
    "sum",
    np.sum,
    dtype=accumulated,
    grad=lambda g, y, x, axis, keepdims: (spread(g, x, axis),),
    make=lambda rng: rng.normal(size=(2, 3, 4)),
    doc="The sum along axes; bools and int32 are summed as int64. Nothing sums to 0.",
)
PROD = _reduction(
    "prod",
    np.prod,
    dtype=accumulated,
    grad=_prod_gradient,
    make=lambda rng: rng.uniform(0.6, 1.5, (2, 3, 4)) * rng.choice([-1.0, 1.0], (2, 3, 4)),
    doc="The product along axes; bools and int32 are multiplied as int64. Nothing gives 1.",
)
MAX = _reduction(
    "max",
    np.max,
    dtype=lambda dtype: dtype,
    grad=_extreme_gradient,
    make=_distinct,
    doc="The largest element along axes; NaN if there is one. Ties share the gradient evenly.",
    needs_elements=True,
)
MIN = _reduction(
    "min",
    np.min,
    dtype=lambda dtype: dtype,
    grad=_extreme_gradient,
    make=_distinct,
    doc="The smallest element along axes; NaN if there is one. Ties share the gradient evenly.",
    needs_elements=True,
)
ANY = _reduction(
    "any",
    np.any,
    dtype=lambda dtype: "bool",
    grad=NO_GRADIENT,
    make=lambda rng: rng.integers(0, 2, (2, 3, 4)) * 1.0,
    doc="Whether some element along axes is not zero.",
)
ALL = _reduction(
    "all",
    np.all,
    dtype=lambda dtype: "bool",
    grad=NO_GRADIENT,
    make=lambda rng: rng.integers(0, 2, (2, 3, 4)) * 1.0,
    doc="Whether all elements along axes are not zero.",
)
