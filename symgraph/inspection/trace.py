"""Every intermediate value of one call, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import SymGraphError
from symgraph.inspection.names import name_nodes
from symgraph.inspection.text import code_of, place, table
from symgraph.interpret import evaluate
from symgraph.leaves import ARGUMENT, CONSTANT, Parameter
from symgraph.location import SourceLoc
from symgraph.node import Graph, Node
from symgraph.printer import printable

Array = np.ndarray[Any, Any]
LONGEST_RECORD = 100_000
"""Values that a recording holds: a loop that never ends must not fill the memory."""


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One value of a recorded call.

    Args:
        name: the value's name.
        node: what computed it.
        value: the array, or the arrays of a node that has several.
    """

    name: str
    node: Node
    value: Any

    @property
    def loc(self) -> SourceLoc:
        """Return the user's line."""
        return self.node.loc

    def __repr__(self) -> str:
        return f"<{self.name} = {value_text(self.value)}, made at {self.loc}>"


@dataclass(frozen=True)
class Recording:
    """The steps of one call, and the error that ended it early, if any."""

    steps: tuple[Step, ...]
    error: Exception | None


class _FullError(Exception):
    """Ends a recording that has become too long."""


def record(
    graph: Graph, feeds: Mapping[str, Array], updated: Sequence[Parameter] = ()
) -> Recording:
    """Evaluate a graph with the reference interpreter and keep every value but the constants.

    Random numbers are those of the first call.

    Args:
        graph: the user's outputs, then the new values of `updated`.
        feeds: an array for each placeholder.
        updated: the parameters that a call would change.
    """
    seen: list[tuple[Node, Any]] = []

    def observe(node: Node, value: Any) -> None:
        if len(seen) >= LONGEST_RECORD:
            raise _FullError
        if node.op not in (ARGUMENT, CONSTANT):
            seen.append((node, value))

    error: Exception | None = None
    try:
        evaluate(graph.outputs, feeds, observe=observe)
    except (SymGraphError, _FullError) as raised:
        error = raised
    new_values = graph.outputs[len(graph.outputs) - len(updated) :]
    given = {
        node: f"new {printable(parameter.name)}"
        for node, parameter in zip(new_values, updated, strict=True)
        if parameter.name is not None
    }
    names = name_nodes(list(dict.fromkeys(node for node, _ in seen)), given)
    return Recording(tuple(Step(names[node], node, value) for node, value in seen), error)


class Trace(Mapping[str, Any]):
    """Every value of one call by name; `str()` gives a table with the user's lines.

    Args:
        steps: the recorded values, in the order in which they were computed.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        """Keep the last value of each name."""
        self.steps = {step.name: step for step in steps}

    def __getitem__(self, name: str) -> Any:
        return self.steps[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def line(self, name: str) -> SourceLoc:
        """Return the user's line behind a value."""
        return self.steps[name].loc

    def node(self, name: str) -> Node:
        """Return the node that computed a value."""
        return self.steps[name].node

    def __str__(self) -> str:
        rows = [
            (name, *summary(step.value), place(step.loc), step.loc.derived or code_of(step.loc))
            for name, step in self.steps.items()
        ]
        header = ("name", "value", "min", "max", "mean", "made at", "")
        return table(header, rows, left=(0, 1, 5, 6))


def summary(value: Any) -> tuple[str, str, str, str]:
    """Return a value's dtype and shape (and how many elements are not finite), and its range."""
    if isinstance(value, tuple):
        return f"{len(value)} arrays", "", "", ""
    array = np.asarray(value)
    text = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
    finite = array[np.isfinite(array)]
    if finite.size < array.size:
        text += f", {array.size - finite.size} not finite"
    if finite.size == 0:
        return text, "", "", ""
    mean = finite.mean(dtype=np.float64)
    return text, f"{finite.min():.4g}", f"{finite.max():.4g}", f"{mean:.4g}"


def value_text(value: Any) -> str:
    """Return a small value in full and of a large one its summary."""
    if isinstance(value, np.ndarray) and value.size <= 8:
        return np.array2string(value, precision=6).replace("\n", " ")
    kind, low, high, mean = summary(value)
    return f"{kind} from {low} to {high}, mean {mean}" if low else kind
