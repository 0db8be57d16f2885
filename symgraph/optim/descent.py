"""Gradient descent: plain, with momentum, and with momentum that looks ahead."""

from __future__ import annotations

from collections.abc import Iterable

from symgraph.leaves import Parameter
from symgraph.node import Node
from symgraph.optim.base import LearningRate, Optimizer, Rates, Updates
from symgraph.optim.checks import number_checked
from symgraph.optim.hooks import Hook


class SGD(Optimizer):
    """Steps down the gradient: w <- w - lr g.

    Robbins and Monro, "A stochastic approximation method" (1951).

    Args:
        learning_rate: see `Optimizer`.
        hooks: see `Optimizer`.
        name: see `Optimizer`.

    Example:
        >>> step = compile(loss, updates=SGD(0.1).updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "sgd",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, hooks, name)

    def _step(self, parameter: Parameter, gradient: Node, rates: Rates) -> Updates:
        return {parameter: parameter - rates.step * gradient}


class Momentum(Optimizer):
    """Steps with a velocity that remembers: v <- momentum v - lr g, w <- w + v.

    Polyak, "Some methods of speeding up the convergence of iteration methods" (1964).

    Args:
        learning_rate: see `Optimizer`.
        momentum: how much of the velocity is kept, in [0, 1).
        hooks: see `Optimizer`.
        name: see `Optimizer`; the state is called `momentum/velocity/l0/W`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=Momentum(0.1).updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.9,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "momentum",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, hooks, name)
        self.momentum = number_checked("momentum", momentum, 0.0, 1.0)

    def _step(self, parameter: Parameter, gradient: Node, rates: Rates) -> Updates:
        velocity = self._slot(parameter, "velocity")
        changed = self.momentum * velocity - rates.step * gradient
        return {parameter: parameter + self._move(changed, gradient, rates), velocity: changed}

    def _move(self, velocity: Node, gradient: Node, rates: Rates) -> Node:
        """Return how far the parameter goes."""
        return velocity


class Nesterov(Momentum):
    """Looks ahead along its velocity: v <- momentum v - lr g, w <- w + momentum v - lr g.

    Nesterov, "A method for solving the convex programming problem with convergence rate O(1/k^2)"
    (1983), in the form that takes the gradient at w itself: Bengio, Boulanger-Lewandowski and
    Pascanu, "Advances in optimizing recurrent networks" (2013), section 3.5.

    Args:
        learning_rate: see `Optimizer`.
        momentum: how much of the velocity is kept, in [0, 1).
        hooks: see `Optimizer`.
        name: see `Optimizer`; the state is called `nesterov/velocity/l0/W`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=Nesterov(0.1).updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.9,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "nesterov",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, momentum, hooks=hooks, name=name)

    def _move(self, velocity: Node, gradient: Node, rates: Rates) -> Node:
        return self.momentum * velocity - rates.step * gradient
