"""Results, carries and operands of loops and conditions that nobody needs are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symgraph.compiler.rewrite import with_inputs
from symgraph.location import located_at
from symgraph.node import Graph, Node, topological
from symgraph.ops.branches import substituted
from symgraph.ops.control import COND, PROJECT
from symgraph.ops.loop import LOOP, Parts, parts, trips

Results = Mapping[int, Node]
"""What replaces each result of a loop or condition."""


def prune(graph: Graph) -> Graph:
    """Return `graph` with smaller loops and conditions; itself if all of them is needed."""
    while True:
        used = _used_results(graph)
        for node, wanted in used.items():
            with located_at(node.loc):
                found = _smaller(node, wanted)
            if found is not None:
                graph = replaced(graph, node, found)
                break
        else:
            return graph


def replaced(graph: Graph, owner: Node, results: Results) -> Graph:
    """Return `graph` with the results of a loop or condition replaced."""
    known = {
        node: results[node.attrs["index"]]
        for node in graph
        if node.op is PROJECT and node.inputs[0] is owner
    }
    return Graph(graph.inputs, tuple(substituted(graph.outputs, known)))


def leaves_of(loop: Node, key: str = "body") -> Parts[Node]:
    """Return the arguments of the body of a loop."""
    return parts(loop.attrs[key].inputs, {**loop.attrs, "counted": False})


def _used_results(graph: Graph) -> dict[Node, set[int]]:
    used: dict[Node, set[int]] = {}
    for node in graph:
        if node.op is PROJECT and node.inputs[0].op in (LOOP, COND):
            used.setdefault(node.inputs[0], set()).add(node.attrs["index"])
    return used


def _smaller(node: Node, used: set[int]) -> Results | None:
    """Return the results that are used, of a smaller node; None if all of it is needed."""
    return _pruned(node, used) if node.op is LOOP else _pruned_condition(node, used)


def _pruned_condition(node: Node, used: set[int]) -> Results | None:
    branches: dict[str, Graph] = {key: node.attrs[key] for key in ("then_graph", "else_graph")}
    outputs = sorted(used)
    reached: set[Node] = set()
    for graph in branches.values():
        reached.update(topological([graph.outputs[k] for k in outputs]))
    operands = [
        k
        for k in range(len(node.inputs) - 1)
        if any(graph.inputs[k] in reached for graph in branches.values())
    ]
    if len(outputs) == len(node.type.items) and len(operands) == len(node.inputs) - 1:
        return None
    smaller = with_inputs(
        node,
        (node.inputs[0], *(node.inputs[1 + k] for k in operands)),
        {
            key: Graph(
                tuple(graph.inputs[k] for k in operands),
                tuple(graph.outputs[k] for k in outputs),
            )
            for key, graph in branches.items()
        },
    )
    return {k: PROJECT(smaller, index=place) for place, k in enumerate(outputs)}


@dataclass(frozen=True)
class _Needs:
    """Which positions of a loop's operands, and of the rows it returns, are needed."""

    carries: list[int]
    scanned: list[int]
    captured: list[int]
    rows: list[int]


def _pruned(loop: Node, used: set[int]) -> Results | None:
    given, leaves = parts(loop.inputs, loop.attrs), leaves_of(loop)
    body: Graph = loop.attrs["body"]
    count = len(given.carries)
    constant = [k for k in range(count) if body.outputs[k] is leaves.carries[k]]
    needs = _needs(loop, used)
    sizes = [len(given.carries), len(given.scanned), len(given.captured), len(body.outputs) - count]
    found = [needs.carries, needs.scanned, needs.captured, needs.rows]
    constant = [k for k in constant if k in needs.carries]
    if not constant and all(len(f) == size for f, size in zip(found, sizes, strict=True)):
        return None
    changing = [k for k in needs.carries if k not in constant]
    order = [
        *(leaves.carries[k] for k in changing),
        *(leaves.scanned[k] for k in needs.scanned),
        *(leaves.carries[k] for k in constant),
        *(leaves.captured[k] for k in needs.captured),
    ]
    outputs = [
        *(body.outputs[k] for k in changing),
        *(body.outputs[count + k] for k in needs.rows),
    ]
    condition: Graph | None = loop.attrs["condition"]
    if condition is not None:
        tested = condition.inputs
        condition = Graph(
            (
                *(tested[k] for k in changing),
                *(tested[k] for k in constant),
                *(tested[count + k] for k in needs.captured),
            ),
            condition.outputs,
        )
    attrs = {
        **loop.attrs,
        "body": Graph(tuple(order), tuple(outputs)),
        "condition": condition,
        "carries": len(changing),
        "scanned": len(needs.scanned),
        "length": trips(tuple(child.type for child in loop.inputs), loop.attrs),
    }
    inputs = (
        *given.count,
        *(given.carries[k] for k in changing),
        *(given.scanned[k] for k in needs.scanned),
        *(given.carries[k] for k in constant),
        *(given.captured[k] for k in needs.captured),
    )
    smaller = with_inputs(loop, inputs, attrs)
    results = {k: given.carries[k] for k in constant}
    results.update((k, PROJECT(smaller, index=j)) for j, k in enumerate(changing))
    first = len(changing)
    results.update((count + k, PROJECT(smaller, index=first + j)) for j, k in enumerate(needs.rows))
    return results


def _needs(loop: Node, used: set[int]) -> _Needs:
    leaves = leaves_of(loop)
    body: Graph = loop.attrs["body"]
    condition: Graph | None = loop.attrs["condition"]
    count = len(leaves.carries)
    wanted = set(used)
    if condition is not None:
        # The condition has arguments of its own, at the same places.
        reached = set(topological(condition.outputs))
        wanted |= {k for k in range(count) if condition.inputs[k] in reached}
    while True:
        reached = set(topological([body.outputs[k] for k in sorted(wanted)]))
        more = {k for k in range(count) if leaves.carries[k] in reached} - wanted
        if not more:
            break
        wanted |= more
    tested = set() if condition is None else set(topological(condition.outputs))
    return _Needs(
        carries=[k for k in range(count) if k in wanted],
        scanned=[k for k, leaf in enumerate(leaves.scanned) if leaf in reached],
        captured=[
            k
            for k, leaf in enumerate(leaves.captured)
            if leaf in reached or (condition is not None and condition.inputs[count + k] in tested)
        ],
        rows=[k for k in range(len(body.outputs) - count) if count + k in wanted],
    )
