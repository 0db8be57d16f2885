"""The fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.layers.base import Layer
from symgraph.layers.initial import Seed, generator, scaled_normal
from symgraph.leaves import Parameter, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.ops.linalg import linear
from symgraph.types import FLOATS, check_dtype


class Linear(Layer):
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
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.out_size = _size("out_size", out_size)
        self.in_size = None if in_size is None else _size("in_size", in_size)
        self.bias = bool(bias)
        self.dtype = check_dtype(dtype)
        if self.dtype not in FLOATS:
            raise DTypeError(f"a layer's weights are floats, not {self.dtype}")
        self.name = name
        self._generator = generator(seed)

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

    def prepare(self) -> None:
        """Make W and b, once.

        Raises:
            ShapeError: the input size is not known yet.
        """
        if "W" in vars(self):
            return
        if self.in_size is None:
            raise ShapeError(
                f"{self!r} does not know its input size yet: call it on a node first, or give it "
                f"in_size\n  at {user_location()}"
            )
        prefix = f"{self.path}/" if self.path else ""
        shape = (self.in_size, self.out_size)
        self.W = Parameter(scaled_normal(self._generator, shape, self.dtype), f"{prefix}W")
        self.b = Parameter(np.zeros(self.out_size, self.dtype), f"{prefix}b") if self.bias else None

    def __getattr__(self, name: str) -> Any:
        # Called only for attributes that are not there: W and b are made when first asked for.
        if name not in ("W", "b"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.prepare()
        return vars(self)[name]

    def _take_size(self, x: Node) -> None:
        """Compare the input size with the last extent of `x`, or learn it there."""
        dims = x.type.shape
        if dims is not None and not dims:
            raise ShapeError(f"{self!r} needs an axis to map, and {describe(x)} has none")
        last = None if dims is None else dims[-1]
        if isinstance(last, int):
            if self.in_size is None:
                self.in_size = _size("in_size", last)
            if self.in_size != last:
                raise ShapeError(
                    f"{self!r} maps {self.in_size} inputs, but the last axis has {last}: "
                    f"{describe(x)}\n  at {user_location()}"
                )
        elif self.in_size is None:
            raise ShapeError(
                f"{self!r} takes its input size from the last axis, which is not a known number "
                f"here: {describe(x)}\n  at {user_location()}\n"
                "  give that axis of the placeholder a number, or give the layer in_size"
            )


def _size(what: str, value: object) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise GraphError(f"{what} is a positive int, not {value!r}\n  at {user_location()}")
