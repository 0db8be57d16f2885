"""Adam (Kingma and Ba, 2015)."""

from __future__ import annotations

import math

from symgraph.leaves import Parameter
from symgraph.node import Node, Operand
from symgraph.ops.arithmetic import power, sqrt, square
from symgraph.ops.elementwise import cast
from symgraph.optim.base import Optimizer, Rate, number_checked


class Adam(Optimizer):
    """Steps along the mean of gradients, scaled by the root of the mean of their squares.

    m <- m + (1 - beta1) (g - m) and v <- v + (1 - beta2) (g^2 - v), then
    w <- w - r m / (sqrt(v) + eps) with r = lr sqrt(1 - beta2^t) / (1 - beta1^t). This is the form
    that the end of the paper's section 2 gives, in which the correction of the bias is in the rate;
    `eps` is added to the uncorrected root, unlike in PyTorch.

    The optimiser has one step counter t: make one optimiser for each function that trains.

    Args:
        lr: the learning rate; see `Optimizer`.
        beta1: how much of the mean of gradients is kept, in [0, 1).
        beta2: how much of the mean of their squares is kept, in [0, 1).
        eps: keeps the division finite where all gradients were 0.
        name: begins the names of the state: `adam/step`, `adam/l0/W/mean`, `adam/l0/W/square`.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> step = compile(loss, updates=Adam(1e-3).updates(loss, params))
    """

    def __init__(
        self,
        lr: Operand = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        *,
        name: str = "adam",
    ) -> None:
        """Check the numbers."""
        super().__init__(lr, name)
        self.beta1 = number_checked("beta1", beta1, 0.0, 1.0)
        self.beta2 = number_checked("beta2", beta2, 0.0, 1.0)
        self.eps = number_checked("eps", eps, 0.0, math.inf)

    def _begin(self) -> tuple[dict[Parameter, Node], Rate]:
        step = self._counter("step")
        number = step + 1
        # In float64 whatever is trained: 1 - beta2^t loses four digits to cancellation at first.
        rate = self.lr if isinstance(self.lr, float) else cast(self.lr, dtype="float64")
        first = 1.0 - power(self.beta1, cast(number, dtype="float64"))
        second = 1.0 - power(self.beta2, cast(number, dtype="float64"))
        return {step: number}, rate * sqrt(second) / first

    def _step(self, parameter: Parameter, gradient: Node, rate: Rate) -> dict[Parameter, Node]:
        mean, squares = self._slot(parameter, "mean"), self._slot(parameter, "square")
        new_mean = mean + (1.0 - self.beta1) * (gradient - mean)
        new_squares = squares + (1.0 - self.beta2) * (square(gradient) - squares)
        change = rate * new_mean / (sqrt(new_squares) + self.eps)
        return {mean: new_mean, squares: new_squares, parameter: parameter - change}
