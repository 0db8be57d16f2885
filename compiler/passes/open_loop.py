"""A loop taken apart, to be changed and put together again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from symgraph.compiler.rewrite import with_inputs
from symgraph.dims import Extent
from symgraph.node import Graph, Node, topological
from symgraph.op import Leaf
from symgraph.ops.branches import substituted
from symgraph.ops.composite import argument
from symgraph.ops.control import PROJECT
from symgraph.ops.linalg import BATCH_MATMUL
from symgraph.ops.loop import parts, row_type, trips
from symgraph.ops.views import reshape

Results = dict[int, Node]
"""What replaces each result of a loop."""

Stack = Callable[[int], Node]
"""Returns the values that one row of the changed loop has in all steps."""

Finish = Callable[[Stack], Node]
"""Returns what replaces a result of the loop."""


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
        self._later: list[tuple[int, Finish]] = []

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

    def uses(self) -> Counter[Node]:
        """Return how often each node of one step is read, by others or as what the step returns."""
        outputs = self.outputs
        return Counter(
            [*(child for node in topological(outputs) for child in node.inputs), *outputs]
        )

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

    def is_stacked(self, node: Node) -> bool:
        """Tell whether the values of a node in all steps are there anyway."""
        stacked = (row for k, row in enumerate(self.rows) if k not in self.dropped)
        return row_of(self, node) is not None or any(row is node for row in stacked)

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

    def later(self, position: int, finish: Finish) -> None:
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


def depending_only_on(nodes: Sequence[Node], leaves: set[Node]) -> set[Node]:
    """Return the leaves and what can be computed from them and constants alone."""
    found = set(leaves)
    for node in nodes:
        if node.inputs and all(c in found or _is_constant(c) for c in node.inputs):
            found.add(node)
    return found


def _is_constant(node: Node) -> bool:
    return isinstance(node.op.kind, Leaf) and node.op.name != "argument"


def row_of(opened: OpenLoop, node: Node) -> Node | None:
    """Return the scanned array whose rows `node` shows, maybe in another shape."""
    while node.op.name == "reshape":
        node = node.inputs[0]
    return opened.scanned.get(node)


def values_of(opened: OpenLoop, node: Node) -> Finish:
    """Return what gives the values of a node in all steps, once there are results."""
    array = row_of(opened, node)
    if array is not None:
        return lambda stack: array
    position = opened.stack(node)
    return lambda stack: stack(position)


def matrix(stack: Node, row: Node) -> Node:
    """Return the matrices (B, K) of all steps below each other, as (T * B, K)."""
    steps: Extent = stack.type.dims[0]
    rows, columns = row.type.dims
    return reshape(stack, (steps * rows, columns))


def is_product(node: Node) -> bool:
    """Tell whether a node is a product of two matrices."""
    return node.op is BATCH_MATMUL and node.type.rank == 2
