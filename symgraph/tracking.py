"""What `track` adds to a function: the states it writes, and their new values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgraph.compiler.rewrite import nodes_within, with_inputs
from symgraph.errors import GraphError
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.node import Graph, Node, describe
from symgraph.ops.state import TRACK

Updates = list[tuple[Parameter, Node]]


def with_tracked(outputs: Sequence[Node], updates: Updates) -> Updates:
    """Return `updates`, and after them those that the tracked nodes behind a function make.

    Args:
        outputs: what the function returns.
        updates: what it writes by the user's explicit wish.

    Raises:
        GraphError: a node is tracked inside a branch or loop body, a state that is tracked is in
            `updates` too, or one that may be tracked once is tracked twice.
    """
    graph = Graph((), (*outputs, *(value for _, value in updates)))
    tracked = _tracked(graph)
    current: dict[Node, Node] = {}
    for node in tracked:
        states = node.attrs["states"]
        _refuse_repeated(node, current, tracked)
        current |= zip(states, _after(node.inputs[1:], current), strict=True)
    explicit = {parameter for parameter, _ in updates}
    for state in current:
        if state in explicit:
            raise GraphError(
                f"{describe(state)} is in updates=, and a node that the function computes writes "
                f"it too: {describe(_writer(tracked, state))}\n  at {user_location()}\n"
                "  leave it out of updates=: what is tracked is written anyway"
            )
    return updates + [(s, value) for s, value in current.items() if isinstance(s, Parameter)]


def _refuse_repeated(node: Node, current: Mapping[Node, Node], tracked: Sequence[Node]) -> None:
    """Refuse to track a state once more where that would not go on from the first time."""
    for state in node.attrs["states"]:
        if state in current and node.attrs["once"]:
            raise GraphError(
                f"one function carries {describe(state)} on twice: {describe(node)} and "
                f"{describe(_writer(tracked, state))}\n  at {user_location()}\n"
                "  pass all steps as one sequence, or hand the carry on with run"
            )


def _tracked(graph: Graph) -> list[Node]:
    """Return one node for each call of `track` behind a graph, in the order of the calls.

    Raises:
        GraphError: one is inside a branch or a loop body, which may run never or many times.
    """
    outer = graph.nodes()
    known = set(outer)
    found: dict[int, Node] = {}
    for node in nodes_within(graph):
        if node.op is not TRACK:
            continue
        if node not in known:
            raise GraphError(
                "states cannot be tracked inside a branch of cond or the body of a loop: "
                f"{describe(node)}\n  at {user_location()}\n"
                "  return the new value from there, and track it outside; call layers with running "
                "statistics outside too"
            )
        found.setdefault(node.attrs["number"], node)
    return [found[number] for number in sorted(found)]


def _after(values: Sequence[Node], current: Mapping[Node, Node]) -> list[Node]:
    """Return `values` computed from the `current` values of states.

    What was tracked itself is computed from the values before the call, wherever it is used.
    """
    replaced = dict(current)
    for node in _behind(values, replaced):
        inputs = tuple(replaced.get(child, child) for child in node.inputs)
        replaced[node] = with_inputs(node, inputs)
    return [replaced.get(value, value) for value in values]


def _behind(values: Sequence[Node], stops: Mapping[Node, Node]) -> list[Node]:
    """Return the nodes behind `values`, not looking behind tracked ones, each after its inputs."""
    order: list[Node] = []
    seen: set[Node] = set(stops)
    stack = [(node, False) for node in reversed(values)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node not in seen and node.op is not TRACK:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.inputs) if child not in seen)
    return order


def _writer(tracked: Sequence[Node], state: Node) -> Node:
    return next(node for node in tracked if state in set(node.attrs["states"]))
