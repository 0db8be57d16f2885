"""Every intermediate value of one call, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.errors import GraphError, SymGraphError
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
LARGEST_RECORD = 1 << 30
"""Bytes that they may take together."""


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One value of a recorded call.

    Args:
        name: the value's name.
        node: what computed it.
        value: the array, or the arrays of a node that has several.
        turns: which step each loop around it was at, the outermost first. Steps have the numbers
            of the rows that they take, so the last step of a loop that runs backwards is 0.
    """

    name: str
    node: Node
    value: Any
    turns: tuple[int, ...] = ()

    @property
    def loc(self) -> SourceLoc:
        """Return the user's line."""
        return self.node.loc

    @property
    def label(self) -> str:
        """Return the name and, inside loops, which of their steps it is: `h [3]`."""
        return f"{self.name} [{', '.join(map(str, self.turns))}]" if self.turns else self.name

    def __repr__(self) -> str:
        return f"<{self.label} = {value_text(self.value)}, made at {self.loc}>"


@dataclass(frozen=True)
class Recording:
    """The steps of one call, and the error that ended it early, if any.

    Args:
        steps: the values, in the order in which they were computed.
        error: what ended the call, or the recording.
        is_whole: whether all values are there; else it is the last one of each node.
    """

    steps: tuple[Step, ...]
    error: Exception | None
    is_whole: bool = True


class _FullError(Exception):
    """Ends a recording that has become too long."""


@dataclass
class _Recorder:
    """Keeps the values of a call.

    Args:
        only_last: of a value that loops compute again and again, keep the last one if there are
            too many; else a recording that becomes too long is ended.
    """

    only_last: bool
    seen: list[tuple[Node, Any, tuple[int, ...]]] = field(default_factory=list)
    size: int = 0
    limit: int = field(default_factory=lambda: LONGEST_RECORD)
    is_whole: bool = True
    known: set[tuple[Node, tuple[int, ...]]] = field(default_factory=set)

    def observe(self, node: Node, value: Any, turns: tuple[int, ...]) -> None:
        """Take note of one value."""
        if node.op in (ARGUMENT, CONSTANT) or self._is_repeated(node, turns):
            return
        self.size += _bytes(value) if turns else 0
        if turns and (len(self.seen) >= self.limit or self.size > LARGEST_RECORD):
            if not self.only_last:
                raise _FullError
            self.is_whole = False
            self.known.clear()
            self.forget()
        self.seen.append((node, value, turns))

    def _is_repeated(self, node: Node, turns: tuple[int, ...]) -> bool:
        """Tell whether this step is known: the gradient of a loop runs its body once more."""
        if not turns or not self.is_whole:
            return False
        before = len(self.known)
        self.known.add((node, turns))
        return len(self.known) == before

    def restart(self) -> None:
        """Forget everything: the call begins anew."""
        self.seen.clear()
        self.known.clear()
        self.size, self.limit, self.is_whole = 0, LONGEST_RECORD, True

    def forget(self) -> None:
        """Keep the last value of each node."""
        last = {entry[0]: number for number, entry in enumerate(self.seen)}
        self.seen = [entry for number, entry in enumerate(self.seen) if last[entry[0]] == number]
        self.size = sum(_bytes(value) for _, value, turns in self.seen if turns)
        self.limit = max(LONGEST_RECORD, 2 * len(self.seen))


def _bytes(value: Any) -> int:
    arrays = value if isinstance(value, tuple) else (value,)
    return sum(int(array.nbytes) for array in arrays)


def record(
    graph: Graph,
    feeds: Mapping[str, Array],
    updated: Sequence[Parameter] = (),
    *,
    only_last: bool = False,
) -> Recording:
    """Evaluate a graph with the reference interpreter and keep every value but the constants.

    Random numbers are those of the first call.

    Args:
        graph: the user's outputs, then the new values of `updated`.
        feeds: an array for each placeholder.
        updated: the parameters that a call would change.
        only_last: if there are too many values to keep, keep the last one of each node; else the
            recording ends there with an error.
    """
    recorder = _Recorder(only_last)
    error: Exception | None = None
    try:
        evaluate(graph.outputs, feeds, observe=recorder.observe, restart=recorder.restart)
    except SymGraphError as raised:
        error = raised
    except _FullError:
        error = GraphError(
            f"the recording ends here: it holds {len(recorder.seen)} values, which is all that is "
            "kept; take fewer steps, or look at the last values with trace"
        )
    new_values = graph.outputs[len(graph.outputs) - len(updated) :]
    given = {
        node: f"new {printable(parameter.name)}"
        for node, parameter in zip(new_values, updated, strict=True)
        if parameter.name is not None
    }
    if not recorder.is_whole:
        recorder.forget()
    seen = recorder.seen
    names = name_nodes(list(dict.fromkeys(node for node, _, _ in seen)), given)
    steps = tuple(Step(names[entry[0]], *entry) for entry in seen)
    return Recording(steps, error, recorder.is_whole)


class Trace(Mapping[str, Any]):
    """Every value of one call by name; `str()` gives a table with the user's lines.

    What a loop computes is there once for all its steps, stacked along a new axis 0 in the order
    of the rows that it takes; where there are loops inside loops, all their steps follow each
    other. If that would take more than a gigabyte or 100 000 values, or if shapes differ from step
    to step, it is the last value.

    Args:
        steps: the recorded values, in the order in which they were computed.
        stacked: whether to stack what loops compute; else the last value counts.
    """

    def __init__(self, steps: Sequence[Step], *, stacked: bool = False) -> None:
        """Sort the values by name."""
        self.steps = {step.name: step for step in steps}
        self._history: dict[str, list[Step]] = {}
        for step in steps if stacked else ():
            if step.turns:
                self._history.setdefault(step.name, []).append(step)
        self._stacked: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._history:
            return self.steps[name].value
        if name not in self._stacked:
            self._stacked[name] = _stack(self._history[name])
        return self._stacked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def history(self, name: str) -> tuple[Step, ...]:
        """Return all that is known of a value: one entry, or one for each step of the loops."""
        last = self.steps[name]
        return tuple(self._history.get(name, (last,)))

    def line(self, name: str) -> SourceLoc:
        """Return the user's line behind a value."""
        return self.steps[name].loc

    def node(self, name: str) -> Node:
        """Return the node that computed a value."""
        return self.steps[name].node

    def __repr__(self) -> str:
        return f"<trace of {_counted(len(self), 'value')}>"

    def __str__(self) -> str:
        rows = []
        for name, step in self.steps.items():
            value = self[name]
            kind, *numbers = summary(value)
            if value is not step.value:
                kind += f", {_counted(len(self._history[name]), 'step')}"
            elif step.turns:
                kind += f", step {step.turns[-1]}"
            made_at = place(step.loc), step.loc.derived or code_of(step.loc)
            rows.append((name, kind, *numbers, *made_at))
        header = ("name", "value", "min", "max", "mean", "made at", "")
        return table(header, rows, left=(0, 1, 5, 6))


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _stack(history: Sequence[Step]) -> Any:
    """Return the values of all steps as one array, or the last one where that cannot be."""
    values = [step.value for step in sorted(history, key=lambda step: step.turns)]
    shapes = {getattr(value, "shape", None) for value in values}
    if len(shapes) != 1 or None in shapes:
        return history[-1].value
    return np.stack(values)


def summary(value: Any) -> tuple[str, str, str, str]:
    """Return a value's dtype and shape (and how many elements are not finite), and its range."""
    if isinstance(value, tuple):
        return _counted(len(value), "array"), "", "", ""
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
