"""Nested outputs: a node, or tuples, lists and dicts of nodes, flattened and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from symgraph.errors import GraphError
from symgraph.leaves import lift
from symgraph.location import user_location
from symgraph.node import Node


def flatten(outputs: Any) -> tuple[list[Node], Callable[[Sequence[Any]], Any]]:
    """Return the nodes inside `outputs`, and a function that rebuilds the same nesting.

    Args:
        outputs: a node, a number or array (a constant), or a nested tuple, list or dict of them.

    Raises:
        GraphError: something inside cannot become a node.
    """
    nodes: list[Node] = []
    shape = _collect(outputs, nodes)
    if shape is None:
        return nodes, _only
    return nodes, lambda values: _rebuild(shape, iter(values))


def _only(values: Sequence[Any]) -> Any:
    return values[0]


def _collect(part: Any, nodes: list[Node]) -> Any:
    """Append the nodes inside `part`; return None for a leaf, else (type, keys, children)."""
    if isinstance(part, dict):
        return (dict, tuple(part), [_collect(item, nodes) for item in part.values()])
    if isinstance(part, tuple | list):
        return (type(part), None, [_collect(item, nodes) for item in part])
    if part is None or isinstance(part, str | Set | Iterator) or callable(part):
        raise GraphError(
            f"an output is a node, or a tuple, list or dict of nodes, not {part!r}\n"
            f"  at {user_location()}"
        )
    nodes.append(lift(part))
    return None


def _rebuild(shape: Any, values: Any) -> Any:
    if shape is None:
        return next(values)
    kind, keys, children = shape
    items = [_rebuild(child, values) for child in children]
    if kind is dict:
        return dict(zip(keys, items, strict=True))
    if hasattr(kind, "_fields"):
        return kind(*items)
    return kind(items)
