"""The training problems of the MLP cases: sizes, data and initial parameters for all peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MLPProblem:
    """A network with one hidden layer, its loss, and a batch to train it on by SGD."""

    features: int
    hidden: int
    outputs: int
    batch: int
    activation: Literal["sigmoid", "relu"]
    loss: Literal["mean_squared_error", "softmax_cross_entropy"]
    rate: float

    def data(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return the inputs, (batch, features), and the targets or labels of one batch."""
        random = np.random.default_rng(0)
        x = random.random((self.batch, self.features), dtype=np.float32)
        if self.loss == "softmax_cross_entropy":
            return x, random.integers(0, self.outputs, self.batch)
        noise = random.random((self.batch, self.outputs), dtype=np.float32)
        return x, np.sin(2 * np.pi * x[:, : self.outputs], dtype=np.float32) + noise

    def parameters(self) -> Mapping[str, NDArray[np.float32]]:
        """Return fresh copies of the initial weights and biases, by name."""
        random = np.random.default_rng(1)

        def weight(rows: int, columns: int) -> NDArray[np.float32]:
            scale = np.float32(1.0 / np.sqrt(rows))
            return random.standard_normal((rows, columns), dtype=np.float32) * scale

        return {
            "W1": weight(self.features, self.hidden),
            "b1": np.zeros(self.hidden, np.float32),
            "W2": weight(self.hidden, self.outputs),
            "b2": np.zeros(self.outputs, np.float32),
        }


SMALL = MLPProblem(1, 10, 1, 100, "sigmoid", "mean_squared_error", 0.2)
WIDE = MLPProblem(784, 512, 10, 128, "relu", "softmax_cross_entropy", 0.1)
