"""Random arrays: new numbers in every call of a compiled function, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.leaves import Constant, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.op import NO_GRADIENT, Sample
from symgraph.ops.arguments import Array, ShapeLike, as_shape
from symgraph.ops.comparison import less
from symgraph.ops.composite import composite
from symgraph.ops.elementwise import cast
from symgraph.ops.index_leaves import call_index, linear_index
from symgraph.ops.random_bits import NORMAL_FROM_BITS, RANDOM_BITS, UNIFORM_FROM_BITS
from symgraph.ops.streams import seed, stream_key
from symgraph.types import FLOATS, check_dtype

__all__ = ["bernoulli", "normal", "seed", "uniform"]


def float_dtype(dtype: Any) -> str:
    """Return the name of a float dtype.

    Raises:
        DTypeError: it is none.
    """
    name = check_dtype(dtype)
    if name not in FLOATS:
        raise DTypeError(f"random numbers are floats, not {name}\n  at {user_location()}")
    return name


def _positions(x: Array) -> Array:
    return np.arange(x.size, dtype=np.int64).reshape(x.shape)


POSITIONS = composite(
    "positions",
    expand=lambda x: linear_index(x.type.dims),
    numpy=_positions,
    grad=NO_GRADIENT,
    samples=(Sample(lambda rng: (np.zeros((2, 3)),), {}, ()),),
    doc="int64: where each element of x is in C order; the values of x do not matter.",
)


def uniform_at(positions: Node, key: Node, dtype: str) -> Node:
    """Return a number in [0, 1) for each position, new ones in every call."""
    return UNIFORM_FROM_BITS(RANDOM_BITS(positions, call_index(), key), dtype=dtype)


def uniform(
    shape: ShapeLike,
    low: Operand = 0.0,
    high: Operand = 1.0,
    dtype: Any = "float32",
    seed: int | None = None,
    stream: int | None = None,
) -> Node:
    """Draw numbers evenly from [low, high).

    Args:
        shape: ints and symbolic extents.
        low: the lower end, a number or a node that broadcasts to `shape`.
        high: the upper end, likewise.
        dtype: float32 or float64.
        seed: any int; None takes the next stream of the process, see `seed`.
        stream: tells apart several nodes with one seed, which otherwise give the same numbers.

    Returns:
        A node of `shape` and `dtype`: new numbers in every call.

    Raises:
        DTypeError: `dtype` is no float dtype.

    Example:
        >>> uniform((2, 3), -1, 1, seed=0)
        <add: float32[2, 3]>
    """
    dtype = float_dtype(dtype)
    drawn = uniform_at(linear_index(as_shape(shape)), stream_key(seed, stream), dtype)
    if not isinstance(low, Node) and not isinstance(high, Node) and (low, high) == (0, 1):
        return drawn
    return in_dtype(lift(low) + (lift(high) - low) * drawn, dtype)


def in_dtype(x: Node, dtype: str) -> Node:
    """Return `x`, cast unless it has the dtype already."""
    return x if x.type.dtype == dtype else cast(x, dtype)


def normal(
    shape: ShapeLike,
    mean: Operand = 0.0,
    scale: Operand = 1.0,
    dtype: Any = "float32",
    seed: int | None = None,
    stream: int | None = None,
) -> Node:
    """Draw normally distributed numbers.

    Args:
        shape: ints and symbolic extents.
        mean: their mean, a number or a node that broadcasts to `shape`.
        scale: their standard deviation, likewise.
        dtype: float32 or float64.
        seed: any int; None takes the next stream of the process, see `seed`.
        stream: tells apart several nodes with one seed.

    Returns:
        A node of `shape` and `dtype`: new numbers in every call.

    Raises:
        DTypeError: `dtype` is no float dtype.

    Example:
        >>> normal((2, 3), seed=0)
        <normal_from_bits: float32[2, 3]>
    """
    dtype = float_dtype(dtype)
    positions, key = linear_index(as_shape(shape)), stream_key(seed, stream)
    first = second = RANDOM_BITS(positions, call_index(), key)
    if dtype == "float64":
        # One run of the generator gives 64 bits, and two times as many are needed.
        second = RANDOM_BITS(positions, call_index(), Constant(~key.value, "int64"))
    drawn = NORMAL_FROM_BITS(first, second, dtype=dtype)
    if not isinstance(mean, Node) and not isinstance(scale, Node) and (mean, scale) == (0, 1):
        return drawn
    return in_dtype(drawn * scale + mean, dtype)


def bernoulli(
    p: Operand, shape: ShapeLike | None = None, seed: int | None = None, stream: int | None = None
) -> Node:
    """Draw truth values that are True with probability p.

    Args:
        p: the probability, a number or a node that broadcasts to `shape`.
        shape: ints and symbolic extents; that of `p` if None.
        seed: any int; None takes the next stream of the process, see `seed`.
        stream: tells apart several nodes with one seed.

    Returns:
        A bool node: new values in every call.

    Example:
        >>> bernoulli(0.25, (2, 3), seed=0)
        <less: bool[2, 3]>
    """
    positions = POSITIONS(p) if shape is None else linear_index(as_shape(shape))
    return less(uniform_at(positions, stream_key(seed, stream), "float32"), p)
