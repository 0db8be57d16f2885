"""Stepping through a call, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.errors import GraphError
from symgraph.inspection.text import code_of, place
from symgraph.inspection.trace import Recording, Step, Trace, value_text
from symgraph.location import user_location
from symgraph.node import Node

Predicate = Callable[[Step], bool]
_AROUND = 3


class Debugger:
    """Walks over the values of one call of the reference interpreter.

    The call has been made when the debugger is handed out: stepping back costs nothing. Nothing
    that a compiled function keeps is changed.

    Attributes:
        values: every value computed up to the present step, by name.

    Example:
        >>> d = f.debug(x=1.0)
        >>> d.until("loss").value
        array(0.5)
    """

    def __init__(self, recording: Recording) -> None:
        """Stand before the first step."""
        self.steps = recording.steps
        self.error = recording.error
        self._position = -1
        self._breaks: list[Predicate] = []
        self._watched: list[str] = []

    @property
    def position(self) -> int:
        """Return the number of the present step, -1 before the first."""
        return self._position

    @property
    def current(self) -> Step | None:
        """Return the step just made, None before the first."""
        return self.steps[self._position] if self._position >= 0 else None

    @property
    def values(self) -> Trace:
        """Return what has been computed so far."""
        return Trace(self.steps[: self._position + 1])

    @property
    def done(self) -> bool:
        """Tell whether no step is left."""
        return self._position + 1 >= len(self.steps)

    def next(self) -> Step | None:
        """Make one step.

        Returns:
            It, or None at the end.

        Raises:
            SymGraphError: the call failed at this point; what the op itself raised.
        """
        if not self.done:
            self._position += 1
            return self.current
        if self.error is not None:
            raise self.error
        return None

    def back(self) -> Step | None:
        """Undo one step; return the one before it, None at the start."""
        self._position = max(self._position - 1, -1)
        return self.current

    def until(self, target: str | Node) -> Step | None:
        """Go on to the next value of this name, of this op, or of this node.

        Args:
            target: a name as `values` shows it, the name of an op, or a node.

        Returns:
            The step; None at the end if no such step is left.

        Raises:
            GraphError: nothing in this call has that name.
            SymGraphError: the call failed before.
        """
        if not any(_matches(step, target) for step in self.steps):
            names = ", ".join(dict.fromkeys(step.name for step in self.steps[:20]))
            raise GraphError(
                f"this call computes no {target!r}; it computes {names} ...\n  at {user_location()}"
            )
        return self._advance(lambda step: _matches(step, target))

    def break_when(self, predicate: Predicate) -> None:
        """Let `run` stop after a step for which `predicate(step)` holds.

        Example:
            >>> d.break_when(lambda step: np.isnan(step.value).any())
            >>> d.run()
        """
        self._breaks.append(predicate)

    def run(self) -> Step | None:
        """Go on to the next breakpoint; return its step, or None at the end.

        Raises:
            SymGraphError: the call failed.
        """
        return self._advance(lambda step: any(holds(step) for holds in self._breaks))

    def watch(self, target: str | Node) -> None:
        """Show a value, as soon as it is known, whenever the debugger is printed."""
        self._watched.append(target if isinstance(target, str) else self._name_of(target))

    def _name_of(self, node: Node) -> str:
        for step in self.steps:
            if step.node is node:
                return step.name
        raise GraphError(f"this call does not compute {node!r}\n  at {user_location()}")

    def _advance(self, stop: Predicate) -> Step | None:
        while True:
            step = self.next()
            if step is None or stop(step):
                return step

    def __repr__(self) -> str:
        return f"<debugger at step {self._position + 1} of {len(self.steps)}>"

    def __str__(self) -> str:
        total = len(self.steps)
        lines = [f"step {self._position + 1} of {total}"]
        first = max(self._position - _AROUND, 0)
        for number in range(first, min(self._position + _AROUND + 1, total)):
            pointer = "->" if number == self._position else "  "
            step = self.steps[number]
            shown = value_text(step.value) if number <= self._position else ""
            lines.append(f"{pointer} {step.label:20} {place(step.loc)}  {_origin(step)}")
            if number == self._position:
                lines.append(f"       = {shown}")
        known = self.values
        for name in self._watched:
            text = value_text(known[name]) if name in known else "not computed yet"
            lines.append(f"watch {name} = {text}")
        if self.done and self.error is not None:
            lines.append(f"the call fails here: {self.error}")
        return "\n".join(lines)


def _matches(step: Step, target: str | Node) -> bool:
    if isinstance(target, Node):
        return step.node is target
    return target in (step.name, step.node.op.name)


def _origin(step: Step) -> str:
    derived = f"  ({step.loc.derived})" if step.loc.derived else ""
    return f"{code_of(step.loc)}{derived}"
