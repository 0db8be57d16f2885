"""Layers without parameters that change shapes."""

from __future__ import annotations

from symgraph.layers.base import Layer
from symgraph.node import Node, Operand
from symgraph.ops.layout import flatten


class Flatten(Layer):
    """Joins all axes but the first one: images (N, C, H, W) become rows (N, C * H * W).

    Example:
        >>> Flatten()(Placeholder("x", ("N", 3, 4, 4), "float32"))
        <flatten: float32[N, 48]>
    """

    def forward(self, x: Operand) -> Node:
        """Build the rows of `x`, a node of at least one axis."""
        return flatten(x)
