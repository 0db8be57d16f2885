"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from symgraph.leaves import Parameter
from symgraph.node import Node, Operand
from symgraph.optim.base import Optimizer, Rate, number_checked


class SGD(Optimizer):
    """Steps down the gradient: w <- w - lr g.

    Args:
        lr: the learning rate; see `Optimizer`.
        name: begins the names of the state, of which there is none.

    Example:
        >>> step = compile(loss, updates=SGD(0.1).updates(loss, params))
    """

    def __init__(self, lr: Operand = 0.01, *, name: str = "sgd") -> None:
        """Check the learning rate."""
        super().__init__(lr, name)

    def _step(self, parameter: Parameter, gradient: Node, rate: Rate) -> dict[Parameter, Node]:
        return {parameter: parameter - rate * gradient}


class Momentum(Optimizer):
    """Steps with a velocity that remembers: v <- momentum v - lr g, w <- w + v.

    Args:
        lr: the learning rate; see `Optimizer`.
        momentum: how much of the velocity is kept, in [0, 1).
        name: begins the names of the state: `momentum/l0/W/velocity`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=Momentum(0.1).updates(loss, params))
    """

    def __init__(
        self, lr: Operand = 0.01, momentum: float = 0.9, *, name: str = "momentum"
    ) -> None:
        """Check the numbers."""
        super().__init__(lr, name)
        self.momentum = number_checked("momentum", momentum, 0.0, 1.0)

    def _step(self, parameter: Parameter, gradient: Node, rate: Rate) -> dict[Parameter, Node]:
        velocity = self._slot(parameter, "velocity")
        changed = self.momentum * velocity - rate * gradient
        return {velocity: changed, parameter: parameter + changed}
