"""State: what a call hands on to the next one, and how graphs say so."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.leaves import Parameter, State, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.op import Attrs, Composite, Op
from symgraph.ops.assume import assume_equal
from symgraph.types import TensorType, promote

_numbers = count()


def _infer_track(types: tuple[Any, ...], _attrs: Attrs) -> TensorType:
    first: TensorType = types[0]
    return first


def _track_gradient(g: Node, _y: Node, _x: Node, *values: Node, **attrs: Any) -> tuple[Any, ...]:
    # A derivative of what was tracked is tracked too: a function may compute it alone.
    return TRACK(g, *values, **attrs), *([None] * len(values))


TRACK = Op(
    name="track",
    kind=Composite(lambda y, *values, **attrs: y),
    infer=_infer_track,
    numpy=lambda y, *values, **attrs: y,
    grad=_track_gradient,
    samples=(),
    doc="The first operand. A function that computes it also writes the other operands to `states`;"
    " `number` tells which of several such writes comes first; where `once` holds, there may be no"
    " other one.",
)


def track(y: Operand, updates: Mapping[State, Operand]) -> Node:
    """Return `y`, and have each function that computes it write new values to states.

    What is compiled from the result, or from a derivative of it, also commits the new values, at
    the end of the step and together with all other updates. Everything in that function reads the
    values from before the call. If one function tracks a state several times, the new values
    compose: each is computed from what the ones before it, in the order in which they were built,
    leave in the states. Derivatives flow through `y` alone.

    Args:
        y: any node.
        updates: states, and their new values, of the same shapes and dtypes.

    Returns:
        A node equal to `y`.

    Raises:
        GraphError: `updates` does not map states to values.
        ShapeError: a new value has another shape than its state.
        DTypeError: a new value has another dtype than its state.

    Example:
        >>> total = State(0.0, "total")
        >>> x = Placeholder("x", (), "float64")
        >>> f = compile(track(x * 2, {total: total + x}))
        >>> f(x=3.0), f(x=4.0), total.value
        (array(6.), array(8.), array(7.))
    """
    return _tracked(y, updates, once=False)


def track_once(y: Operand, updates: Mapping[State, Operand]) -> Node:
    """Return `y` as `track` does, for states that a function may track only once.

    That is so where `y` itself depends on them: it reads the values from before the call, so a
    second use would not go on where the first one ended.
    """
    return _tracked(y, updates, once=True)


def _tracked(y: Operand, updates: Mapping[State, Operand], once: bool) -> Node:
    if not isinstance(updates, Mapping) or not updates:
        raise GraphError(
            f"track takes a dict from states to their new values, not {updates!r}\n"
            f"  at {user_location()}"
        )
    for state in updates:
        if not isinstance(state, State):
            raise GraphError(
                f"only a State is tracked, not {state!r}\n  at {user_location()}\n"
                "  a parameter's new value belongs into compile(..., updates=...)"
            )
    values = [lift(value) for value in updates.values()]
    for state, value in zip(updates, values, strict=True):
        check_new_value(state, value)
    return TRACK(lift(y), *values, states=tuple(updates), number=next(_numbers), once=once)


def check_new_value(parameter: Parameter, value: Node) -> None:
    """Refuse a new value that does not fit its parameter, as far as types are known.

    Raises:
        ShapeError: it has another shape than its parameter.
        DTypeError: it has a dtype that does not convert to the parameter's.
    """
    given: TensorType = value.type
    if given.known:
        _check_shape(parameter, value)
    weak = given.weak and promote((given, parameter.type)) == parameter.dtype
    if given.dtype is not None and given.dtype != parameter.dtype and not weak:
        raise DTypeError(
            f"the update of {describe(parameter)} has another dtype: {describe(value)}\n"
            f"  at {user_location()}\n  cast it with .astype({parameter.dtype!r})"
        )


def _check_shape(parameter: Parameter, value: Node) -> None:
    text = f"the update of {describe(parameter)} has another shape: {describe(value)}"
    try:
        if value.type.rank != parameter.type.rank:
            raise ShapeError(text)
        for extent, own in zip(value.type.dims, parameter.type.dims, strict=True):
            assume_equal(extent, own, text)
    except ShapeError as error:
        raise ShapeError(f"{error}\n  at {user_location()}") from None
