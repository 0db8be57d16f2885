"""Moving work out of loops: what does not change, and products that do not wait for a carry.

A product of each row with the same matrix is one product of all rows; so is a sum over all steps of
products. Both run at the speed of large matrices, and leave less to do between steps. The rows of
one step then lie behind each other, as `T * B` rows of a matrix (Appleyard et al., "Optimizing
Performance of Recurrent Neural Networks on GPUs", 2016, section 3.2).
"""

from __future__ import annotations

from typing import Any

from symgraph.compiler.passes.loop_sums import sum_outside
from symgraph.compiler.passes.open_loop import (
    OpenLoop,
    Results,
    depending_only_on,
    is_product,
    matrix,
    row_of,
)
from symgraph.location import SourceLoc, located_at
from symgraph.node import Graph, Node
from symgraph.op import Elementwise, Library, Reduce
from symgraph.ops.branches import substituted
from symgraph.ops.control import PROJECT
from symgraph.ops.linalg import BATCH_MATMUL
from symgraph.ops.loop import LOOP
from symgraph.ops.views import reshape


def move_out(graph: Graph) -> Graph:
    """Return `graph` with work moved out of its loops (not out of loops inside them)."""
    while True:
        changed = _with_one_changed(graph)
        if changed is None:
            return graph
        # Loops behind that one are found again: their nodes changed with it.
        graph = changed


def _with_one_changed(graph: Graph) -> Graph | None:
    """Return `graph` with work moved out of one of its loops, None if all stay as they are."""
    for loop in [node for node in graph if node.op is LOOP]:
        with located_at(loop.loc):
            results = _moved_out(loop)
        if results is not None:
            known = {
                node: results[node.attrs["index"]]
                for node in graph
                if node.op is PROJECT and node.inputs[0] is loop
            }
            return Graph(graph.inputs, tuple(substituted(graph.outputs, known)))
    return None


def _moved_out(loop: Node) -> Results | None:
    """Return what replaces each result of a loop, None if there is nothing to move."""
    opened = OpenLoop(loop)
    changed = _hoist_invariants(opened)
    # All rows at once take more memory, of which `checkpoint` is to save as much as it can.
    if _counts_rows(loop) and not loop.attrs["checkpoint"]:
        changed = _hoist_rows(opened) | sum_outside(opened) | _sink(opened) | changed
    return opened.close() if changed else None


def _counts_rows(loop: Node) -> bool:
    """Tell whether every row of the results is filled."""
    return loop.attrs["condition"] is None and not loop.attrs["counted"]


def _hoist_invariants(opened: OpenLoop) -> bool:
    """Compute once what depends on captured values alone."""
    nodes = opened.nodes()
    invariant = depending_only_on(nodes, set(opened.captured))
    used_by_others = {
        child for node in nodes if node not in invariant for child in node.inputs
    } | set(opened.outputs)
    moved = [n for n in nodes if n in invariant and n in used_by_others and _worth_moving(n)]
    if moved:
        opened.replace({node: opened.capture(opened.outside(node)) for node in moved})
    return bool(moved)


def _worth_moving(node: Node) -> bool:
    """Tell whether a node computes something, and cannot fail where no step is taken."""
    kind = node.op.kind
    if isinstance(kind, Elementwise):
        return not kind.flags(tuple(child.type.element for child in node.inputs))
    return isinstance(kind, Reduce) or (isinstance(kind, Library) and node.op is BATCH_MATMUL)


def _hoist_rows(opened: OpenLoop) -> bool:
    """Multiply all rows with a matrix at once."""
    nodes = opened.nodes()
    invariant = depending_only_on(nodes, set(opened.captured))
    known: dict[Node, Node] = {}
    for node in nodes:
        if not is_product(node) or node.inputs[1] not in invariant:
            continue
        array = row_of(opened, node.inputs[0])
        if array is not None:
            weights = opened.outside(node.inputs[1])
            shape = (array.type.dims[0], *node.type.dims)
            with located_at(node.loc):
                product = BATCH_MATMUL(matrix(array, node.inputs[0]), weights)
                known[node] = opened.scan(reshape(product, shape))
    if known:
        opened.replace(known)
    return bool(known)


def _sink(opened: OpenLoop) -> bool:
    """Multiply results of all steps with a matrix at once."""
    invariant = depending_only_on(opened.nodes(), set(opened.captured))
    uses = opened.uses()
    changed = False
    for position, output in enumerate(list(opened.rows)):
        product, is_free = output, uses[output] == 1
        while product.op.name == "reshape" and is_free:
            product = product.inputs[0]
            is_free = uses[product] == 1
        # What a step needs anyway is not computed once more for all steps.
        if not is_free or opened.places[position] < 0 or not is_product(product):
            continue
        if product.inputs[1] not in invariant or row_of(opened, product.inputs[0]) is not None:
            continue
        left, weights = product.inputs[0], opened.outside(product.inputs[1])
        place = opened.stack(left)

        def finish(
            stack: Any, left: Node = left, weights: Node = weights, place: int = place,
            shape: Any = output.type.dims, loc: SourceLoc = product.loc,
        ) -> Node:  # fmt: skip
            with located_at(loc):
                many = stack(place)
                result = BATCH_MATMUL(matrix(many, left), weights)
                return reshape(result, (many.type.dims[0], *shape))

        opened.later(opened.places[position], finish)
        opened.drop(position)
        changed = True
    return changed
