"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from symgraph.layers.initial import Fans, Initialiser, Seed, lecun_normal
from symgraph.layers.weighted import InputSize, Weighted, size_checked, zeros
from symgraph.leaves import Parameter, lift
from symgraph.node import Node, Operand
from symgraph.ops.linalg import linear


class Linear(Weighted):
    """Maps the last axis affinely: y = x @ W + b.

    W (inputs, outputs) starts as normal numbers times sqrt(1 / inputs), b (outputs,) as zeros.

    Args:
        out_size: extent of the output's last axis.
        in_size: extent of the input's last axis; None to take it from the first node that the layer
            is called on.
        bias: whether there is a b.
        dtype: float32 or float64, of W and b.
        seed: an int, or a generator of NumPy that the numbers are drawn from. None for a stream of
            the process' own: `sg.random.seed` makes it repeat.
        initial: draws W; one of `symgraph.layers.initial`.
        name: begins the parameters' names; a layer inside another is named by its attribute.

    Attributes:
        W: the weights.
        b: the offset, None without bias.

    Raises:
        GraphError: a size is no positive int, or the seed is none.
        DTypeError: the dtype is no float.

    Example:
        >>> Linear(10, in_size=64, name="head").W
        <parameter 'head/W': float32[64, 10]>
    """

    made = ("W", "b")
    input_size = InputSize("in_size", -1, "inputs", "W", 2, 0)
    W: Parameter
    b: Parameter | None

    def __init__(
        self,
        out_size: int,
        in_size: int | None = None,
        bias: bool = True,
        dtype: Any = "float32",
        seed: Seed = None,
        *,
        initial: Initialiser = lecun_normal,
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.out_size = size_checked("out_size", out_size)
        self.in_size = None if in_size is None else size_checked("in_size", in_size)
        self.bias = bool(bias)
        self.initial = initial
        super().__init__(dtype, seed, name)

    def forward(self, x: Operand) -> Node:
        """Build x @ W + b.

        Args:
            x: shape (..., inputs).

        Returns:
            A node of shape (..., out_size).

        Raises:
            ShapeError: the last extent of `x` is not that of W, or is needed and not known.
        """
        node = lift(x)
        self._take_size(node)
        return linear(node, self.W, self.b)

    def _make(self) -> None:
        shape = (self._known_size(), self.out_size)
        self.W = self._parameter("W", shape, self.initial, Fans(*shape))
        self.b = self._parameter("b", (self.out_size,), zeros) if self.bias else None
