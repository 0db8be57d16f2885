"""How gradient rules scale an adjoint without letting NaN leak out of values nobody selected.

In `where(x > 0, log(x), 0)` the adjoint of log(x) is zero wherever x <= 0, but there the factor
1 / x is infinite or NaN, and zero times that is NaN. So behind a selection the product is
`scale_adjoint`, in which a zero adjoint wins over any factor; elsewhere it is a plain product,
which is easier to simplify.
"""

from __future__ import annotations

import weakref

import numpy as np

from symgraph.node import Graph, Node, Operand
from symgraph.op import Op
from symgraph.ops.comparison import where
from symgraph.ops.elementwise import Array, between, elementwise, like

SELECTING = frozenset(
    (
        "where",
        "cond",
        "assemble",
        "scatter_add",
        "max_pool2d_scatter",
        "window_spread2d",
        "col2im",
    )
)
"""Ops whose presence means that an adjoint may be exactly zero for some elements."""


def _reference(g: Array, factor: Array) -> Array:
    return np.where(g == 0, g, g * factor)


scale_adjoint: Op = elementwise(
    "scale_adjoint",
    numpy=_reference,
    scalar=lambda s, g, factor: s.select(s.eq(g, s.like(0, g)), g, s.mul(g, factor)),
    # Where g is zero the factor has no influence, however large h has become by now.
    grad=lambda h, y, g, factor: (
        scale_adjoint(h, factor),
        where(g == 0, 0, scale_adjoint(h, g)),
    ),
    domain=(between(0.2, 3, signed=True), between(0.2, 3, signed=True)),
    dtypes=like(np.multiply),
    doc="g * factor, but zero wherever g is zero, even if the factor is infinite or NaN.",
)


def scaled(g: Node, factor: Operand) -> Node:
    """Return g * factor; where a selection lies behind g, a zero in g wins over any factor."""
    return scale_adjoint(g, factor) if behind_selection(g) else g * factor


def _selects(node: Node) -> bool:
    """Tell whether `node` selects, or runs a graph that does."""
    if node.op.name in SELECTING:
        return True
    graphs = (value for value in node.attrs.values() if isinstance(value, Graph))
    return any(_selects(inner) for graph in graphs for inner in graph)


_known: dict[int, tuple[weakref.ref[Node], bool]] = {}


def _recall(node: Node) -> bool | None:
    # Looked up by id and confirmed by identity: nodes overload ==, so they cannot be weak keys.
    entry = _known.get(id(node))
    return entry[1] if entry is not None and entry[0]() is node else None


def _remember(node: Node, answer: bool) -> None:
    key = id(node)
    _known[key] = (weakref.ref(node, lambda _: _known.pop(key, None)), answer)


def stand_in(leaf: Node, adjoint: Node) -> Node:
    """Return `leaf`, made known as behind a selection if the adjoint it stands for is."""
    _remember(leaf, behind_selection(adjoint))
    return leaf


def mark_behind_selection(leaf: Node, answer: bool) -> None:
    """Say of a leaf that stands for adjoints whether any of them is behind a selection."""
    _remember(leaf, answer)


def behind_selection(node: Node) -> bool:
    """Tell whether `node` is computed from a selecting op; each node is looked at once, ever."""
    stack = [node]
    while stack:
        top = stack[-1]
        answers = [_recall(child) for child in top.inputs]
        if _recall(top) is not None:
            stack.pop()
        elif _selects(top) or any(answers):
            _remember(top, True)
        elif None in answers:
            stack += [
                child for child, seen in zip(top.inputs, answers, strict=True) if seen is None
            ]
        else:
            _remember(top, False)
    return _recall(node) is True
