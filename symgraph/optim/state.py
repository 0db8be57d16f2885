"""The state of an optimiser: which node belongs to what, and how it is called."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.leaves import Parameter, State
from symgraph.ops.arguments import Array
from symgraph.optim.checks import number_checked


class LearningRateState(State):
    """A learning rate that may be set between calls."""

    __slots__ = ()

    def checked(self, new: Any) -> Array:
        """Return a new learning rate as an array that may be assigned; nothing is changed.

        Raises:
            ShapeError: it is not one number.
            DTypeError: it is no number.
            GraphError: it is not finite, or negative.
        """
        array = super().checked(new)
        number_checked("the learning rate", array.item(), 0.0)
        return array


class OptimizerState:
    """Makes states when they are first asked for, and gives the same ones from then on.

    Names are flat and depend only on the names of parameters and on the order in which the
    optimiser meets them: another process that builds the same program finds the same ones.

    Args:
        prefix: begins all names.
    """

    def __init__(self, prefix: str) -> None:
        """Begin with no state."""
        self._prefix = prefix
        self._slots: dict[tuple[Parameter, str], State] = {}
        self._scalars: dict[str, State] = {}
        self._labels: dict[Parameter, str] = {}

    def scalar(self, kind: str, value: int | float, made: type[State] = State) -> State:
        """Return the scalar called `prefix/kind`, which all parameters share.

        Args:
            kind: what it holds.
            value: what it holds at first; an int makes it int64, a float float64.
            made: the class of the state.
        """
        if kind not in self._scalars:
            self._scalars[kind] = made(value, f"{self._prefix}/{kind}")
        return self._scalars[kind]

    def slot(self, parameter: Parameter, kind: str) -> State:
        """Return the state called `prefix/kind/parameter`, like the parameter and zero at first.

        Args:
            parameter: what it belongs to.
            kind: what it holds.
        """
        key = (parameter, kind)
        if key not in self._slots:
            name = f"{self._prefix}/{kind}/{self._label(parameter)}"
            self._slots[key] = _zeros(parameter, name)
        return self._slots[key]

    def __contains__(self, kind: str) -> bool:
        """Tell whether the scalar of this kind has been made."""
        return kind in self._scalars

    def named(self) -> dict[str, State]:
        """Return all states by name: scalars first, then slots, each in the order of making."""
        states = [*self._scalars.values(), *self._slots.values()]
        return {state.name or "": state for state in states}

    def _label(self, parameter: Parameter) -> str:
        """Return the parameter's name, with a number behind it where another one has that name."""
        if parameter not in self._labels:
            taken = set(self._labels.values())
            number = len(self._labels)
            name = label = parameter.name or f"p{number}"
            while label in taken:
                label = f"{name}.{number}"
                number += 1
            self._labels[parameter] = label
        return self._labels[parameter]


def _zeros(parameter: Parameter, name: str) -> State:
    """Return a state like `parameter` and zero, which takes memory when it is first used."""
    dtype = parameter.type.element
    shape = tuple(extent for extent in parameter.type.dims if isinstance(extent, int))
    return State.deferred(shape, dtype, lambda: np.zeros(shape, dtype), name)
