"""Moving work out of loops: what does not change, and products that do not wait for a carry.

A product of each row with the same matrix is one product of all rows; so is a sum over all steps of
products. Both run at the speed of large matrices, and leave less to do between steps. The rows of
one step then lie behind each other, as `T * B` rows of a matrix (Appleyard et al., "Optimizing
Performance of Recurrent Neural Networks on GPUs", 2016, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.compiler.rewrite import with_inputs
from symgraph.dims import Extent
from symgraph.location import SourceLoc, located_at
from symgraph.node import Graph, Node, topological
from symgraph.op import Elementwise, Leaf, Library, Reduce
from symgraph.ops.branches import substituted
from symgraph.ops.composite import argument
from symgraph.ops.control import PROJECT
from symgraph.ops.linalg import BATCH_MATMUL
from symgraph.ops.loop import LOOP, parts, row_type, trips
from symgraph.ops.views import TRANSPOSE, reshape, transpose

Results = dict[int, Node]


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
        changed = _hoist_rows(opened) | _sum_outside(opened) | _sink(opened) | changed
    return opened.close() if changed else None


def _counts_rows(loop: Node) -> bool:
    """Tell whether every row of the results is filled."""
    return loop.attrs["condition"] is None and not loop.attrs["counted"]


class OpenLoop:
    """A loop taken apart, to be changed and put together again."""

    def __init__(self, loop: Node) -> None:
        """Take a loop apart."""
        attrs = loop.attrs
        given, body = parts(loop.inputs, attrs), attrs["body"]
        leaves = parts(body.inputs, {**attrs, "counted": False})
        count = len(given.carries)
        self.loop = loop
        self.count = given.count
        self.carries = list(zip(leaves.carries, given.carries, body.outputs, strict=False))
        self.scanned: dict[Node, Node] = dict(zip(leaves.scanned, given.scanned, strict=True))
        self.captured: dict[Node, Node] = dict(zip(leaves.captured, given.captured, strict=True))
        self.rows = list(body.outputs[count:])
        self.places = list(range(count, len(body.outputs)))
        self.dropped: set[int] = set()
        self.length = trips(tuple(child.type for child in loop.inputs), attrs)
        self.results: Results = {}
        self._later: list[tuple[int, Any]] = []

    @property
    def outputs(self) -> list[Node]:
        """Return what one step computes."""
        return [*(output for _, _, output in self.carries), *self.rows]

    def drop(self, position: int) -> None:
        """Have the loop no longer return one of its rows."""
        self.dropped.add(position)

    def nodes(self) -> list[Node]:
        """Return the nodes of one step."""
        return topological(self.outputs)

    def replace(self, known: Mapping[Node, Node]) -> None:
        """Replace nodes of the step by others."""
        count = len(self.carries)
        outputs = substituted(self.outputs, known)
        self.carries = [
            (leaf, start, output)
            for (leaf, start, _), output in zip(self.carries, outputs, strict=False)
        ]
        self.rows = outputs[count:]

    def scan(self, array: Node) -> Node:
        """Scan one more array, and return the leaf for its rows."""
        for leaf, known in self.scanned.items():
            if known is array:
                return leaf
        leaf = argument(row_type(array.type))
        self.scanned[leaf] = array
        return leaf

    def capture(self, value: Node) -> Node:
        """Capture one more outer value, and return the leaf for it."""
        leaf = argument(value.type)
        self.captured[leaf] = value
        return leaf

    def outside(self, node: Node) -> Node:
        """Return an invariant node of the step as a node outside of the loop."""
        return substituted([node], self.captured)[0]

    def stack(self, node: Node) -> int:
        """Return one more result: the values of a node in all steps."""
        for position, known in enumerate(self.rows):
            if known is node and position not in self.dropped:
                return position
        self.rows.append(node)
        self.places.append(-1)
        return len(self.rows) - 1

    def close(self) -> Results:
        """Return what replaces each result of the loop."""
        leaves = (*(leaf for leaf, _, _ in self.carries), *self.scanned, *self.captured)
        rows = [row for position, row in enumerate(self.rows) if position not in self.dropped]
        outputs = (*(output for _, _, output in self.carries), *rows)
        condition: Graph | None = self.loop.attrs["condition"]
        if condition is not None:
            extra = len(self.captured) + len(self.carries) - len(condition.inputs)
            new = [argument(leaf.type) for leaf in list(self.captured)[-extra:]] if extra else []
            condition = Graph((*condition.inputs, *new), condition.outputs)
        attrs = {
            **self.loop.attrs,
            "body": Graph(leaves, outputs),
            "condition": condition,
            "carries": len(self.carries),
            "scanned": len(self.scanned),
            "length": self.length,
        }
        starts = (start for _, start, _ in self.carries)
        inputs = (*self.count, *starts, *self.scanned.values(), *self.captured.values())
        return self._finished(with_inputs(self.loop, inputs, attrs))

    def later(self, position: int, finish: Any) -> None:
        """Say how an old result follows from the results of the changed loop."""
        self._later.append((position, finish))

    def _finished(self, loop: Node) -> Results:
        count = len(self.carries)

        kept = [k for k in range(len(self.rows)) if k not in self.dropped]

        def stacked(position: int) -> Node:
            return PROJECT(loop, index=count + kept.index(position))

        results = dict(self.results)
        for position, finish in self._later:
            results[position] = finish(stacked)
        for position, place in enumerate(self.places):
            if position not in self.dropped and place >= 0:
                results[place] = stacked(position)
        return results | {
            place: PROJECT(loop, index=k) for k, place in enumerate(self.carry_places)
        }

    @property
    def carry_places(self) -> list[int]:
        """Return which result of the old loop each carry of the new one is."""
        taken = {position for position, _ in self._later}
        old = range(self.loop.attrs["carries"])
        return [k for k in old if k not in taken]


def _hoist_invariants(opened: OpenLoop) -> bool:
    """Compute once what depends on captured values alone."""
    nodes = opened.nodes()
    invariant = _depending_only_on(nodes, set(opened.captured))
    used_by_others = {
        child for node in nodes if node not in invariant for child in node.inputs
    } | set(opened.outputs)
    moved = [n for n in nodes if n in invariant and n in used_by_others and _worth_moving(n)]
    if moved:
        opened.replace({node: opened.capture(opened.outside(node)) for node in moved})
    return bool(moved)


def _depending_only_on(nodes: Sequence[Node], leaves: set[Node]) -> set[Node]:
    found = set(leaves)
    for node in nodes:
        if node.inputs and all(c in found or _is_constant(c) for c in node.inputs):
            found.add(node)
    return found


def _is_constant(node: Node) -> bool:
    return isinstance(node.op.kind, Leaf) and node.op.name != "argument"


def _worth_moving(node: Node) -> bool:
    """Tell whether a node computes something, and cannot fail where no step is taken."""
    kind = node.op.kind
    if isinstance(kind, Elementwise):
        return not kind.flags(tuple(child.type.element for child in node.inputs))
    return isinstance(kind, Reduce) or (isinstance(kind, Library) and node.op is BATCH_MATMUL)


def _row(opened: OpenLoop, node: Node) -> Node | None:
    """Return the scanned array whose rows `node` shows, maybe in another shape."""
    while node.op.name == "reshape":
        node = node.inputs[0]
    return opened.scanned.get(node)


def _matrix(stack: Node, row: Node) -> Node:
    """Return the matrices (B, K) of all steps below each other, as (T * B, K)."""
    steps: Extent = stack.type.dims[0]
    rows, columns = row.type.dims
    return reshape(stack, (steps * rows, columns))


def _is_product(node: Node) -> bool:
    return node.op is BATCH_MATMUL and node.type.rank == 2


def _hoist_rows(opened: OpenLoop) -> bool:
    """Multiply all rows with a matrix at once."""
    nodes = opened.nodes()
    invariant = _depending_only_on(nodes, set(opened.captured))
    known: dict[Node, Node] = {}
    for node in nodes:
        if not _is_product(node) or node.inputs[1] not in invariant:
            continue
        array = _row(opened, node.inputs[0])
        if array is not None:
            weights = opened.outside(node.inputs[1])
            shape = (array.type.dims[0], *node.type.dims)
            with located_at(node.loc):
                product = BATCH_MATMUL(_matrix(array, node.inputs[0]), weights)
                known[node] = opened.scan(reshape(product, shape))
    if known:
        opened.replace(known)
    return bool(known)


@dataclass(frozen=True)
class _Sum:
    """A carry that sums up products of (B, K) transposed with (B, N)."""

    place: int
    left: Node
    right: Node
    loc: SourceLoc


def _sum_outside(opened: OpenLoop) -> bool:
    """Replace sums over all steps of products by one product."""
    found = [entry for entry in map(_summed(opened), range(len(opened.carries))) if entry]
    for entry in found:
        _, start, _ = opened.carries[entry.place]
        left = _stacked(opened, entry.left)
        right = _stacked(opened, entry.right)

        def finish(
            stack: Any, left: Any = left, right: Any = right, e: _Sum = entry, start: Node = start
        ) -> Node:
            with located_at(e.loc):
                one, other = _matrix(left(stack), e.left), _matrix(right(stack), e.right)
                return start + BATCH_MATMUL(transpose(one), other)

        opened.later(entry.place, finish)
    places = {entry.place for entry in found}
    opened.carries = [c for k, c in enumerate(opened.carries) if k not in places]
    return bool(found)


def _stacked(opened: OpenLoop, node: Node) -> Any:
    """Return a function that gives the values of a node in all steps, once there are results."""
    array = _row(opened, node)
    if array is not None:
        return lambda stack: array
    position = opened.stack(node)
    return lambda stack: stack(position)


def _summed(opened: OpenLoop) -> Any:
    nodes = opened.nodes()
    users: dict[Node, int] = {}
    for node in nodes:
        for child in node.inputs:
            users[child] = users.get(child, 0) + 1

    def match(place: int) -> _Sum | None:
        leaf, _, output = opened.carries[place]
        if output.op.name != "add" or users.get(leaf) != 1:
            return None
        one, other = output.inputs
        product = other if one is leaf else one if other is leaf else None
        if product is None or not _is_product(product):
            return None
        left = product.inputs[0]
        if left.op is not TRANSPOSE or left.attrs["axes"] != (1, 0):
            return None
        return _Sum(place, left.inputs[0], product.inputs[1], product.loc)

    return match


def _sink(opened: OpenLoop) -> bool:
    """Multiply results of all steps with a matrix at once."""
    invariant = _depending_only_on(opened.nodes(), set(opened.captured))
    changed = False
    for position, output in enumerate(list(opened.rows)):
        product = output
        while product.op.name == "reshape":
            product = product.inputs[0]
        if opened.places[position] < 0 or not _is_product(product):
            continue
        if product.inputs[1] not in invariant or _row(opened, product.inputs[0]) is not None:
            continue
        left, weights = product.inputs[0], opened.outside(product.inputs[1])
        place = opened.stack(left)

        def finish(
            stack: Any, left: Node = left, weights: Node = weights, place: int = place,
            shape: Any = output.type.dims, loc: SourceLoc = product.loc,
        ) -> Node:  # fmt: skip
            with located_at(loc):
                many = stack(place)
                result = BATCH_MATMUL(_matrix(many, left), weights)
                return reshape(result, (many.type.dims[0], *shape))

        opened.later(opened.places[position], finish)
        opened.drop(position)
        changed = True
    return changed
