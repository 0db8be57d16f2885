"""Minimum, maximum and clip, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.leaves import lift
from symgraph.node import Node, Operand
from symgraph.ops.comparison import where
from symgraph.ops.elementwise import Array, Draw, elementwise, halves, promoting
from symgraph.scalar import arithmetic as scalar_arithmetic


def _maximum_gradient(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:
    tied = where(a == b, 0.5 * g, g)
    return where(a < b, 0, tied), where(b < a, 0, tied)


def _minimum_gradient(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:
    tied = where(a == b, 0.5 * g, g)
    return where(b < a, 0, tied), where(a < b, 0, tied)


maximum = elementwise(
    "maximum",
    numpy=np.maximum,
    scalar=scalar_arithmetic.maximum,
    grad=_maximum_gradient,
    domain=(halves(0.0), halves(0.5)),
    doc="The larger of x and y; NaN if either is NaN. A tie splits the gradient in halves.",
)
minimum = elementwise(
    "minimum",
    numpy=np.minimum,
    scalar=scalar_arithmetic.minimum,
    grad=_minimum_gradient,
    domain=(halves(0.0), halves(0.5)),
    doc="The smaller of x and y; NaN if either is NaN. A tie splits the gradient in halves.",
)


def _clip_gradient(g: Node, y: Node, x: Node, low: Node, high: Node) -> tuple[Node, ...]:
    below, above = x < low, x > high
    crossed = low > high
    return (
        where(below | above, 0, g),
        where(below & ~crossed, g, 0),
        where(above | (below & crossed), g, 0),
    )


def _always(value: float) -> Draw:
    def draw(_rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return np.full(shape, value)

    return draw


# On a tie the extremes give their second operand, and clip keeps x.
CLIP = elementwise(
    "clip",
    numpy=lambda x, low, high: np.minimum(high, np.maximum(low, x)),
    scalar=lambda s, x, low, high: s.minimum(high, s.maximum(low, x)),
    grad=_clip_gradient,
    domain=(halves(0.25), _always(-1.5), _always(1.5)),
    dtypes=promoting,
    doc="x limited to [low, high]; the gradient passes inside and at both ends.",
)
AT_LEAST = elementwise(
    "at_least",
    numpy=lambda x, low: np.maximum(low, x),
    scalar=lambda s, x, low: s.maximum(low, x),
    grad=lambda g, y, x, low: (where(x < low, 0, g), where(x < low, g, 0)),
    domain=(halves(0.25), _always(-1.5)),
    dtypes=promoting,
    doc="x limited from below: clip without an upper bound.",
)
AT_MOST = elementwise(
    "at_most",
    numpy=lambda x, high: np.minimum(high, x),
    scalar=lambda s, x, high: s.minimum(high, x),
    grad=lambda g, y, x, high: (where(x > high, 0, g), where(x > high, g, 0)),
    domain=(halves(0.25), _always(1.5)),
    dtypes=promoting,
    doc="x limited from above: clip without a lower bound.",
)


def clip(x: Operand, low: Any = None, high: Any = None) -> Node:
    """Limit x to [low, high], element by element, as NumPy's `clip`.

    Args:
        x: any shape.
        low: the least value, or None for no limit; it broadcasts.
        high: the greatest value, or None for no limit; it wins where it lies below `low`.

    Returns:
        A node of the promoted dtype and the broadcast shape. The gradient of x is passed on
        inside the limits, ends included.

    Example:
        >>> clip(Placeholder("x", shape=(3,), dtype="float32"), 0, 1)
        <clip: float32[3]>
    """
    if low is None:
        return lift(x) if high is None else AT_MOST(x, high)
    return AT_LEAST(x, low) if high is None else CLIP(x, low, high)
