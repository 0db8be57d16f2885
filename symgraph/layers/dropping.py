"""Dropout as a layer."""

from __future__ import annotations

from symgraph.layers.base import Layer
from symgraph.node import Node, Operand
from symgraph.ops.dropout import check_ratio, dropout


class Dropout(Layer):
    """Sets elements to 0 at random and scales the others, where graphs are built for training.

    Built in `test_mode`, it passes its input on. Every call of a compiled function drops others.

    Args:
        ratio: how many to drop, in [0, 1); a number, or a 0-d node that may change at every call.
        seed: an int; None takes a stream of the process' own each time that the layer is called.

    Raises:
        GraphError: the ratio is a number out of range.
        FeedError: when called, with a ratio out of range.

    Example:
        >>> layer = Dropout(0.25)
        >>> layer(Placeholder("x", ("N", 3), "float32"))
        <dropout: float32[N, 3]>
    """

    def __init__(self, ratio: Operand = 0.5, seed: int | None = None) -> None:
        """Check the ratio."""
        check_ratio(ratio)
        self.ratio = ratio
        self.seed = seed
        self._applied = 0

    def forward(self, x: Operand) -> Node:
        """Build what drops elements of `x`, a node of any shape; each time others."""
        stream = None if self.seed is None else self._applied
        self._applied += 1
        return dropout(x, self.ratio, seed=self.seed, stream=stream)
