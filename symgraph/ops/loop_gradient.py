"""The gradient of a loop: a loop over the same steps in the opposite order.

The backward loop carries the adjoints of the carries, and sums up those of captured values. What it
needs of the forward steps is kept as rows by a second forward loop, which the compiler merges with
the first. The method is reverse accumulation through time (Werbos, "Backpropagation Through Time",
1990), with checkpoints as in Griewank and Walther, "Evaluating Derivatives", chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.dims import symbols
from symgraph.leaves import ARGUMENT, Constant
from symgraph.node import Graph, Node, topological
from symgraph.op import Elementwise, Leaf, View
from symgraph.ops.adjoint import SELECTING, behind_selection, mark_behind_selection
from symgraph.ops.branches import substituted
from symgraph.ops.composite import argument
from symgraph.ops.control import PROJECT
from symgraph.ops.loop import CAPACITY, LOOP, Parts, parts, trips
from symgraph.ops.views import broadcast_to, reshape
from symgraph.types import FLOATS, TensorType, TupleType

Adjoint = Node | None
Differentiate = Callable[[Sequence[Node], Sequence[Node], Sequence[Adjoint]], list[Adjoint]]

_CHEAP = frozenset(("add", "subtract", "multiply", "negative", "cast"))
"""Ops that are computed once more rather than kept, if nothing else has to be kept for that."""


def loop_gradient(
    differentiate: Differentiate,
    g: Sequence[Adjoint],
    y: Node,
    inputs: Sequence[Node],
    attrs: Mapping[str, Any],
) -> tuple[Adjoint, ...]:
    """Return the adjoints of the operands of the loop `y` from those of its results."""
    given, body = parts(inputs, attrs), attrs["body"]
    step = _adjoint_step(differentiate, g, body, attrs)
    if not step.outputs:
        return (None,) * len(inputs)
    forward = _Forward(body, attrs)
    kept = forward.kept(step.outputs)
    count, stacks = _rerun(given, attrs, [node for node in kept if not forward.is_row(node)])
    backward = _backward(step, kept, stacks, given, forward, g, y, count, attrs)
    return _handed_out(backward, step, given, attrs)


@dataclass(frozen=True)
class _Step:
    """One step of the backward loop, in terms of nodes of the forward step.

    Args:
        carries: which carries have adjoints.
        carry_seeds: the leaves for their adjoints behind the step.
        rows: which rows of the results have adjoints.
        row_seeds: the leaves for those.
        carry_adjoints: the adjoints of `carries` before the step.
        scanned: which scanned arrays get adjoints, and the nodes.
        captured: which captured values get adjoints, and the nodes.
    """

    carries: list[int]
    carry_seeds: list[Node]
    rows: list[int]
    row_seeds: list[Node]
    carry_adjoints: list[Node]
    scanned: dict[int, Node]
    captured: dict[int, Node]

    @property
    def outputs(self) -> list[Node]:
        return [*self.carry_adjoints, *self.captured.values(), *self.scanned.values()]


def _adjoint_step(
    differentiate: Differentiate, g: Sequence[Adjoint], body: Graph, attrs: Mapping[str, Any]
) -> _Step:
    """Differentiate the body, with adjoints for the carries that turn out to have any."""
    count = attrs["carries"]
    rows = [k for k, adjoint in enumerate(g[count:]) if adjoint is not None]
    row_seeds = [argument(body.outputs[count + k].type) for k in rows]
    selecting = any(behind_selection(adjoint) for adjoint in g if adjoint is not None) or any(
        node.op.name in SELECTING for node in body
    )
    own = parts(body.inputs, {**attrs, "counted": False})
    floats = [leaf for leaf in body.inputs if leaf.type.element in FLOATS]
    active = {k for k in range(count) if g[k] is not None}
    while True:
        carries = sorted(active)
        carry_seeds = [argument(body.inputs[k].type) for k in carries]
        for seed in (*carry_seeds, *row_seeds):
            mark_behind_selection(seed, selecting)
        seeds: list[Adjoint] = [None] * len(body.outputs)
        for k, seed in zip(carries, carry_seeds, strict=True):
            seeds[k] = _shaped_like(seed, body.outputs[k])
        for k, seed in zip(rows, row_seeds, strict=True):
            seeds[count + k] = seed
        found = dict(zip(floats, differentiate(body.outputs, floats, seeds), strict=True))
        reached = {k for k in range(count) if found.get(own.carries[k]) is not None}
        if reached <= active:
            break
        active |= reached
    return _Step(
        carries,
        carry_seeds,
        rows,
        row_seeds,
        [_or_zeros(found.get(own.carries[k]), own.carries[k].type) for k in carries],
        _present(own.scanned, found),
        _present(own.captured, found),
    )


def _present(leaves: Sequence[Node], found: Mapping[Node, Adjoint]) -> dict[int, Node]:
    pairs = ((k, found.get(leaf)) for k, leaf in enumerate(leaves))
    return {k: adjoint for k, adjoint in pairs if adjoint is not None}


def _shaped_like(adjoint: Node, output: Node) -> Node:
    """Return an adjoint in the shape of its output, however the body writes that."""
    same = adjoint.type.shape == output.type.shape
    return adjoint if same else reshape(adjoint, output.type.dims)


def _or_zeros(adjoint: Adjoint, declared: TensorType) -> Node:
    if adjoint is None:
        return broadcast_to(Constant(0.0, declared.element), declared.dims)
    same = adjoint.type.shape == declared.shape
    return adjoint if same else reshape(adjoint, declared.dims)


class _Forward:
    """What the backward step may read of the forward step, and at what cost."""

    def __init__(self, body: Graph, attrs: Mapping[str, Any]) -> None:
        own = parts(body.inputs, {**attrs, "counted": False})
        self.nodes = set(topological(body.outputs)) | set(body.inputs)
        self.rows = set(own.scanned)
        self.captured = set(own.captured)
        self.carries = set(own.carries)
        self.recompute = bool(attrs["checkpoint"])

    def is_row(self, node: Node) -> bool:
        """Tell whether a node is a row of a scanned array, which the backward loop scans again."""
        return node in self.rows

    def kept(self, outputs: Sequence[Node]) -> list[Node]:
        """Return the rows and the values to keep that `outputs` need, in order of need."""
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        stack = list(reversed(outputs))
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in self.nodes and self._is_kept(node):
                found[node] = None
            else:
                stack.extend(reversed(node.inputs))
        return list(found)

    def _is_kept(self, node: Node) -> bool:
        if node in self.rows or node in self.carries:
            return True
        kind = node.op.kind
        if self.recompute or isinstance(kind, Leaf | View) or isinstance(node.type, TupleType):
            return False
        if _has_capacity(node.type):
            return False
        at_hand = self.rows | self.captured
        if isinstance(kind, Elementwise) and node.op.name in _CHEAP:
            return not all(c in at_hand or isinstance(c.op.kind, Leaf) for c in node.inputs)
        return True


def _has_capacity(declared: TensorType) -> bool:
    """Tell whether an extent depends on how many steps an inner loop takes."""
    return any(name in symbols(CAPACITY) for extent in declared.dims for name in symbols(extent))


def _rerun(
    given: Parts[Node], attrs: Mapping[str, Any], kept: Sequence[Node]
) -> tuple[Node | None, dict[Node, Node]]:
    """Build the loop once more such that it keeps values of each step.

    Returns:
        The number of steps where only data decide it, and for each kept node its rows.
    """
    body: Graph = attrs["body"]
    count, carries = attrs["carries"], list(given.carries)
    condition: Graph | None = attrs["condition"]
    leaves, outputs, length = body.inputs, body.outputs, attrs["length"]
    own = len(carries)
    if condition is not None:
        # A condition knows no bound, so the steps are counted, and rows kept up to a capacity.
        steps = argument(TensorType("int64", ()))
        leaves = (*leaves[:count], steps, *leaves[count:])
        outputs = (*outputs[:count], steps + 1, *outputs[count:])
        test = (*condition.inputs[:count], argument(steps.type), *condition.inputs[count:])
        condition = Graph(test, condition.outputs)
        carries.append(Constant(0, "int64"))
        length = CAPACITY
    body = Graph(leaves, (*outputs, *kept))
    changed = {
        **attrs,
        "body": body,
        "condition": condition,
        "carries": len(carries),
        "length": length,
    }
    if not kept and condition is None:
        return (given.count[0] if given.count else None), {}
    loop = LOOP(*given.count, *carries, *given.scanned, *given.captured, **changed)
    first = len(outputs)
    stacks = {node: PROJECT(loop, index=first + k) for k, node in enumerate(kept)}
    if condition is not None:
        return PROJECT(loop, index=own), stacks
    return (given.count[0] if given.count else None), stacks


def _backward(
    step: _Step,
    kept: Sequence[Node],
    stacks: Mapping[Node, Node],
    given: Parts[Node],
    forward: _Forward,
    g: Sequence[Adjoint],
    y: Node,
    count: Node | None,
    attrs: Mapping[str, Any],
) -> Node:
    """Build the loop that runs the steps backwards."""
    body: Graph = attrs["body"]
    carries: int = attrs["carries"]
    own = parts(body.inputs, {**attrs, "counted": False})
    scanned_of = {**stacks, **dict(zip(own.scanned, given.scanned, strict=True))}
    scanned = [scanned_of[node] for node in kept]
    scanned += [_present_adjoint(g[carries + k]) for k in step.rows]
    row_leaves = [*(argument(node.type) for node in kept), *step.row_seeds]
    sums = [argument(adjoint.type) for adjoint in step.captured.values()]
    known = {
        **dict(zip(kept, row_leaves, strict=False)),
        **{leaf: leaf for leaf in (*step.carry_seeds, *step.row_seeds)},
    }
    used = _used(step.outputs, set(known), own.captured)
    stand_ins = {leaf: argument(leaf.type) for leaf in used}
    outputs = substituted(step.outputs, {**known, **stand_ins})
    first, second = len(step.carries), len(step.carries) + len(sums)
    outputs[first:second] = [a + b for a, b in zip(sums, outputs[first:second], strict=True)]
    leaves = (*step.carry_seeds, *sums, *row_leaves, *stand_ins.values())
    starts = [_or_zeros(g[k], y.type.items[k]) for k in step.carries] + [
        _or_zeros(None, leaf.type) for leaf in sums
    ]
    outer = dict(zip(own.captured, given.captured, strict=True))
    return LOOP(
        *(() if count is None else (count,)),
        *starts,
        *scanned,
        *(outer[leaf] for leaf in used),
        body=Graph(leaves, tuple(outputs)),
        condition=None,
        carries=len(starts),
        scanned=len(scanned),
        counted=count is not None,
        length=_length(y, attrs) if not scanned else None,
        reverse=not attrs["reverse"],
        checkpoint=attrs["checkpoint"],
    )


def _length(y: Node, attrs: Mapping[str, Any]) -> Any:
    """Return how many steps the loop `y` takes at most."""
    return trips(tuple(node.type for node in y.inputs), attrs)


def _present_adjoint(adjoint: Adjoint) -> Node:
    assert adjoint is not None, "rows are listed by their adjoints"
    return adjoint


def _used(outputs: Sequence[Node], stops: set[Node], captured: Sequence[Node]) -> list[Node]:
    """Return the captured leaves that `outputs` need, not looking behind `stops`."""
    wanted = {leaf for leaf in captured if leaf.op is ARGUMENT}
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node in seen or node in stops:
            continue
        seen.add(node)
        if node in wanted:
            found[node] = None
        stack.extend(node.inputs)
    return [leaf for leaf in captured if leaf in found]


def _handed_out(
    backward: Node, step: _Step, given: Parts[Node], attrs: Mapping[str, Any]
) -> tuple[Adjoint, ...]:
    """Return the results of the backward loop as adjoints of the operands."""
    results = iter(range(len(backward.type.items)))

    def following() -> Node:
        return PROJECT(backward, index=next(results))

    carries: list[Adjoint] = [None] * len(given.carries)
    captured: list[Adjoint] = [None] * len(given.captured)
    scanned: list[Adjoint] = [None] * len(given.scanned)
    for k in step.carries:
        carries[k] = following()
    for k in step.captured:
        captured[k] = following()
    for k in step.scanned:
        scanned[k] = following()
    return (*(None for _ in given.count), *carries, *scanned, *captured)
