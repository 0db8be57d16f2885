"""Adam (Kingma and Ba, 2015), and AdamW, which decays weights apart from the gradient."""

from __future__ import annotations

from collections.abc import Iterable

from symgraph.leaves import Parameter
from symgraph.node import Node
from symgraph.ops.arithmetic import power, sqrt, square
from symgraph.ops.elementwise import cast
from symgraph.optim.base import LearningRate, Optimizer, Rates, Updates
from symgraph.optim.checks import number_checked
from symgraph.optim.hooks import Hook


class Adam(Optimizer):
    """Steps along the mean of gradients, scaled by the root of the mean of their squares.

    m <- m + (1 - beta1) (g - m) and v <- v + (1 - beta2) (g^2 - v), then
    w <- w - r m / (sqrt(v) + eps) with r = lr sqrt(1 - beta2^t) / (1 - beta1^t), t counting from 1.
    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), in the form that the end of
    section 2 gives, in which the correction of the bias is in the rate: `eps` is added to the
    uncorrected root, unlike in PyTorch.

    The optimiser has one counter of updates: make one optimiser for each function that trains.

    Args:
        learning_rate: see `Optimizer`.
        beta1: how much of the mean of gradients is kept, in [0, 1).
        beta2: how much of the mean of their squares is kept, in [0, 1).
        eps: keeps the division finite where all gradients were 0.
        hooks: see `Optimizer`.
        name: see `Optimizer`; the state is called `adam/step`, `adam/m/l0/W` and `adam/v/l0/W`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=Adam(1e-3).updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "adam",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, hooks, name)
        self.beta1 = number_checked("beta1", beta1, 0.0, 1.0)
        self.beta2 = number_checked("beta2", beta2, 0.0, 1.0)
        self.eps = number_checked("eps", eps, 0.0)

    def _rates(self, learning_rate: Node) -> Rates:
        # In float64 whatever is trained: 1 - beta2^t loses four digits to cancellation at first.
        rate = cast(learning_rate, dtype="float64")
        number = cast(self._count() + 1, dtype="float64")
        first, second = 1.0 - power(self.beta1, number), 1.0 - power(self.beta2, number)
        return Rates(rate, rate * sqrt(second) / first)

    def _step(self, parameter: Parameter, gradient: Node, rates: Rates) -> Updates:
        m, v = self._slot(parameter, "m"), self._slot(parameter, "v")
        mean = m + (1.0 - self.beta1) * (gradient - m)
        squares = v + (1.0 - self.beta2) * (square(gradient) - v)
        change = rates.step * mean / (sqrt(squares) + self.eps)
        return {parameter: self._decayed(parameter, rates) - change, m: mean, v: squares}

    def _decayed(self, parameter: Parameter, rates: Rates) -> Node:
        """Return what the step starts from."""
        return parameter


class AdamW(Adam):
    """Adam that makes weights smaller by itself: w <- w - lr weight_decay w - (Adam's step).

    Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2, with the
    decay in proportion to the learning rate, as PyTorch has it. Unlike the hook `WeightDecay`, the
    decay is not divided by the size of gradients.

    Args:
        learning_rate: see `Optimizer`.
        beta1: see `Adam`.
        beta2: see `Adam`.
        eps: see `Adam`.
        weight_decay: which part of a weight decays at a learning rate of 1.
        hooks: see `Optimizer`.
        name: see `Adam`; begins with `adamw` by default.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=AdamW(1e-3).updates(loss, model.parameters()))
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        hooks: Iterable[Hook] = (),
        name: str = "adamw",
    ) -> None:
        """Check the arguments."""
        super().__init__(learning_rate, beta1, beta2, eps, hooks=hooks, name=name)
        self.weight_decay = number_checked("weight_decay", weight_decay, 0.0)

    def _decayed(self, parameter: Parameter, rates: Rates) -> Node:
        return parameter - rates.learning * self.weight_decay * parameter
