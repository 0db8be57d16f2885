"""What a row of the GPU suite is: a network, how it is trained, and what it costs at least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]
Values: TypeAlias = Mapping[str, Any]
"""Arrays, tensors, variables or nodes of some framework, by name."""


class Functions(Protocol):
    """What a framework offers to the networks, each function in the form it is best at."""

    def exp(self, x: Any) -> Any:
        """Return e to the power of each element."""

    def tanh(self, x: Any) -> Any:
        """Return the hyperbolic tangent of each element."""

    def relu(self, x: Any) -> Any:
        """Return each element, or zero where it is negative."""

    def sigmoid(self, x: Any) -> Any:
        """Return the logistic function of each element."""

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return `x @ weight + bias`."""

    def conv2d(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return images (N, C, H, W) convolved with filters of 3 x 3, of the size they had."""

    def max_pool2d(self, x: Any) -> Any:
        """Return the largest element of each window of 2 x 2."""

    def flatten(self, x: Any) -> Any:
        """Return images as rows."""

    def softmax(self, x: Any) -> Any:
        """Return the probabilities of the columns in each row."""

    def layer_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        """Return rows with mean 0 and variance 1 (epsilon 1e-5), times `gamma`, plus `beta`."""

    def cross_entropy(self, logits: Any, labels: Any) -> Any:
        """Return the mean of the negative log-likelihoods of the labels."""

    def squared_error(self, x: Any, t: Any) -> Any:
        """Return the mean of the squared differences."""

    def lstm_error(self, x: Any, t: Any, parameters: Values) -> Any:
        """Return the error of an LSTM with a linear layer behind it.

        The state begins with zeros. `parameters` are those of `networks.Recurrent`; the error is
        the sum over the steps of the mean squared error.
        """


@dataclass(frozen=True)
class SGD:
    """Move each parameter by its gradient times a rate."""

    rate: float


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba's rule, with decays 0.9 and 0.999 and an epsilon of 1e-8."""

    rate: float


@dataclass(frozen=True)
class Floor:
    """What a step cannot do without: bytes to and from device memory, and operations.

    Each feed and each parameter is read once, each output and each new value is written once; of
    the operations, those of matrix products and convolutions are counted where there are any.
    """

    bytes: int
    operations: int


class Network(Protocol):
    """A computation over feeds and parameters, the same in every framework."""

    def feeds(self) -> Arrays:
        """Return the arrays of one batch, by name."""

    def parameters(self) -> Arrays:
        """Return fresh copies of the initial parameters, by name."""

    def build(self, functions: Functions, parameters: Values, feeds: Values) -> Any:
        """Return the loss, or the output of a network that is not trained."""

    @property
    def output(self) -> int:
        """Return how many elements the result has."""

    @property
    def operations(self) -> int:
        """Return the operations of a step, derivatives included."""


@dataclass(frozen=True)
class Problem:
    """A row of the suite.

    Args:
        name: what the command line calls it.
        title: what the tables call it.
        network: what is computed.
        rule: how the parameters are trained, None where nothing is.
        tolerance: the relative error within which the peers' results must agree.
        least: for some peers, how many times as long as symgraph they should take at least.
        least_bandwidth: the part of the measured bandwidth that symgraph should reach, or None.
        quick: whether a quick run has it.
    """

    name: str
    title: str
    network: Network
    rule: SGD | Adam | None
    tolerance: float = 1e-4
    least: Mapping[str, float] = field(default_factory=dict)
    least_bandwidth: float | None = None
    quick: bool = True

    @cached_property
    def floor(self) -> Floor:
        """Return what a step cannot do without."""
        network = self.network
        fed = sum(array.nbytes for array in network.feeds().values())
        trained = sum(array.nbytes for array in network.parameters().values())
        # Values, and Adam's two moments, are read and written.
        passes = 6 if isinstance(self.rule, Adam) else 2
        return Floor(fed + passes * trained + 4 * network.output, network.operations)


@dataclass(frozen=True)
class Sample:
    """The mean time of some calls, in nanoseconds: by device events, and by the host's clock."""

    device: float
    wall: float


Clock: TypeAlias = Callable[[Callable[[], Any], int], Sample]
"""Makes so many calls and times them, from an idle device to an idle device."""


@dataclass(frozen=True)
class DeviceRun:
    """A row that a peer has built.

    Args:
        step: the timed call; it need not wait for the device.
        read: the result of a step as an array of the host.
        clock: times calls.
    """

    step: Callable[[], Any]
    read: Callable[[Any], Array]
    clock: Clock


def drawn(seed: int, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
    """Return normal numbers times a scale, float32."""
    numbers = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return numbers * np.float32(scale)
