"""Rules that divide by what gradients were like: AdaGrad, AdaDelta, RMSProp."""

from __future__ import annotations

from collections.abc import Iterable

from symgraph.leaves import Parameter
from symgraph.node import Node
from symgraph.ops.arithmetic import sqrt, square
from symgraph.optim.base import LearningRate, Optimizer, Rates, Updates
from symgraph.optim.checks import number_checked
from symgraph.optim.hooks import Hook


class AdaGrad(Optimizer):
    """Divides by the root of the sum of all squares: s <- s + g^2, w <- w - lr g / (sqrt(s) + eps).

    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization" (2011), the diagonal form.

    Args:
        learning_rate: see `Optimizer`.
        eps: keeps the division finite where all gradients were 0.
        hooks: see `Optimizer`.
        name: see `Optimizer`; the state is called `adagrad/squares/l0/W`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=AdaGrad(0.01).updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        eps: float = 1e-8,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "adagrad",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, hooks, name)
        self.eps = number_checked("eps", eps, 0.0)

    def _step(self, parameter: Parameter, gradient: Node, rates: Rates) -> Updates:
        squares = self._slot(parameter, "squares")
        summed = squares + square(gradient)
        change = rates.step * gradient / (sqrt(summed) + self.eps)
        return {parameter: parameter - change, squares: summed}


class AdaDelta(Optimizer):
    """Gives each change the size of those before it, so that it needs no learning rate.

    s <- rho s + (1 - rho) g^2, d = g sqrt((c + eps) / (s + eps)), c <- rho c + (1 - rho) d^2, then
    w <- w - lr d. Zeiler, "ADADELTA: an adaptive learning rate method" (2012), algorithm 1, where
    lr is 1.

    Args:
        learning_rate: see `Optimizer`.
        rho: how much of the means of squares is kept, in [0, 1).
        eps: begins the changes, and keeps the division finite.
        hooks: see `Optimizer`.
        name: see `Optimizer`; the state is called `adadelta/squares/l0/W` and
            `adadelta/changes/l0/W`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=AdaDelta().updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        rho: float = 0.95,
        eps: float = 1e-6,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "adadelta",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, hooks, name)
        self.rho = number_checked("rho", rho, 0.0, 1.0)
        self.eps = number_checked("eps", eps, 0.0)

    def _step(self, parameter: Parameter, gradient: Node, rates: Rates) -> Updates:
        squares, changes = self._slot(parameter, "squares"), self._slot(parameter, "changes")
        new_squares = self.rho * squares + (1.0 - self.rho) * square(gradient)
        change = sqrt((changes + self.eps) / (new_squares + self.eps)) * gradient
        new_changes = self.rho * changes + (1.0 - self.rho) * square(change)
        return {
            parameter: parameter - rates.step * change,
            squares: new_squares,
            changes: new_changes,
        }


class RMSProp(Optimizer):
    """Divides by the root of a running mean of squares.

    s <- rho s + (1 - rho) g^2, w <- w - lr g / (sqrt(s) + eps). Tieleman and Hinton, "Lecture 6.5 -
    RMSProp" (2012), with the numbers of the Keras book.

    Args:
        learning_rate: see `Optimizer`.
        rho: how much of the mean of squares is kept, in [0, 1).
        eps: keeps the division finite where all gradients were 0.
        hooks: see `Optimizer`.
        name: see `Optimizer`; the state is called `rmsprop/squares/l0/W`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=RMSProp(1e-3).updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        rho: float = 0.9,
        eps: float = 1e-7,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "rmsprop",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, hooks, name)
        self.rho = number_checked("rho", rho, 0.0, 1.0)
        self.eps = number_checked("eps", eps, 0.0)

    def _step(self, parameter: Parameter, gradient: Node, rates: Rates) -> Updates:
        squares = self._slot(parameter, "squares")
        mean = self.rho * squares + (1.0 - self.rho) * square(gradient)
        change = rates.step * gradient / (sqrt(mean) + self.eps)
        return {parameter: parameter - change, squares: mean}
