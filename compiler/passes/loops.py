"""Loops made one, smaller, and rid of what does not change from step to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symgraph.compiler.passes.interning import Interner
from symgraph.compiler.passes.loop_motion import move_out
from symgraph.compiler.rewrite import map_subgraphs, rebuild, with_inputs
from symgraph.node import Graph, Node, topological
from symgraph.ops.branches import substituted
from symgraph.ops.control import PROJECT
from symgraph.ops.loop import LOOP, Parts, parts, trips

Results = Mapping[int, Node]
"""What replaces each result of a loop."""


def tidy_loops(graph: Graph) -> Graph:
    """Return `graph` with fewer and smaller loops, also inside of loops and branches.

    Loops that take the same steps become one: differentiation builds a loop once more to keep what
    the backward loop needs. Results that nobody reads, and carries that serve only themselves, go.
    What every step would compute alike is computed once, outside.
    """
    if not any(any(isinstance(v, Graph) for v in node.attrs.values()) for node in graph):
        return graph
    graph = _merge(graph)
    graph = _prune(graph)
    graph = _prune(move_out(graph))
    return rebuild(
        graph, lambda node, inputs: with_inputs(node, inputs, map_subgraphs(node, tidy_loops))
    )


def loops_of(graph: Graph) -> list[Node]:
    """Return the loops of a graph, not those inside them."""
    return [node for node in graph if node.op is LOOP]


def replaced(graph: Graph, loop: Node, results: Results) -> Graph:
    """Return `graph` with the results of a loop replaced."""
    known = {
        node: results[node.attrs["index"]]
        for node in graph
        if node.op is PROJECT and node.inputs[0] is loop
    }
    return Graph(graph.inputs, tuple(substituted(graph.outputs, known)))


def leaves_of(loop: Node, key: str = "body") -> Parts[Node]:
    """Return the arguments of the body of a loop."""
    return parts(loop.attrs[key].inputs, {**loop.attrs, "counted": False})


# Loops that take the same steps.


def _merge(graph: Graph) -> Graph:
    while True:
        found = _first_pair(loops_of(graph))
        if found is None:
            return graph
        longer, shorter, merged, places = found
        own = {k: PROJECT(merged, index=k) for k in range(len(longer.type.items))}
        others = {k: PROJECT(merged, index=place) for k, place in places.items()}
        graph = replaced(graph, longer, own)
        graph = replaced(graph, shorter, others)


def _first_pair(loops: Sequence[Node]) -> tuple[Node, Node, Node, dict[int, int]] | None:
    for position, one in enumerate(loops):
        for other in loops[position + 1 :]:
            for longer, shorter in ((one, other), (other, one)):
                found = _merged(longer, shorter)
                if found is not None:
                    return longer, shorter, *found
    return None


def _merged(longer: Node, shorter: Node) -> tuple[Node, dict[int, int]] | None:
    """Return one loop for two, and where the results of the shorter one are; None if they differ.

    The longer one may carry more than the shorter.
    """
    if not _may_merge(longer, shorter):
        return None
    interner = Interner()
    one = parts(longer.inputs, longer.attrs)
    own, other = leaves_of(longer), leaves_of(shorter)
    outer = {node: leaf for node, leaf in zip(one.captured, own.captured, strict=True)}
    known = dict(zip(other.carries, own.carries, strict=False))
    known.update(zip(other.scanned, own.scanned, strict=True))
    given = parts(shorter.inputs, shorter.attrs).captured
    known.update((leaf, outer[node]) for leaf, node in zip(other.captured, given, strict=True))
    kept = _interned(longer.attrs["body"].outputs, {}, interner)
    more = _interned(shorter.attrs["body"].outputs, known, interner)
    count, fewer = longer.attrs["carries"], shorter.attrs["carries"]
    if any(a is not b for a, b in zip(more[:fewer], kept, strict=False)):
        return None
    if longer.attrs["condition"] is not None and not _same_condition(longer, shorter):
        return None
    places = {k: k for k in range(fewer)}
    outputs = list(kept)
    for k, node in enumerate(more[fewer:], start=fewer):
        same = [j for j in range(count, len(outputs)) if outputs[j] is node]
        if not same:
            outputs.append(node)
        places[k] = same[0] if same else len(outputs) - 1
    body = Graph(longer.attrs["body"].inputs, tuple(outputs))
    return with_inputs(longer, longer.inputs, {**longer.attrs, "body": body}), places


def _may_merge(longer: Node, shorter: Node) -> bool:
    a, b = longer.attrs, shorter.attrs
    if any(a[key] != b[key] for key in ("reverse", "counted", "scanned")):
        return False
    if (a["condition"] is None) != (b["condition"] is None) or a["carries"] < b["carries"]:
        return False
    if a["condition"] is None and a["length"] != b["length"]:
        return False
    one, other = parts(longer.inputs, a), parts(shorter.inputs, b)
    same = all(
        x is y
        for xs, ys in (
            (one.count, other.count),
            (one.carries, other.carries),
            (one.scanned, other.scanned),
        )
        for x, y in zip(xs, ys, strict=False)
    )
    return same and set(other.captured) <= set(one.captured)


def _same_condition(longer: Node, shorter: Node) -> bool:
    interner = Interner()
    own, other = longer.attrs["condition"], shorter.attrs["condition"]
    count, fewer = longer.attrs["carries"], shorter.attrs["carries"]
    known = dict(zip(other.inputs[:fewer], own.inputs, strict=False))
    outer = dict(zip(parts(longer.inputs, longer.attrs).captured, own.inputs[count:], strict=True))
    given = parts(shorter.inputs, shorter.attrs).captured
    known.update((leaf, outer[n]) for leaf, n in zip(other.inputs[fewer:], given, strict=True))
    one = _interned(own.outputs, {}, interner)
    two = _interned(other.outputs, known, interner)
    return one[0] is two[0]


def _interned(
    outputs: Sequence[Node], known: Mapping[Node, Node], interner: Interner
) -> list[Node]:
    """Return `outputs` with leaves renamed and equal nodes made one."""
    done = dict(known)
    for node in topological(outputs):
        if node not in done:
            inputs = tuple(done[child] for child in node.inputs)
            done[node] = interner.intern(with_inputs(node, inputs))
    return [done[node] for node in outputs]


# Results and carries that nobody needs.


def _prune(graph: Graph) -> Graph:
    while True:
        used = _used_results(graph)
        for loop in loops_of(graph):
            found = _pruned(loop, used[loop])
            if found is not None:
                graph = replaced(graph, loop, found)
                break
        else:
            return graph


def _used_results(graph: Graph) -> dict[Node, set[int]]:
    used: dict[Node, set[int]] = {}
    for node in graph:
        if node.op is PROJECT and node.inputs[0].op is LOOP:
            used.setdefault(node.inputs[0], set()).add(node.attrs["index"])
    return used


@dataclass(frozen=True)
class _Needs:
    """Which positions of a loop's operands, and of the rows it returns, are needed."""

    carries: list[int]
    scanned: list[int]
    captured: list[int]
    rows: list[int]


def _pruned(loop: Node, used: set[int]) -> Results | None:
    """Return the results that are used, of a smaller loop; None if all of it is needed."""
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
