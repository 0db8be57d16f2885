"""What optimisers, hooks and schedules refuse, before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.leaves import Parameter, State, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.types import FLOATS


def number_checked(what: str, value: Any, lowest: float, below: float = math.inf) -> float:
    """Return `value` as a float.

    Args:
        what: how the message names it.
        value: what the user gave.
        lowest: the least allowed value.
        below: the first value that is too large.

    Raises:
        GraphError: it is no number in the range.
    """
    plain = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not plain or not lowest <= float(value) < below:
        limit = "a finite number" if below == math.inf else f"a number below {below:g}"
        raise GraphError(
            f"{what} is {limit}, at least {lowest:g}, not {value!r}\n  at {user_location()}"
        )
    return float(value)


def positive_checked(what: str, value: Any) -> float:
    """Return `value` as a float above zero.

    Raises:
        GraphError: it is no finite number above zero.
    """
    number = number_checked(what, value, 0.0)
    if number == 0.0:
        raise GraphError(f"{what} is more than 0\n  at {user_location()}")
    return number


def count_checked(what: str, value: Any) -> int:
    """Return `value` as an int of at least 1.

    Raises:
        GraphError: it is none.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise GraphError(f"{what} is a positive int, not {value!r}\n  at {user_location()}")


def rate_checked(rate: Node) -> Node:
    """Return a learning rate that is a node.

    Raises:
        ShapeError: it has another rank than 0.
        DTypeError: it is a bool.
    """
    if rate.type.shape is not None and rate.type.rank != 0:
        raise ShapeError(
            f"the learning rate is one number, not {describe(rate)}\n  at {user_location()}"
        )
    if rate.dtype == "bool":
        raise DTypeError(
            f"the learning rate is a number, not {describe(rate)}\n  at {user_location()}"
        )
    return rate


def checked_parameters(parameters: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters as a list.

    Raises:
        GraphError: there are none, one occurs twice, or an entry is no parameter.
        DTypeError: one is no float.
    """
    targets = _listed("parameters", "such as model.parameters()", parameters)
    if not targets:
        raise GraphError(f"there are no parameters to train\n  at {user_location()}")
    seen: set[Parameter] = set()
    for entry in targets:
        _check_parameter(entry)
        if entry in seen:
            raise GraphError(f"{describe(entry)} is given twice\n  at {user_location()}")
        seen.add(entry)
    return targets


def _listed(what: str, example: str, given: Iterable[Any]) -> list[Any]:
    """Return what was given as a list.

    Raises:
        GraphError: it is one thing, not several.
    """
    if isinstance(given, Node) or not isinstance(given, Iterable):
        shown = describe(given) if isinstance(given, Node) else repr(given)
        raise GraphError(
            f"{what} is a list {example}, not the single {shown}\n  at {user_location()}"
        )
    return list(given)


def _check_parameter(entry: object) -> None:
    if not isinstance(entry, Parameter):
        raise GraphError(f"only parameters are trained, not {entry!r}\n  at {user_location()}")
    if isinstance(entry, State):
        raise GraphError(
            f"{describe(entry)} is a state, which a step carries but no optimiser trains\n"
            f"  at {user_location()}\n  make it a Parameter, or leave it out"
        )
    if entry.dtype not in FLOATS:
        raise DTypeError(f"only floats are trained, not {describe(entry)}\n  at {user_location()}")


def checked_gradients(gradients: Iterable[Operand], targets: Sequence[Parameter]) -> list[Node]:
    """Return the gradients as nodes.

    Raises:
        GraphError: there are not as many as parameters.
        ShapeError: one does not have the shape of its parameter.
        DTypeError: one does not have the dtype of its parameter.
    """
    slopes = [lift(entry) for entry in _listed("gradients", "such as grad gives", gradients)]
    if len(slopes) != len(targets):
        raise GraphError(
            f"{len(slopes)} gradients were given for {len(targets)} parameters\n"
            f"  at {user_location()}"
        )
    for parameter, gradient in zip(targets, slopes, strict=True):
        check_gradient(parameter, gradient)
    return slopes


def check_gradient(parameter: Parameter, gradient: Node, origin: str = "") -> None:
    """Refuse a gradient that does not fit its parameter, as far as its type is known.

    Args:
        parameter: what it is the gradient of.
        gradient: the gradient.
        origin: what the message says about where it comes from, if anything.

    Raises:
        ShapeError: it has another shape.
        DTypeError: it has another dtype.
    """
    given = gradient.type
    text = f"the gradient of {describe(parameter)}{origin} has another"
    if given.shape is not None and given.shape != parameter.type.shape:
        raise ShapeError(f"{text} shape: {describe(gradient)}\n  at {user_location()}")
    if given.dtype is not None and given.dtype != parameter.dtype and not given.weak:
        raise DTypeError(
            f"{text} dtype: {describe(gradient)}\n  at {user_location()}\n"
            f"  cast it with .astype({parameter.dtype!r})"
        )
