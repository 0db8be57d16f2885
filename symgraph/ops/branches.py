"""Turning branch and body functions into closed graphs, with arguments for outer nodes they use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.errors import GraphError
from symgraph.leaves import lift
from symgraph.location import user_location
from symgraph.node import Graph, Node, topological
from symgraph.op import Leaf
from symgraph.ops.composite import argument
from symgraph.ops.elementwise import cast
from symgraph.ops.streams import rehearsal
from symgraph.types import UNKNOWN, TensorType


@dataclass(frozen=True)
class Nested:
    """How arrays are nested in what a function takes or returns.

    Args:
        kind: tuple (for lists too), dict, or the class of a named tuple.
        keys: of a dict, in sorted order.
        entries: the structure of each entry.
    """

    kind: type
    keys: tuple[Any, ...]
    entries: tuple[Structure, ...]


Structure = Nested | None
"""None for one array."""

NOTHING = Nested(tuple, (), ())
"""The structure of an empty tuple."""


@dataclass(frozen=True)
class Branch:
    """What a branch or body function built: its outputs, and the outer nodes that they use."""

    outputs: list[Node]
    structure: Structure
    captured: list[Node]


def trace(
    function: Callable[..., Any],
    what: str,
    operands: Sequence[Any] = (),
    own: Sequence[Node] = (),
) -> Branch:
    """Return what a branch or body function builds.

    Args:
        function: the user's.
        what: how messages name it.
        operands: what it is called with.
        own: the leaves inside `operands`, which belong to the function.

    Raises:
        GraphError: it is no function, takes other arguments, or returns nothing.
    """
    if not callable(function) or isinstance(function, Node):
        wanted = "a function without arguments, such as lambda: x" if not operands else "a function"
        raise GraphError(f"{what} must be {wanted}, not {function!r}\n  at {user_location()}")
    check_arguments(function, what, ("the carry", "a row")[: len(operands)])
    # A node that both runs use was there before; those of one run only belong to the function.
    with rehearsal():
        rehearsed, _ = flattened(function(*operands), what)
    outer = set(topological(rehearsed))
    outputs, structure = flattened(function(*operands), what)
    return Branch(outputs, structure, _frontier(outputs, outer, set(own)))


def check_arguments(function: Callable[..., Any], what: str, wanted: Sequence[str]) -> None:
    """Refuse a function that cannot be called with the arguments that it will get.

    Args:
        function: the user's.
        what: how messages name it.
        wanted: what each argument is.

    Raises:
        GraphError: it cannot.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some functions written in C do not tell
    try:
        signature.bind(*wanted)
    except TypeError as error:
        given = " and ".join(wanted) or "no arguments"
        raise GraphError(
            f"{what} is called with {given}, but takes {signature}: {error}\n"
            f"  at {user_location()}" + ("\n  several come as one tuple" if wanted else "")
        ) from None


def flattened(result: Any, what: str) -> tuple[list[Node], Structure]:
    """Return the nodes in nested tuples, lists and dicts, and their structure.

    Raises:
        GraphError: there is nothing in it that can be a node.
    """
    if isinstance(result, tuple | list | dict):
        keys = tuple(sorted(result, key=repr)) if isinstance(result, dict) else ()
        entries = [result[key] for key in keys] if isinstance(result, dict) else result
        parts = [flattened(entry, what) for entry in entries]
        kind: type = dict if isinstance(result, dict) else tuple
        if hasattr(result, "_fields"):
            kind = type(result)
        nodes = [node for found, _ in parts for node in found]
        return nodes, Nested(kind, keys, tuple(structure for _, structure in parts))
    if result is None:
        raise GraphError(f"{what} returns nothing\n  at {user_location()}")
    return [lift(result)], None


def rebuilt(structure: Structure, parts: Iterator[Any]) -> Any:
    """Return the next of `parts`, or as many of them as `structure` holds, nested as it says."""
    if structure is None:
        return next(parts)
    entries = [rebuilt(entry, parts) for entry in structure.entries]
    if structure.kind is dict:
        return dict(zip(structure.keys, entries, strict=True))
    return tuple(entries) if structure.kind is tuple else structure.kind(*entries)


def outline(branch: Branch) -> str:
    """Return how messages show the structure of what a branch returns."""
    if not branch.outputs:
        return "()"
    shown = rebuilt(branch.structure, iter(["array"] * len(branch.outputs)))
    return f"{shown} (made at {branch.outputs[0].loc})"


def _is_captured(node: Node, outer: set[Node]) -> bool:
    """Tell whether a branch takes `node` as an operand: outer nodes, and every stateful leaf."""
    if isinstance(node.op.kind, Leaf):
        return node.op.name in ("placeholder", "parameter", "argument", "call_index")
    return node in outer


def _frontier(outputs: Sequence[Node], outer: set[Node], own: set[Node]) -> list[Node]:
    """Return the captured nodes that are reached first on the way up from `outputs`."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(reversed(outputs))
    while stack:
        node = stack.pop()
        if node in seen or node in own:
            continue
        seen.add(node)
        if _is_captured(node, outer):
            found[node] = None
        else:
            stack.extend(reversed(node.inputs))
    return list(found)


def closed(
    branch: Branch,
    captured: Sequence[Node],
    types: Sequence[TensorType],
    own: Sequence[Node] = (),
) -> Graph:
    """Return the branch as a graph of its own, with arguments for its own and for captured nodes.

    Args:
        branch: what a function built.
        captured: the outer nodes that become arguments.
        types: what each output is converted to.
        own: the leaves that are arguments already; they come first.
    """
    stand_ins = {node: argument(node.type) for node in captured}
    outputs = substituted(branch.outputs, {**dict(zip(own, own, strict=True)), **stand_ins})
    return Graph((*own, *stand_ins.values()), tuple(map(_converted, outputs, types)))


def substituted(outputs: Sequence[Node], known: Mapping[Node, Node]) -> list[Node]:
    """Return `outputs` with the nodes that `known` names replaced, and what rests on them rebuilt.

    Nothing is looked at behind a replaced node. Types stay as they are.
    """
    replaced = dict(known)
    for node in _inner(outputs, set(known)):
        operands = tuple(replaced[child] for child in node.inputs)
        same = all(a is b for a, b in zip(operands, node.inputs, strict=True))
        replaced[node] = node if same else Node(node.op, operands, node.attrs, node.type, node.loc)
    return [replaced[node] for node in outputs]


def _inner(outputs: Sequence[Node], stops: set[Node]) -> list[Node]:
    """Return the nodes behind `outputs` that are not behind `stops`, each after its inputs."""
    order: list[Node] = []
    seen: set[Node] = set(stops)
    stack = [(node, False) for node in reversed(outputs)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.inputs) if child not in seen)
    return order


def _converted(node: Node, declared: TensorType) -> Node:
    if declared is UNKNOWN or node.type.dtype in (declared.dtype, None):
        return node
    if declared.weak:
        # A cast would make it strong.
        return node * 1.0
    return cast(node, declared.element)
