"""What a row of the suite is: a network, what is asked of it, and what that costs at least."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from benchmarks.cuda.problem import SGD, Adam, Arrays, Network, drawn


@dataclass(frozen=True)
class Momentum:
    """Let each parameter keep 0.9 of its last movement: v = 0.9 v - rate g, p = p + v."""

    rate: float


@dataclass(frozen=True)
class RMSProp:
    """Divide by a running root: s = 0.9 s + 0.1 g^2, p = p - rate g / (sqrt(s) + 1e-7)."""

    rate: float


Rule: TypeAlias = SGD | Adam | Momentum | RMSProp
KEPT = 0.9
"""What `Momentum` keeps of a movement and `RMSProp` of a square."""
EPSILON = {Adam: 1e-8, RMSProp: 1e-7}


@dataclass(frozen=True)
class Train:
    """A step computes the loss and moves the parameters."""

    rule: Rule


@dataclass(frozen=True)
class Gradients:
    """A step computes the loss and its gradients by these feeds and parameters."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class HessianVector:
    """A step computes the Hessian of the loss by all parameters, times a vector that is fed."""


@dataclass(frozen=True)
class Evaluate:
    """A step computes the loss."""


Task: TypeAlias = Train | Gradients | HessianVector | Evaluate


@dataclass(frozen=True)
class Data:
    """What a workload starts from: feeds, initial parameters, and the vectors of a Hessian."""

    feeds: Arrays
    parameters: Arrays
    vectors: Arrays


@dataclass(frozen=True)
class Workload:
    """A row of the suite.

    Args:
        name: what the command line calls it.
        title: what the tables call it.
        network: what is computed.
        task: what is asked of it.
        goal: how many times as fast as the best peer symgraph should be.
        quick: whether a quick run has it.
        bytes: what must be read and written at least, where feeds and parameters do not say it.
    """

    name: str
    title: str
    network: Network
    task: Task
    goal: float = 1.0
    quick: bool = True
    bytes: int | None = None

    def data(self) -> Data:
        """Return fresh copies of the data, the same in every process."""
        parameters = self.network.parameters()
        vectors: dict[str, Any] = {}
        if isinstance(self.task, HessianVector):
            vectors = {
                name: drawn(1000 + number, *array.shape)
                for number, (name, array) in enumerate(parameters.items())
            }
        return Data(self.network.feeds(), parameters, vectors)

    def floor(self) -> Floor:
        """Return the operations of a step and the bytes that it cannot do without."""
        operations = self.network.operations
        if isinstance(self.task, HessianVector):
            # The first layer, which counts most, takes three products for two: the slopes
            # themselves are not asked for.
            operations = operations * 3 // 2
        if self.bytes is not None:
            return Floor(operations, self.bytes)
        data = self.data()
        fed = sum(array.nbytes for array in data.feeds.values())
        held = sum(array.nbytes for array in data.parameters.values())
        return Floor(operations, fed + _passes(self.task) * held)


@dataclass(frozen=True)
class Floor:
    """What a step cannot do without."""

    operations: int
    bytes: int


def _passes(task: Task) -> int:
    """Return how often parameters, and arrays like them, are read or written at least."""
    if isinstance(task, Train):
        return {SGD: 2, Momentum: 4, RMSProp: 4, Adam: 6}[type(task.rule)]
    return 3 if isinstance(task, HessianVector) else 2


def _nothing() -> None:
    """Wait for nothing."""


@dataclass(frozen=True)
class Built:
    """A workload that a peer has built.

    Args:
        step: the timed call; it need not wait for its result.
        read: the arrays of a result, the loss first.
        wait: returns when the results of all steps are there.
    """

    step: Callable[[], Any]
    read: Callable[[Any], Sequence[Any]]
    wait: Callable[[], None] = field(default=_nothing)


Build: TypeAlias = Callable[[Workload, Data, int], Built]
"""Builds a workload from its data, for so many threads."""

Values: TypeAlias = Mapping[str, Any]
