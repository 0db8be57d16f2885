"""Making composites: ops that are written in terms of other ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import SymGraphError
from symgraph.leaves import ARGUMENT
from symgraph.location import user_location
from symgraph.node import Node
from symgraph.op import (
    BY_EXPANSION,
    Attrs,
    Composite,
    Gradient,
    Infer,
    Op,
    Sample,
    _Expanded,
    _NoGradient,
)
from symgraph.types import FLOATS, Type

Array = np.ndarray[Any, Any]


def argument(declared: Type) -> Node:
    """Return a leaf that stands for an operand of the given type."""
    return Node(ARGUMENT, (), {"type": declared}, declared, user_location())


def inferred_by(expand: Callable[..., Node]) -> Infer:
    """Return the type rule that expands over arguments of the operands' types."""

    def infer(types: tuple[Any, ...], attrs: Attrs) -> Type:
        try:
            declared: Type = expand(*(argument(entry) for entry in types), **attrs).type
        except SymGraphError as error:
            # What follows the first line tells of operands that the user has never seen.
            raise type(error)(str(error).split("\n", 1)[0]) from None
        return declared

    return infer


def composite(
    name: str,
    *,
    expand: Callable[..., Node],
    numpy: Callable[..., Any],
    samples: tuple[Sample, ...],
    doc: str,
    grad: Gradient | _NoGradient | _Expanded = BY_EXPANSION,
) -> Op:
    """Return the record of a composite, whose type is that of its expansion.

    Args:
        name: unique name of the op.
        expand: gives the equivalent node, for operands of known type.
        numpy: the reference.
        samples: calls that the tests make.
        doc: what it computes.
        grad: a rule of its own where that is better than differentiating the expansion.
    """
    return Op(
        name=name,
        kind=Composite(expand),
        infer=inferred_by(expand),
        numpy=numpy,
        grad=grad,
        samples=samples,
        doc=doc,
    )


def as_float(x: Node) -> Node:
    """Return `x`, cast to float64 where it holds integers or bools."""
    from symgraph.ops.elementwise import cast

    return x if x.type.element in FLOATS else cast(x, dtype="float64")


def numpy_floats(x: Array) -> Array:
    """Return `x` as `as_float` does."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)
