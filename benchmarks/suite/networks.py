"""The networks that only the CPU suite has; the others are those of the GPU suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cuda.problem import Arrays, Values, drawn


@dataclass(frozen=True)
class SmoothChain:
    """A chain of elementwise functions, `exp(sin(gelu(x)))`, and its mean.

    Args:
        size: elements.
    """

    size: int
    output = 1

    def feeds(self) -> Arrays:
        """Return `x` (size,)."""
        return {"x": np.linspace(-3.0, 3.0, self.size, dtype=np.float32)}

    def parameters(self) -> Arrays:
        """Return none."""
        return {}

    def build(self, functions: Any, parameters: Values, feeds: Values) -> Any:
        """Return the mean."""
        return functions.mean(functions.exp(functions.sin(functions.gelu(feeds["x"]))))

    @property
    def operations(self) -> int:
        """Return about forty for each element: four functions and their derivatives."""
        return 40 * self.size


@dataclass(frozen=True)
class WeightedSoftmax:
    """A softmax behind a layer normalisation, and the weighted sum of the probabilities.

    Args:
        rows: which are normalised each on its own.
        columns: numbers of a row.
    """

    rows: int
    columns: int
    output = 1

    def feeds(self) -> Arrays:
        """Return `x` and the weights `t`, (rows, columns)."""
        weights = np.random.default_rng(3).random((self.rows, self.columns), dtype=np.float32)
        return {"x": drawn(0, self.rows, self.columns), "t": weights}

    def parameters(self) -> Arrays:
        """Return `gamma` and `beta`, (columns,)."""
        return {
            "gamma": 1 + drawn(1, self.columns, scale=0.1),
            "beta": drawn(2, self.columns, scale=0.1),
        }

    def build(self, functions: Any, parameters: Values, feeds: Values) -> Any:
        """Return the mean of the weighted probabilities."""
        normal = functions.layer_norm(feeds["x"], parameters["gamma"], parameters["beta"])
        return functions.mean(functions.softmax(normal) * feeds["t"])

    @property
    def operations(self) -> int:
        """Return about thirty for each element, derivatives included."""
        return 30 * self.rows * self.columns


@dataclass(frozen=True)
class BranchingLoop:
    """A loop that decides in each step which way a small vector goes.

    While the count is below `steps`: the vector becomes half of it less 1 where its sum is above 0,
    and 0.9 times it plus 0.3 otherwise. The value is the sum of the vector.

    Args:
        steps: of the loop.
        size: of the vector.
    """

    steps: int
    size: int
    output = 1

    def feeds(self) -> Arrays:
        """Return `x` (size,)."""
        return {"x": np.linspace(-1.0, 1.5, self.size, dtype=np.float32)}

    def parameters(self) -> Arrays:
        """Return none."""
        return {}

    def build(self, functions: Any, parameters: Values, feeds: Values) -> Any:
        """Return the sum of the last vector."""
        return functions.branching_loop(feeds["x"], self.steps)

    @property
    def operations(self) -> int:
        """Return three for each element and step."""
        return 3 * self.steps * self.size
