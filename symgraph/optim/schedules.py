"""Learning rates that change from update to update.

A schedule is a function from the number of updates made so far to a learning rate, both nodes. The
optimiser counts its updates in a state of its own, so that the rate is computed within the step and
saved with the state, and needs neither a feed nor another compilation. Any function from node to
node will do in place of a schedule:

    >>> SGD(lambda step: 0.1 / (1.0 + 0.01 * step))
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from symgraph.errors import GraphError
from symgraph.leaves import lift
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.ops.arithmetic import floor, power
from symgraph.ops.comparison import where
from symgraph.ops.elementwise import cast
from symgraph.ops.extremes import maximum, minimum
from symgraph.ops.transcendental import cos
from symgraph.optim.checks import count_checked, number_checked


class Schedule(ABC):
    """Gives the learning rate of an update from the number of updates before it."""

    def __call__(self, step: Operand) -> Node:
        """Build the learning rate.

        Args:
            step: the number of updates made so far, 0 at the first one; a node, which the optimiser
                gives, or a number.

        Returns:
            The rate, of the shape of `step` and dtype float64.

        Example:
            >>> compile(Exponential(0.1, 0.5)(np.arange(3)))()
            array([0.1  , 0.05 , 0.025])
        """
        return cast(self._rate(cast(lift(step), dtype="float64")), dtype="float64")

    @abstractmethod
    def _rate(self, step: Node) -> Node:
        """Return the rate, given the number of earlier updates in float64."""


class Constant(Schedule):
    """Stays the same: for `WarmUp`, or where a schedule is asked for.

    Args:
        rate: the learning rate.

    Raises:
        GraphError: the rate is no finite number of at least 0.

    Example:
        >>> Adam(WarmUp(Constant(1e-3), 500))
    """

    def __init__(self, rate: float) -> None:
        """Check the number."""
        self.rate = number_checked("the learning rate", rate, 0.0)

    def _rate(self, step: Node) -> Node:
        return self.rate + 0.0 * step


class Step(Schedule):
    """Falls in equal stairs: rate factor^floor(step / every).

    Args:
        rate: the first learning rate.
        every: how many updates a stair is long.
        factor: what the rate is multiplied by at the end of each stair.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> SGD(Step(0.1, every=1000, factor=0.5))
    """

    def __init__(self, rate: float, every: int, factor: float = 0.1) -> None:
        """Check the numbers."""
        self.rate = number_checked("the learning rate", rate, 0.0)
        self.every = count_checked("every", every)
        self.factor = number_checked("factor", factor, 0.0)

    def _rate(self, step: Node) -> Node:
        return self.rate * power(self.factor, floor(step / self.every))


class Piecewise(Schedule):
    """Jumps from one rate to the next at given updates.

    Args:
        boundaries: the numbers of updates after which the next rate begins, ascending: rates[0]
            holds for the first boundaries[0] updates.
        rates: the learning rates, one more than boundaries.

    Raises:
        GraphError: the boundaries are no ascending positive ints, or the rates are not one more.

    Example:
        >>> Momentum(Piecewise([1000, 1500], [0.1, 0.01, 0.001]))
    """

    def __init__(self, boundaries: Sequence[int], rates: Sequence[float]) -> None:
        """Check the numbers."""
        self.boundaries = tuple(count_checked("a boundary", entry) for entry in boundaries)
        self.rates = tuple(number_checked("the learning rate", rate, 0.0) for rate in rates)
        if len(self.rates) != len(self.boundaries) + 1:
            raise GraphError(
                f"{len(self.boundaries)} boundaries part {len(self.boundaries) + 1} rates, not "
                f"{len(self.rates)}\n  at {user_location()}"
            )
        if any(one >= two for one, two in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise GraphError(
                f"boundaries ascend, which {self.boundaries} do not\n  at {user_location()}"
            )

    def _rate(self, step: Node) -> Node:
        rate: Node = self.rates[0] + 0.0 * step
        for boundary, later in zip(self.boundaries, self.rates[1:], strict=True):
            rate = where(step < boundary, rate, later)
        return rate


class Exponential(Schedule):
    """Falls by the same factor all the time: rate factor^(step / every).

    Args:
        rate: the first learning rate.
        factor: what the rate is multiplied by in the course of `every` updates.
        every: how many updates that takes.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> SGD(Exponential(0.1, 0.5, every=1000))
    """

    def __init__(self, rate: float, factor: float, every: int = 1) -> None:
        """Check the numbers."""
        self.rate = number_checked("the learning rate", rate, 0.0)
        self.factor = number_checked("factor", factor, 0.0)
        self.every = count_checked("every", every)

    def _rate(self, step: Node) -> Node:
        return self.rate * power(self.factor, step / self.every)


class Cosine(Schedule):
    """Falls along half a cosine, and stays at its end.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017), equation
    5 without restarts: last + (rate - last) (1 + cos(pi t / steps)) / 2 with t = min(step, steps).

    Args:
        rate: the first learning rate.
        steps: how many updates the fall takes.
        last: the learning rate from then on.

    Raises:
        GraphError: a number is out of range.

    Example:
        >>> Adam(Cosine(1e-3, steps=10_000))
    """

    def __init__(self, rate: float, steps: int, last: float = 0.0) -> None:
        """Check the numbers."""
        self.rate = number_checked("the learning rate", rate, 0.0)
        self.steps = count_checked("steps", steps)
        self.last = number_checked("last", last, 0.0)

    def _rate(self, step: Node) -> Node:
        fallen = 0.5 * (1.0 + cos(math.pi * minimum(step / self.steps, 1.0)))
        return self.last + (self.rate - self.last) * fallen


class WarmUp(Schedule):
    """Rises along a line to another schedule's first rate, and then follows that.

    The first update has 1 / steps of that rate and update number `steps` all of it (Goyal et al.,
    "Accurate, large minibatch SGD", 2017, section 2.2); the other schedule begins after that.

    Args:
        schedule: what follows: a schedule, a function from the number of updates to the rate, or a
            number, which is then constant.
        steps: how many updates the rise takes.

    Raises:
        GraphError: `schedule` is none of these, or `steps` is no positive int.

    Example:
        >>> AdamW(WarmUp(Cosine(1e-3, steps=9_500), 500))
    """

    def __init__(self, schedule: float | Callable[[Node], Operand], steps: int) -> None:
        """Check the arguments."""
        self.schedule = schedule if callable(schedule) else Constant(schedule)
        self.steps = count_checked("steps", steps)

    def _rate(self, step: Node) -> Node:
        risen = minimum((step + 1.0) / self.steps, 1.0)
        return risen * lift(self.schedule(maximum(step - self.steps, 0.0)))
