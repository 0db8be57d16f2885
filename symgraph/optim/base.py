"""What all optimisers share: the way from a loss to updates, and their state."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.compiler.autodiff import grad
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.leaves import Parameter, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.ops.elementwise import cast
from symgraph.types import FLOATS

Rate = float | Node


class Optimizer(ABC):
    """Turns gradients into updates of parameters.

    A rule is one method, `_step`. What should change gradients before the rule sees them is a
    function of gradients: call `grad` yourself and hand its result to `updates_from`.

    Args:
        lr: the learning rate: a number, a 0-d node (a placeholder that each call feeds, say) or a
            `Parameter` whose value is set between calls.
        name: begins the names of the state.
    """

    def __init__(self, lr: Operand, name: str) -> None:
        """Check the learning rate; state is made when parameters are known."""
        self.lr: Rate = lr_checked(lr)
        self.name = name
        self._state: dict[tuple[Parameter | None, str], Parameter] = {}
        self._labels: dict[Parameter, str] = {}

    def updates(self, loss: Node, params: Iterable[Parameter]) -> dict[Parameter, Node]:
        """Build one step of this optimiser down the gradient of a loss.

        Args:
            loss: a float scalar.
            params: the parameters to train, each once.

        Returns:
            The new values of `params` and of the optimiser's own state, for `compile(updates=...)`.
            A second call, with another loss perhaps, uses the same state.

        Raises:
            GradientError: `loss` is no float scalar, or does not depend on one of `params`.
            GraphError: `params` is empty, or holds something twice or no parameter.
            DTypeError: a parameter is no float.

        Example:
            >>> w = Parameter(1.0, "w")
            >>> f = compile(w * w, updates=SGD(0.1).updates(w * w, [w]))
            >>> f(), w.value
            (array(1.), array(0.8))
        """
        targets = checked_parameters(params)
        gradients = grad(loss, targets)
        assert isinstance(gradients, list), "a list of nodes in, a list of gradients out"
        return self.updates_from(gradients, targets)

    def updates_from(
        self, gradients: Sequence[Operand], params: Iterable[Parameter]
    ) -> dict[Parameter, Node]:
        """Build one step of this optimiser from gradients that are there already.

        Args:
            gradients: one for each of `params`, of its shape: clipped, averaged, or as `grad` gave.
            params: the parameters to train, each once.

        Returns:
            As `updates`.

        Raises:
            GraphError: there are not as many gradients as parameters, or as `updates`.
            ShapeError: a gradient does not have the shape of its parameter.
        """
        targets = checked_parameters(params)
        slopes = [lift(gradient) for gradient in gradients]
        if len(slopes) != len(targets):
            raise GraphError(
                f"{len(slopes)} gradients were given for {len(targets)} parameters\n"
                f"  at {user_location()}"
            )
        for parameter, gradient in zip(targets, slopes, strict=True):
            _check_gradient(parameter, gradient)
        updates, rate = self._begin()
        for parameter, gradient in zip(targets, slopes, strict=True):
            scale = rate if isinstance(rate, float) else cast(rate, dtype=parameter.dtype)
            updates.update(self._step(parameter, gradient, scale))
        return updates

    @property
    def state(self) -> dict[str, Parameter]:
        """Return the state by name, in the order in which it was made; empty before `updates`."""
        return {parameter.name or "": parameter for parameter in self._state.values()}

    def _begin(self) -> tuple[dict[Parameter, Node], Rate]:
        """Return the updates of the state that all parameters share, and this step's rate."""
        return {}, self.lr

    @abstractmethod
    def _step(self, parameter: Parameter, gradient: Node, rate: Rate) -> dict[Parameter, Node]:
        """Return the new values of a parameter and of the state that belongs to it.

        Args:
            parameter: what is trained.
            gradient: its gradient, of its shape.
            rate: the learning rate, in its dtype.
        """

    def _slot(self, parameter: Parameter, kind: str) -> Parameter:
        """Return the state of this kind that belongs to `parameter`, zeros when it is made."""
        key = (parameter, kind)
        if key not in self._state:
            zeros = np.zeros(parameter.storage.shape, parameter.storage.dtype)
            self._state[key] = Parameter(zeros, f"{self.name}/{self._label(parameter)}/{kind}")
        return self._state[key]

    def _counter(self, kind: str) -> Parameter:
        """Return a scalar of the state that counts up from 0 for all parameters together."""
        key = (None, kind)
        if key not in self._state:
            self._state[key] = Parameter(np.int64(0), f"{self.name}/{kind}")
        return self._state[key]

    def _label(self, parameter: Parameter) -> str:
        """Return the parameter's name, or its number; a name that is taken gets its number too."""
        if parameter not in self._labels:
            number = len(self._labels)
            name = parameter.name or f"p{number}"
            taken = name in self._labels.values()
            self._labels[parameter] = f"{name}.{number}" if taken else name
        return self._labels[parameter]


def lr_checked(lr: Operand) -> Rate:
    """Return a learning rate as a Python float, so that it adapts to any dtype, or as a node.

    Raises:
        GraphError: it is no number, or one that is negative or not finite.
        ShapeError: it is a node of another rank than 0.
        DTypeError: it is a node of bools.
    """
    if isinstance(lr, Node):
        if lr.type.shape is not None and lr.type.rank != 0:
            raise ShapeError(f"the learning rate is one number, not {describe(lr)}")
        if lr.dtype == "bool":
            raise DTypeError(f"the learning rate is a number, not {describe(lr)}")
        return lr
    return number_checked("the learning rate", lr, 0.0, math.inf)


def number_checked(what: str, value: Any, lowest: float, below: float) -> float:
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


def checked_parameters(params: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters as a list.

    Raises:
        GraphError: there are none, one occurs twice, or an entry is no parameter.
        DTypeError: one is no float.
    """
    if isinstance(params, Node):
        raise GraphError(
            f"params is a list of parameters, not the single {describe(params)}; "
            f"write [...] around it\n  at {user_location()}"
        )
    targets = list(params)
    if not targets:
        raise GraphError(f"there are no parameters to train\n  at {user_location()}")
    seen: set[Parameter] = set()
    for entry in targets:
        if not isinstance(entry, Parameter):
            raise GraphError(f"only parameters are trained, not {entry!r}\n  at {user_location()}")
        if entry in seen:
            raise GraphError(f"{describe(entry)} is given twice\n  at {user_location()}")
        if entry.dtype not in FLOATS:
            raise DTypeError(f"only floats are trained, not {describe(entry)}")
        seen.add(entry)
    return targets


def _check_gradient(parameter: Parameter, gradient: Node) -> None:
    if gradient.type.shape is not None and gradient.type.shape != parameter.type.shape:
        raise ShapeError(
            f"the gradient of {describe(parameter)} has another shape: {describe(gradient)}\n"
            f"  at {user_location()}"
        )
