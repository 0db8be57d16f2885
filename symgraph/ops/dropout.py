"""Dropout: a random selection of elements is set to 0, another one in every call."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError, FeedError, GraphError
from symgraph.leaves import Constant, is_constant, lift
from symgraph.location import user_location
from symgraph.modes import is_training
from symgraph.node import Node, Operand
from symgraph.op import Attrs, Elementwise, Op, Sample
from symgraph.ops.arguments import Array, ShapeLike, as_shape
from symgraph.ops.comparison import where
from symgraph.ops.composite import composite
from symgraph.ops.index_leaves import linear_index
from symgraph.ops.random import POSITIONS, float_dtype, in_dtype, uniform_at
from symgraph.ops.streams import stream_key
from symgraph.types import FLOATS, Shape, TensorType


def _is_ratio(values: Array) -> Array:
    return np.asarray((values >= 0) & (values < 1))


def _check_reference(ratio: Array) -> Array:
    if ratio.dtype.kind != "f":
        raise DTypeError(_NO_FLOAT)
    bad = ~_is_ratio(ratio)
    if np.any(bad):
        raise FeedError(f"the ratio to drop is in [0, 1), not {ratio[bad][0]}")
    return ratio


def _check_scalar(s: Any, ratio: Any) -> Any:  # opaque handles
    inside = s.bit_and(s.le(s.like(0, ratio), ratio), s.lt(ratio, s.like(1, ratio)))
    s.flag(s.bit_not(inside), "ratio")
    return ratio


_NO_FLOAT = "the ratio to drop is a float"


def _check_infer(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    if types[0].element not in FLOATS:
        raise DTypeError(f"{_NO_FLOAT}, not {types[0].element}")
    declared: TensorType = types[0]
    return declared


CHECK_RATIO = Op(
    name="check_ratio",
    kind=Elementwise(_check_scalar, flags=lambda dtypes: ("ratio",)),
    infer=_check_infer,
    numpy=_check_reference,
    grad=lambda g, y, ratio: (g,),
    samples=(Sample(lambda rng: (rng.uniform(0.1, 0.9, 3),), {}, (0,)),),
    doc="The ratio itself, after checking at run time that 0 <= ratio < 1, which NaN is not.",
)


def _expand_dropout(x: Node, drawn: Node, ratio: Node) -> Node:
    # A constant was checked when the graph was built.
    ratio = ratio if is_constant(ratio) else CHECK_RATIO(ratio)
    share = 1 - ratio
    if x.type.element in FLOATS and not share.type.weak:
        share = in_dtype(share, x.type.element)
    return where(drawn >= ratio, x / share, 0)


def _dropout(x: Array, drawn: Array, ratio: Array) -> Array:
    if ratio.dtype.kind != "i":  # an int in a graph is a constant, which was checked
        ratio = CHECK_RATIO.numpy(ratio)
    share = np.asarray(1 - ratio).astype(x.dtype if x.dtype.kind == "f" else ratio.dtype)
    return np.asarray(np.where(drawn >= ratio, x / share, x.dtype.type(0)))


DROPOUT = composite(
    "dropout",
    expand=_expand_dropout,
    numpy=_dropout,
    samples=(
        Sample(
            lambda rng: (rng.normal(size=(3, 4)), rng.uniform(size=(3, 4)), np.asarray(0.4)),
            {},
            (0,),
        ),
    ),
    doc="x / (1 - ratio) where the drawn number in [0, 1) is at least ratio, else 0.",
)


def check_ratio(ratio: Operand) -> None:
    """Refuse a number that is no ratio to drop; what only calls know is checked by them.

    Raises:
        GraphError: it is not in [0, 1).
    """
    node = lift(ratio)
    if is_constant(node) and not np.all(_is_ratio(node.value)):
        raise GraphError(f"the ratio to drop is in [0, 1), not {ratio}\n  at {user_location()}")


def dropout(
    x: Operand,
    ratio: Operand = 0.5,
    training: Operand | None = None,
    seed: int | None = None,
    stream: int | None = None,
) -> Node:
    """Set elements to 0 at random and scale the others by 1 / (1 - ratio).

    Args:
        x: any array.
        ratio: how many to drop, in [0, 1); a number, or a 0-d node that may change at every call.
        training: False leaves `x` as it is; a bool, or a 0-d bool node. None for the mode in which
            the graph is built, see `train_mode`.
        seed: any int; None takes the next stream of the process, see `seed`.
        stream: tells apart several nodes with one seed.

    Returns:
        A node of the shape of `x`: another selection in every call.

    Raises:
        GraphError: `ratio` is a number out of range.
        DTypeError: `ratio` is a node and no float.
        FeedError: when called, with a ratio out of range.

    Example:
        >>> dropout(Placeholder("x", ("N", 3), "float32"), 0.25, seed=0)
        <dropout: float32[N, 3]>
    """
    check_ratio(ratio)
    node = lift(x)
    if training is None:
        training = is_training()
    if not isinstance(training, Node) and not training:
        return node
    drawn = uniform_at(POSITIONS(node), stream_key(seed, stream), "float32")
    dropped = DROPOUT(node, drawn, ratio)
    return where(training, dropped, node) if isinstance(training, Node) else dropped


def dropout_mask(
    shape: ShapeLike,
    ratio: Operand = 0.5,
    dtype: Any = "float32",
    seed: int | None = None,
    stream: int | None = None,
) -> Node:
    """Draw the factors of dropout: 0 with probability `ratio`, else 1 / (1 - ratio).

    Args:
        shape: ints and symbolic extents.
        ratio: how many to drop, in [0, 1); a number or a 0-d node.
        dtype: float32 or float64.
        seed: any int; None takes the next stream of the process, see `seed`.
        stream: tells apart several nodes with one seed.

    Returns:
        A node of `shape` and `dtype`: another selection in every call.

    Raises:
        GraphError: `ratio` is a number out of range.
        DTypeError: `ratio` is a node and no float.
        FeedError: when called, with a ratio out of range.

    Example:
        >>> dropout_mask((2, 3), 0.25, seed=0)
        <dropout: float32[2, 3]>
    """
    check_ratio(ratio)
    extents: Shape = as_shape(shape)
    drawn = uniform_at(linear_index(extents), stream_key(seed, stream), "float32")
    return DROPOUT(Constant(1.0, float_dtype(dtype)), drawn, ratio)
