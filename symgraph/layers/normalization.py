"""Layers that normalise."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import GraphError
from symgraph.layers.weighted import IMAGES, ROWS, InputSize, Weighted, ones, size_checked, zeros
from symgraph.leaves import Parameter, State, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.ops.batch_norm import batch_norm
from symgraph.ops.normalization import layer_norm


class BatchNorm(Weighted):
    """Normalises each channel of rows (N, C) or images (N, C, H, W), see `sg.nn.batch_norm`.

    Built for training, it uses the mean and variance of each batch, and a compiled function that
    computes its output also updates the running ones. Built in `test_mode`, it uses the running
    ones.

    Args:
        size: number of channels; None to take it from the first node that the layer is called on.
        decay: how much of the running values each call keeps.
        eps: is added to the variance.
        dtype: float32 or float64, of parameters and states.
        name: begins their names; a layer inside another is named by its attribute.

    Attributes:
        gamma: the scale (C,), ones at first.
        beta: the offset (C,), zeros at first.
        avg_mean: the running mean (C,), a state, zeros at first.
        avg_var: the running unbiased variance (C,), a state, ones at first.

    Raises:
        GraphError: the size is no positive int, or decay or eps is out of range.
        DTypeError: the dtype is no float.

    Example:
        >>> layer = BatchNorm()
        >>> y = layer(Placeholder("x", ("N", 3), "float32"))
        >>> list(layer.named_parameters()), list(layer.named_states())
        (['gamma', 'beta'], ['avg_mean', 'avg_var'])
    """

    made = ("gamma", "beta", "avg_mean", "avg_var")
    input_size = InputSize("size", 1, "channels", "gamma", 1, 0, (ROWS, IMAGES))
    gamma: Parameter
    beta: Parameter
    avg_mean: State
    avg_var: State

    def __init__(
        self,
        size: int | None = None,
        decay: float = 0.9,
        eps: float = 2e-5,
        *,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.size = None if size is None else size_checked("size", size)
        self.decay = _ratio("decay", decay)
        self.eps = _ratio("eps", eps)
        super().__init__(dtype, 0, name)

    def forward(self, x: Operand) -> Node:
        """Build the normalised `x`.

        Args:
            x: shape (N, C) or (N, C, H, W).

        Returns:
            A node of the same shape.

        Raises:
            ShapeError: `x` has other axes or channels.
        """
        node = lift(x)
        self._take_size(node)
        return batch_norm(
            node, self.gamma, self.beta, self.avg_mean, self.avg_var, decay=self.decay, eps=self.eps
        )

    def _make(self) -> None:
        shape = (self._known_size(),)
        self.gamma = self._parameter("gamma", shape, ones)
        self.beta = self._parameter("beta", shape, zeros)
        self.avg_mean = self._state("avg_mean", np.zeros(shape))
        self.avg_var = self._state("avg_var", np.ones(shape))


class LayerNorm(Weighted):
    """Normalises the last axis by its own mean and variance, see `sg.nn.layer_norm`.

    Args:
        size: extent of the last axis; None to take it from the first node that the layer is called
            on.
        eps: is added to the variance.
        dtype: float32 or float64, of the parameters.
        name: begins their names; a layer inside another is named by its attribute.

    Attributes:
        gamma: the scale (size,), ones at first.
        beta: the offset (size,), zeros at first.

    Raises:
        GraphError: the size is no positive int, or eps is out of range.
        DTypeError: the dtype is no float.

    Example:
        >>> LayerNorm()(Placeholder("x", ("N", 3), "float32"))
        <layer_norm: float32[N, 3]>
    """

    made = ("gamma", "beta")
    input_size = InputSize("size", -1, "inputs", "gamma", 1, 0)
    gamma: Parameter
    beta: Parameter

    def __init__(
        self,
        size: int | None = None,
        eps: float = 1e-5,
        *,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.size = None if size is None else size_checked("size", size)
        self.eps = _ratio("eps", eps)
        super().__init__(dtype, 0, name)

    def forward(self, x: Operand) -> Node:
        """Build the normalised `x`, a node of shape (..., size)."""
        node = lift(x)
        self._take_size(node)
        return layer_norm(node, self.gamma, self.beta, self.eps)

    def _make(self) -> None:
        shape = (self._known_size(),)
        self.gamma = self._parameter("gamma", shape, ones)
        self.beta = self._parameter("beta", shape, zeros)


def _ratio(what: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    raise GraphError(f"{what} is a number in [0, 1), not {value!r}\n  at {user_location()}")
