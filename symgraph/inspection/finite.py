"""Finding the first value that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.errors import NonFiniteError
from symgraph.inspection.patience import PATIENCE, OutOfPatienceError, within
from symgraph.interpret import evaluate
from symgraph.leaves import ARGUMENT, CONSTANT, PARAMETER, PLACEHOLDER, Parameter
from symgraph.node import Graph, Node, describe, shown
from symgraph.op import Leaf

Array = np.ndarray[Any, Any]
Test = Callable[[Any], Any]
_LOOPS = ("a loop", *["the loop around it"] * 99)


@dataclass(frozen=True, eq=False)
class _Sighting:
    """The first time that a node had a bad value.

    Args:
        index: how many values had been computed.
        value: the bad value.
        operands: what it was computed from.
        turns: which step each loop around the node was at, the outermost first.
    """

    index: int
    value: Any
    operands: tuple[Any, ...]
    turns: tuple[int, ...]


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

    def observe(self, node: Node, value: Any, turns: tuple[int, ...]) -> None:
        """Take note of one value."""
        self.latest[node] = value
        self.count += 1
        if node not in self.seen and _has(self.flawed, value):
            operands = tuple(self.latest.get(child) for child in node.inputs)
            self.seen[node] = _Sighting(self.count, value, operands, turns)

    def restart(self) -> None:
        """Forget everything: the call begins anew."""
        self.seen.clear()
        self.latest.clear()

    def origin(self, bad: Node) -> tuple[Node, _Sighting] | None:
        """Return the earliest node behind `bad` that is flawed though its operands are not.

        Constants do not count: an infinity that the user wrote is meant.
        """
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
            if clean and node.op not in (ARGUMENT, CONSTANT):
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
    feeds: Mapping[Any, Array],
    call_index: int,
    otherwise: str,
) -> NonFiniteError:
    """Return the error for a call whose outputs or updates are not all finite.

    The call is repeated by the reference interpreter, which sees every intermediate value.

    Args:
        graph: the user's graph: its outputs, then the new values of `updated`.
        updated: the parameters that the call would have changed.
        feeds: the arrays of the failed call, by name or node.
        call_index: the number of that call.
        otherwise: what to say if the interpreter finds all values finite.
    """
    not_finite, not_a_number = _Watch(_is_not_finite), _Watch(np.isnan)

    def observe(node: Node, value: Any, turns: tuple[int, ...]) -> None:
        not_finite.observe(node, value, turns)
        not_a_number.observe(node, value, turns)

    def restart() -> None:
        not_finite.restart()
        not_a_number.restart()

    try:
        evaluate(
            graph.outputs,
            feeds,
            call_index=call_index,
            observe=within(PATIENCE, observe),
            restart=restart,
        )
    except OutOfPatienceError as error:
        return NonFiniteError(f"{otherwise}; {error}; no parameter was changed")
    for position, output in enumerate(graph.outputs):
        if output not in not_finite.seen:
            continue
        first = not_finite.origin(output)
        turned = not_a_number.origin(output) if output in not_a_number.seen else None
        parts = [_report(*first, _is_not_finite)] if first is not None else []
        if turned is not None and (first is None or turned[0] is not first[0]):
            parts.append(_report(*turned, np.isnan))
        if not parts:
            parts.append(f"{describe(output)} holds an infinity that constants bring in")
        text = "\nlater ".join(parts)
        return NonFiniteError(f"{text}\n  {_reached(graph, updated, position)}")
    return NonFiniteError(f"{otherwise}; no parameter was changed")


def _is_not_finite(array: Array) -> Array:
    return np.asarray(~np.isfinite(array))


def _report(node: Node, sighting: _Sighting, flawed: Test) -> str:
    arrays = sighting.value if isinstance(sighting.value, tuple) else (sighting.value,)
    array = next(a for a in arrays if _has(flawed, a))
    bad = flawed(array)
    index = tuple(map(int, np.argwhere(bad)[0]))
    place = f" at index {index}, the first of {np.count_nonzero(bad)}" if array.ndim else ""
    for turn, whose in zip(reversed(sighting.turns), _LOOPS, strict=False):
        place += f", in step {turn} of {whose}"
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
        where = f"the update of parameter {shown(updated[position - count].name)}"
    return f"it reaches {where}; no parameter was changed"
