"""The networks of the GPU suite, at any size: tests build them small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, pairwise
from typing import Any, Literal

import numpy as np

from benchmarks.cuda.problem import Array, Arrays, Functions, Values, drawn


def _dense(sizes: tuple[int, ...]) -> dict[str, Array]:
    """Return weights (inputs, outputs), with the variance of He et al. (2015), and biases."""
    made: dict[str, Array] = {}
    for number, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        made[f"W{number}"] = drawn(number, inputs, outputs, scale=float(np.sqrt(2 / inputs)))
        made[f"b{number}"] = np.zeros(outputs, np.float32)
    return made


def _logits(functions: Functions, parameters: Values, x: Any, layers: int, activation: Any) -> Any:
    """Return what linear layers make of rows; the last has no activation behind it."""
    for number in range(1, layers + 1):
        # By name, because JAX hands dicts on in another order.
        x = functions.linear(x, parameters[f"W{number}"], parameters[f"b{number}"])
        x = x if number == layers else activation(x)
    return x


def _dense_operations(sizes: tuple[int, ...], batch: int, inputs_differ: bool) -> int:
    """Return those of the products, forwards, for the weights and, behind the first, for inputs."""
    pairs = list(pairwise(sizes))
    times = [3 if number or inputs_differ else 2 for number in range(len(pairs))]
    return sum(2 * batch * i * o * n for (i, o), n in zip(pairs, times, strict=True))


@dataclass(frozen=True)
class Dense:
    """A multi-layer perceptron.

    Args:
        sizes: features, hidden units of each layer, outputs.
        batch: rows.
        activation: behind each layer but the last.
        labelled: train on labels (cross entropy), or on numbers (squared error).
    """

    sizes: tuple[int, ...]
    batch: int
    activation: Literal["sigmoid", "relu"] = "relu"
    labelled: bool = True

    output = 1

    def feeds(self) -> Arrays:
        """Return `x` (batch, features) and the labels or targets `t`."""
        random = np.random.default_rng(0)
        x = random.random((self.batch, self.sizes[0]), dtype=np.float32)
        if self.labelled:
            return {"x": x, "t": random.integers(0, self.sizes[-1], self.batch)}
        return {"x": x, "t": random.random((self.batch, self.sizes[-1]), dtype=np.float32)}

    def parameters(self) -> Arrays:
        """Return a weight and a bias for each layer."""
        return _dense(self.sizes)

    def build(self, functions: Functions, parameters: Values, feeds: Values) -> Any:
        """Return the loss."""
        activation = getattr(functions, self.activation)
        y = _logits(functions, parameters, feeds["x"], len(self.sizes) - 1, activation)
        loss_of = functions.cross_entropy if self.labelled else functions.squared_error
        return loss_of(y, feeds["t"])

    @property
    def operations(self) -> int:
        """Return those of the matrix products."""
        return _dense_operations(self.sizes, self.batch, inputs_differ=False)


@dataclass(frozen=True)
class Convolutional:
    """Groups of convolutions of 3 x 3, each with a pool of 2 x 2 behind it, then linear layers.

    Args:
        images: channels, and the height and width of the images.
        groups: the filters of each convolution, group by group.
        sizes: units of the linear layers; the last are the classes.
        batch: images.
    """

    images: tuple[int, int]
    groups: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    batch: int

    output = 1

    def feeds(self) -> Arrays:
        """Return `x` (batch, channels, height, width) and labels `t`."""
        channels, extent = self.images
        random = np.random.default_rng(0)
        x = random.random((self.batch, channels, extent, extent), dtype=np.float32)
        return {"x": x, "t": random.integers(0, self.sizes[-1], self.batch)}

    def parameters(self) -> Arrays:
        """Return filters (filters, channels, 3, 3) and weights, each with its bias."""
        made: dict[str, Array] = {}
        for number, (channels, filters, _) in enumerate(self._convolutions(), 1):
            scale = float(np.sqrt(2 / (9 * channels)))
            made[f"K{number}"] = drawn(100 + number, filters, channels, 3, 3, scale=scale)
            made[f"k{number}"] = np.zeros(filters, np.float32)
        return {**made, **_dense((self._features, *self.sizes))}

    def build(self, functions: Functions, parameters: Values, feeds: Values) -> Any:
        """Return the loss."""
        y = feeds["x"]
        numbers = count(1)
        for group in self.groups:
            for number in islice(numbers, len(group)):
                filters, bias = parameters[f"K{number}"], parameters[f"k{number}"]
                y = functions.relu(functions.conv2d(y, filters, bias))
            y = functions.max_pool2d(y)
        y = functions.flatten(y)
        y = _logits(functions, parameters, y, len(self.sizes), functions.relu)
        return functions.cross_entropy(y, feeds["t"])

    @property
    def operations(self) -> int:
        """Return those of the convolutions and of the matrix products."""
        convolutions = [
            2 * 9 * channels * filters * extent**2 * self.batch * (3 if number else 2)
            for number, (channels, filters, extent) in enumerate(self._convolutions())
        ]
        sizes = (self._features, *self.sizes)
        return sum(convolutions) + _dense_operations(sizes, self.batch, inputs_differ=True)

    @property
    def _features(self) -> int:
        """Return how many numbers of an image the last pool leaves."""
        return self.groups[-1][-1] * (self.images[1] >> len(self.groups)) ** 2

    def _convolutions(self) -> Iterator[tuple[int, int, int]]:
        """Return the channels, the filters and the extent of the images of each convolution."""
        channels, extent = self.images
        for group in self.groups:
            for filters in group:
                yield channels, filters, extent
                channels = filters
            extent //= 2


@dataclass(frozen=True)
class Recurrent:
    """An LSTM over a sequence, with a linear layer behind each step.

    Args:
        steps: of a sequence.
        batch: sequences.
        inputs: numbers of a step, of the targets too.
        hidden: units.
    """

    steps: int
    batch: int
    inputs: int
    hidden: int

    output = 1

    def feeds(self) -> Arrays:
        """Return parts of a noisy sine, `x`, and what follows, `t`: (steps, batch, inputs)."""
        shape = (self.steps + 1, self.batch, self.inputs)
        noise = np.random.default_rng(0).uniform(-0.05, 0.05, shape)
        time = np.arange(self.steps + 1)[:, None, None] * (2 * np.pi / 1000)
        phase = np.linspace(0, 2 * np.pi, self.batch * self.inputs).reshape(shape[1:])
        curve = (np.sin(time + phase) + noise).astype(np.float32)
        return {"x": curve[:-1], "t": curve[1:]}

    def parameters(self) -> Arrays:
        """Return the LSTM's `Wx`, `Wh` and `b`, and `W` and `c` of the layer behind it.

        The gates lie side by side: forget, write, read, and what is written.
        """
        inputs, hidden = self.inputs, self.hidden
        return {
            "Wx": drawn(1, inputs, 4 * hidden, scale=inputs**-0.5),
            "Wh": drawn(2, hidden, 4 * hidden, scale=hidden**-0.5),
            "b": np.zeros(4 * hidden, np.float32),
            "W": drawn(3, hidden, inputs, scale=hidden**-0.5),
            "c": np.zeros(inputs, np.float32),
        }

    def build(self, functions: Functions, parameters: Values, feeds: Values) -> Any:
        """Return the loss."""
        return functions.lstm_error(feeds["x"], feeds["t"], parameters)

    @property
    def operations(self) -> int:
        """Return those of the matrix products."""
        rows = self.steps * self.batch
        given = 2 * rows * self.inputs * 4 * self.hidden
        carried = 2 * rows * self.hidden * 4 * self.hidden
        behind = 2 * rows * self.hidden * self.inputs
        return 2 * given + 3 * carried + 3 * behind


@dataclass(frozen=True)
class Elementwise:
    """Ten elementwise operations: plain arithmetic over two arrays, or functions over one.

    Args:
        size: elements.
        functions: with two `tanh` and two `exp`, which cost more than the traffic they save.
    """

    size: int
    functions: bool = False

    def feeds(self) -> Arrays:
        """Return `a`, and `b` where there are two."""
        a = np.linspace(-3.0, 3.0, self.size, dtype=np.float32)
        return {"a": a} if self.functions else {"a": a, "b": a[::-1].copy()}

    def parameters(self) -> Arrays:
        """Return none."""
        return {}

    def build(self, functions: Functions, parameters: Values, feeds: Values) -> Any:
        """Return the array behind the tenth operation."""
        a = feeds["a"]
        if self.functions:
            y = functions.exp(functions.tanh(a) * 0.5 + 1.0) - a
            return functions.exp(-(functions.tanh(y * y) * 0.5))
        b = feeds["b"]
        y = (a * 0.5 + 1.0) * b - a
        y = functions.relu(y) * 0.25
        return (y * y + b) * 0.5 - a

    @property
    def output(self) -> int:
        """Return the elements of the result."""
        return self.size

    @property
    def operations(self) -> int:
        """Return ten for each element."""
        return 10 * self.size


@dataclass(frozen=True)
class NormalisedSoftmax:
    """A softmax behind a layer normalisation, alone or trained towards targets.

    Args:
        rows: which are normalised each on its own.
        columns: numbers of a row.
        trained: compute the mean squared error and train scale and offset.
    """

    rows: int
    columns: int
    trained: bool = False

    def feeds(self) -> Arrays:
        """Return `x` (rows, columns), and targets `t` like it."""
        x = drawn(0, self.rows, self.columns)
        if not self.trained:
            # What is not trained is fed, so that every framework keeps it in memory.
            return {"x": x, **self._scales()}
        return {"x": x, "t": drawn(3, self.rows, self.columns)}

    def parameters(self) -> Arrays:
        """Return `gamma` and `beta`, (columns,), where they are trained."""
        return self._scales() if self.trained else {}

    def build(self, functions: Functions, parameters: Values, feeds: Values) -> Any:
        """Return the probabilities, or the loss."""
        given = {**feeds, **parameters}
        y = functions.softmax(functions.layer_norm(given["x"], given["gamma"], given["beta"]))
        return functions.squared_error(y, given["t"]) if self.trained else y

    @property
    def output(self) -> int:
        """Return the elements of the result."""
        return 1 if self.trained else self.rows * self.columns

    @property
    def operations(self) -> int:
        """Return about ten for each element, and as many again for the derivatives."""
        return (20 if self.trained else 10) * self.rows * self.columns

    def _scales(self) -> Arrays:
        return {
            "gamma": 1 + drawn(1, self.columns, scale=0.1),
            "beta": drawn(2, self.columns, scale=0.1),
        }
