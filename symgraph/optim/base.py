"""What all optimisers share: the way from a loss to updates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Self

from symgraph.compiler.autodiff import grad
from symgraph.errors import GraphError
from symgraph.leaves import Parameter, State, lift, move_all
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.ops.elementwise import cast
from symgraph.optim.checks import (
    checked_gradients,
    checked_parameters,
    number_checked,
    rate_checked,
)
from symgraph.optim.hooks import Hook, apply_hooks, checked_hooks
from symgraph.optim.state import LearningRateState, OptimizerState

LearningRate = float | Node | Callable[[Node], Operand]
Updates = dict[Parameter, Node]


class Rates(NamedTuple):
    """The numbers that one step has for all parameters, 0-d nodes.

    Args:
        learning: the learning rate.
        step: what the rule multiplies its direction by: the learning rate, corrected where the rule
            corrects it.
    """

    learning: Node
    step: Node


class Optimizer(ABC):
    """Turns gradients into updates of parameters and of the optimiser's own state.

    A rule is a subclass with one method, `_step`. All of it is graph: the compiler fuses the
    updates of a parameter, of its state and what hooks do to its gradient into one pass over memory
    within the compiled step.

    Args:
        learning_rate: a number, which is then a state of the optimiser's own; a 0-d node, such as a
            placeholder that each call feeds; or a schedule.
        hooks: functions that change gradients before the rule sees them, in this order.
        name: begins the names of the state; give two optimisers that one file holds two names.

    Raises:
        GraphError: the learning rate is no finite number of at least 0, or hooks is no list of
            functions.
        ShapeError: the learning rate is a node of another rank than 0.
        DTypeError: the learning rate is a node of bools.
    """

    def __init__(self, learning_rate: LearningRate, hooks: Iterable[Hook], name: str) -> None:
        """Check the arguments; the state of parameters is made when these are known."""
        self.name = name
        self.hooks = checked_hooks(hooks)
        self._state = OptimizerState(name)
        self._learning_rate = self._rate_node(learning_rate)

    def _rate_node(self, rate: LearningRate) -> Node:
        if isinstance(rate, Node):
            return rate_checked(rate)
        if callable(rate) and not isinstance(rate, type):
            return rate_checked(lift(rate(self._count())))
        number = number_checked("the learning rate", rate, 0.0)
        return self._state.scalar("learning_rate", number, LearningRateState)

    @property
    def learning_rate(self) -> Any:  # Any: nodes of one kind only have a value to set
        """Return the learning rate as a node.

        If the optimiser was given a number this is a `State`: set its `value` between calls, and
        functions that are compiled already use it; what is no finite number of at least 0 is
        refused. If it was given a schedule this is a function of
        the number of updates, which may be one of a step's outputs.

        Example:
            >>> optimizer = SGD(0.1)
            >>> optimizer.learning_rate.value = 0.01
        """
        return self._learning_rate

    def updates(self, loss: Node, parameters: Iterable[Parameter]) -> Updates:
        """Build one step of this optimiser down the gradient of a loss.

        Args:
            loss: a float scalar.
            parameters: the parameters to train, each once. Those whose `trainable` is False are
                left out.

        Returns:
            The new values of the parameters and of the optimiser's own state, for
            `compile(updates=...)`. A second call, with another loss perhaps, uses the same state.

        Raises:
            GradientError: `loss` is no float scalar, or does not depend on a trainable parameter.
            GraphError: `parameters` is empty, has nothing to train, or holds something twice or no
                parameter; or a hook does not give what it should.
            ShapeError: a hook gives a gradient of another shape.
            DTypeError: a parameter is no float, or a hook gives a gradient of another dtype.

        Example:
            >>> w = Parameter(1.0, "w")
            >>> f = compile(w * w, updates=SGD(0.1).updates(w * w, [w]))
            >>> f(), w.value
            (array(1.), array(0.8))
        """
        targets = _trainable(checked_parameters(parameters))
        return self._updates(list(zip(targets, grad(loss, targets), strict=True)))

    def updates_from(
        self, gradients: Iterable[Operand], parameters: Iterable[Parameter]
    ) -> Updates:
        """Build one step of this optimiser from gradients that are there already.

        Args:
            gradients: one for each of the parameters, of its shape and dtype: averaged, penalised,
                or as `grad` gave.
            parameters: as for `updates`.

        Returns:
            As `updates`.

        Raises:
            GraphError: there are not as many gradients as parameters, or as `updates`.
            ShapeError: a gradient does not have the shape of its parameter.
            DTypeError: a gradient does not have the dtype of its parameter, or as `updates`.
        """
        targets = checked_parameters(parameters)
        slopes = checked_gradients(gradients, targets)
        kept = set(_trainable(targets))
        return self._updates(
            [pair for pair in zip(targets, slopes, strict=True) if pair[0] in kept]
        )

    def states(self) -> dict[str, State]:
        """Return the optimiser's own state by name, in a fixed order.

        A learning rate that is a number and the number of updates come first, then what the rule
        keeps for each parameter, such as `adam/m/l0/W`, which is there once `updates` was called.
        Save all of it with the parameters: when both are set again, training goes on as if it had
        never stopped, bit for bit.
        """
        return self._state.named()

    def to(self, device: str) -> Self:
        """Move the optimiser's own state to a device, or back, and return the optimiser itself.

        Compiled functions fetch values by themselves; see `Parameter.to`.

        Args:
            device: "cpu", "cuda", or "cuda:1" and so on.

        Raises:
            DeviceError: there is no such device, or it has no room for all; no value is lost.
        """
        move_all(self.states().values(), device)
        return self

    def _updates(self, pairs: list[tuple[Parameter, Node]]) -> Updates:
        """Return the updates of parameters, given their gradients."""
        pairs = apply_hooks(self.hooks, pairs)
        rates = self._rates(self._learning_rate)
        updates: Updates = {}
        for parameter, gradient in pairs:
            own = Rates(*(cast(rate, dtype=parameter.dtype) for rate in rates))
            updates.update(self._step(parameter, gradient, own))
        # Asked for by a schedule or by the rule; one that nobody reads is not counted.
        if "step" in self._state:
            count = self._count()
            updates[count] = count + 1
        return updates

    def _rates(self, learning_rate: Node) -> Rates:
        """Return the numbers of this step that all parameters share, in any float dtype."""
        return Rates(learning_rate, learning_rate)

    @abstractmethod
    def _step(self, parameter: Parameter, gradient: Node, rates: Rates) -> Updates:
        """Return the new values of a parameter and of the state that belongs to it.

        Args:
            parameter: what is trained.
            gradient: its gradient, of its shape.
            rates: the numbers of this step, in its dtype.
        """

    def _slot(self, parameter: Parameter, kind: str) -> State:
        """Return the state of this kind that belongs to `parameter`, zeros when it is made."""
        return self._state.slot(parameter, kind)

    def _count(self) -> State:
        """Return the state that holds the number of updates made so far."""
        return self._state.scalar("step", 0)


def _trainable(targets: Sequence[Parameter]) -> list[Parameter]:
    """Return the parameters that are not frozen.

    Raises:
        GraphError: all are.
    """
    kept = [parameter for parameter in targets if parameter.trainable]
    if not kept:
        names = ", ".join(map(describe, targets[:3]))
        raise GraphError(
            f"there is nothing to train: trainable is False for {names}\n  at {user_location()}"
        )
    return kept
