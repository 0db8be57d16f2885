"""Update rules of the Define-by-Run framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from benchmarks.array_module import Array, Arrays
from benchmarks.define_by_run import Variable


class Optimizer(Protocol):
    """What every update rule offers."""

    def update(self) -> None:
        """Move the parameters by one step, against their gradients."""


class SGD:
    """Move each parameter by its gradient times a rate."""

    def __init__(self, parameters: Sequence[Variable], rate: float = 0.01) -> None:
        """Choose what to move and how far.

        Args:
            parameters: What to update, in place.
            rate: The learning rate.
        """
        self._parameters = parameters
        self._rate = rate

    def update(self) -> None:
        """Move the parameters by one step, against their gradients."""
        for parameter in self._parameters:
            parameter.data -= self._rate * _gradient(parameter)


class Momentum:
    """Let each parameter keep part of its last movement."""

    def __init__(
        self, parameters: Sequence[Variable], rate: float = 0.01, momentum: float = 0.9
    ) -> None:
        """Choose what to move and how far.

        Args:
            parameters: What to update, in place.
            rate: The learning rate.
            momentum: The part of the last movement that is kept.
        """
        self._parameters = parameters
        self._rate = rate
        self._momentum = momentum
        self._velocities = [Arrays.module.zeros_like(parameter.data) for parameter in parameters]

    def update(self) -> None:
        """Move the parameters by one step, against their gradients."""
        for parameter, velocity in zip(self._parameters, self._velocities, strict=True):
            velocity *= self._momentum
            velocity -= self._rate * _gradient(parameter)
            parameter.data += velocity


class Adam:
    """Scale each movement by running moments of the gradient."""

    def __init__(
        self,
        parameters: Sequence[Variable],
        rate: float = 1e-3,
        decays: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        """Choose what to move and how far.

        Args:
            parameters: What to update, in place.
            rate: The learning rate.
            decays: How much of the first and of the second moment stays at each step.
            epsilon: Keeps the division finite.
        """
        self._parameters = parameters
        self._rate = rate
        self._decays = decays
        self._epsilon = epsilon
        self._steps = 0
        self._means = [Arrays.module.zeros_like(parameter.data) for parameter in parameters]
        self._squares = [Arrays.module.zeros_like(parameter.data) for parameter in parameters]

    def update(self) -> None:
        """Move the parameters by one step, against their gradients."""
        self._steps += 1
        first, second = self._decays
        mean_scale = 1.0 / (1.0 - first**self._steps)
        square_scale = 1.0 / (1.0 - second**self._steps)
        for parameter, mean, square in zip(
            self._parameters, self._means, self._squares, strict=True
        ):
            gradient = _gradient(parameter)
            mean += (1.0 - first) * (gradient - mean)
            square += (1.0 - second) * (gradient * gradient - square)
            denominator = Arrays.module.sqrt(square * square_scale) + self._epsilon
            parameter.data -= self._rate * mean_scale * mean / denominator


def _gradient(parameter: Variable) -> Array:
    if parameter.grad is None:
        raise ValueError("update: a parameter has no gradient; call backward on the loss first")
    return parameter.grad.data
