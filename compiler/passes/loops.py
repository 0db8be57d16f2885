"""Loops made one, smaller, and rid of what does not change from step to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgraph.compiler.passes.interning import Interner
from symgraph.compiler.passes.loop_motion import move_out
from symgraph.compiler.passes.loop_pruning import leaves_of, prune, replaced
from symgraph.compiler.rewrite import map_subgraphs, rebuild, with_inputs
from symgraph.location import located_at
from symgraph.node import Graph, Node, topological
from symgraph.ops.control import PROJECT
from symgraph.ops.loop import LOOP, parts


def tidy_loops(graph: Graph) -> Graph:
    """Return `graph` with fewer and smaller loops, also inside of loops and branches.

    Loops that take the same steps become one: differentiation builds a loop once more to keep what
    the backward loop needs. Results that nobody reads, and carries that serve only themselves, go.
    What every step would compute alike is computed once, outside. Of conditions, results and
    operands go that are not needed.
    """
    if not any(any(isinstance(v, Graph) for v in node.attrs.values()) for node in graph):
        return graph
    graph = prune(_merge(graph))
    graph = prune(move_out(graph))
    while True:
        graph = rebuild(graph, _with_tidy_graphs)
        # What smaller bodies no longer need, nobody needs to compute for them.
        smaller = prune(graph)
        if smaller is graph:
            return graph
        graph = smaller


def _with_tidy_graphs(node: Node, inputs: tuple[Node, ...]) -> Node:
    return with_inputs(node, inputs, map_subgraphs(node, tidy_loops))


def _merge(graph: Graph) -> Graph:
    while True:
        found = _first_pair([node for node in graph if node.op is LOOP])
        if found is None:
            return graph
        longer, shorter, merged, places = found
        with located_at(longer.loc):
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
    if not same or not set(other.captured) <= set(one.captured):
        return False
    # If one waits for the other, they cannot run together.
    before, after = set(topological(longer.inputs)), set(topological(shorter.inputs))
    return shorter not in before and longer not in after


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
