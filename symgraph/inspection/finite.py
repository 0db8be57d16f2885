"""Finding the first value that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.errors import NonFiniteError
from symgraph.interpret import evaluate
from symgraph.leaves import ARGUMENT, PARAMETER, PLACEHOLDER, Parameter
from symgraph.node import Graph, Node, describe
from symgraph.op import Leaf

Array = np.ndarray[Any, Any]
Test = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class _Sighting:
    """The first time that a node had a bad value: when, what, and from which operands."""

    index: int
    value: Any
    operands: tuple[Any, ...]


@dataclass
class _Watch:
    """Records where values with a given flaw occur.

    Args:
        flawed: the element-wise test, such as np.isnan.
    """

    flawed: Test
    seen: dict[Node, _Sighting] = field(default_factory=dict)
    latest: dict[Node, Any] = field(default_factory=dict)
    count: int = 0

    def observe(self, node: Node, value: Any) -> None:
        """Take note of one value."""
        self.latest[node] = value
        self.count += 1
        if node not in self.seen and _has(self.flawed, value):
            operands = tuple(self.latest.get(child) for child in node.inputs)
            self.seen[node] = _Sighting(self.count, value, operands)

    def origin(self, bad: Node) -> tuple[Node, _Sighting] | None:
        """Return the earliest node behind `bad` that is flawed though its operands are not."""
        reached = {bad}
        stack = [bad]
        found: list[tuple[int, Node]] = []
        while stack:
            node = stack.pop()
            inner = [out for v in node.attrs.values() if isinstance(v, Graph) for out in v.outputs]
            for child in (*node.inputs, *inner):
                if child in self.seen and child not in reached:
                    reached.add(child)
                    stack.append(child)
            sighting = self.seen[node]
            clean = not any(_has(self.flawed, operand) for operand in sighting.operands)
            if clean and node.op is not ARGUMENT:
                found.append((sighting.index, node))
        if not found:
            return None
        first = min(found, key=lambda entry: entry[0])[1]
        return first, self.seen[first]


def _has(flawed: Test, value: Any) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return any(
        isinstance(array, np.ndarray) and array.dtype.kind == "f" and bool(np.any(flawed(array)))
        for array in values
    )


def non_finite_error(
    graph: Graph,
    updated: Sequence[Parameter],
    feeds: Mapping[str, Array],
    call_index: int,
    otherwise: str,
) -> NonFiniteError:
    """Return the error for a call whose outputs or updates are not all finite.

    The call is repeated by the reference interpreter, which sees every intermediate value.

    Args:
        graph: the user's graph: its outputs, then the new values of `updated`.
        updated: the parameters that the call would have changed.
        feeds: the arrays of the failed call.
        call_index: the number of that call.
        otherwise: what to say if the interpreter finds all values finite.
    """
    watches = (_Watch(np.isnan), _Watch(np.isinf))

    def observe(node: Node, value: Any) -> None:
        for watch in watches:
            watch.observe(node, value)

    values = evaluate(graph.outputs, feeds, call_index=call_index, observe=observe)
    for watch in watches:
        for position, (node, value) in enumerate(zip(graph.outputs, values, strict=True)):
            if _has(watch.flawed, value):
                origin = watch.origin(node) if node in watch.seen else None
                if origin is not None:
                    text = _report(*origin, watch.flawed)
                    return NonFiniteError(f"{text}\n  {_reached(graph, updated, position)}")
    return NonFiniteError(f"{otherwise}; no parameter was changed")


def _report(node: Node, sighting: _Sighting, flawed: Test) -> str:
    arrays = sighting.value if isinstance(sighting.value, tuple) else (sighting.value,)
    array = next(a for a in arrays if _has(flawed, a))
    bad = flawed(array)
    index = tuple(map(int, np.argwhere(bad)[0]))
    place = f" at index {index}, the first of {np.count_nonzero(bad)}" if array.ndim else ""
    verb = "was fed" if node.op is PLACEHOLDER else "holds" if node.op is PARAMETER else "gives"
    lines = [f"{describe(node)} {verb} {array[index]}{place}"]
    if node.loc.code:
        lines.append(f"  {node.loc.code}")
    if not isinstance(node.op.kind, Leaf):
        for number, (child, value) in enumerate(zip(node.inputs, sighting.operands, strict=True)):
            lines.append(f"  operand {number}: {describe(child)}, {_range(value)}")
    return "\n".join(lines)


def _range(value: Any) -> str:
    if not isinstance(value, np.ndarray) or value.size == 0:
        return "empty" if isinstance(value, np.ndarray) else "several arrays"
    finite = value[np.isfinite(value)]
    text = f"min {finite.min():.6g}, max {finite.max():.6g}" if finite.size else "nothing finite"
    others = value.size - finite.size
    return f"{text}, {others} not finite" if others and finite.size else text


def _reached(graph: Graph, updated: Sequence[Parameter], position: int) -> str:
    count = len(graph.outputs) - len(updated)
    where = f"output {position}"
    if position >= count:
        where = f"the update of parameter {updated[position - count].name!r}"
    return f"it reaches {where}; no parameter was changed"
