"""Rebuilding graphs: the one traversal that every pass uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import is_
from typing import Any

from symgraph.errors import SymGraphError
from symgraph.location import located_at
from symgraph.node import Graph, Node, infer_type, located_message

Transform = Callable[[Node, tuple[Node, ...]], Node]


def with_inputs(
    node: Node, inputs: tuple[Node, ...], attrs: Mapping[str, Any] | None = None
) -> Node:
    """Return `node` on other inputs and attrs, its type inferred anew; itself if nothing changes.

    Raises:
        SymGraphError: the op's type rule refuses the new inputs.
    """
    attrs = node.attrs if attrs is None else attrs
    if attrs is node.attrs and all(map(is_, inputs, node.inputs)):
        assert len(inputs) == len(node.inputs), f"{node.op.name} keeps its number of inputs"
        return node
    try:
        return Node(node.op, inputs, attrs, infer_type(node.op, inputs, attrs), node.loc)
    except SymGraphError as error:
        raise type(error)(located_message(node.op, inputs, node.loc, str(error))) from None


def rebuild(graph: Graph, transform: Transform) -> Graph:
    """Return `graph` with `transform(node, new_inputs)` in place of each node, inputs first.

    `transform` returns the replacement; nodes that it makes carry the location of the node they
    replace. Branches and bodies held in attrs are rebuilt by the same transform first.
    """
    replaced: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple([replaced[child] for child in node.inputs])
        with located_at(node.loc):
            replaced[node] = transform(node, inputs)
    return Graph(
        tuple(replaced.get(leaf, leaf) for leaf in graph.inputs),
        tuple(replaced[node] for node in graph.outputs),
    )


def nodes_within(graph: Graph) -> Iterator[Node]:
    """Yield the nodes of `graph`, each after its inputs, and those of the sub-graphs they hold."""
    stack = [graph]
    while stack:
        for node in stack.pop():
            yield node
            stack.extend(value for value in node.attrs.values() if isinstance(value, Graph))


def map_subgraphs(node: Node, change: Callable[[Graph], Graph]) -> Mapping[str, Any]:
    """Return the attrs of `node` with every sub-graph changed; the same object if there is none."""
    for value in node.attrs.values():
        if isinstance(value, Graph):
            break
    else:
        return node.attrs
    return {
        key: change(value) if isinstance(value, Graph) else value
        for key, value in node.attrs.items()
    }
