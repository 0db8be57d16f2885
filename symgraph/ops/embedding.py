"""Embedding: a trainable row for each of a set of ids."""

from __future__ import annotations

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array
from symgraph.ops.composite import composite
from symgraph.ops.gather import GATHER
from symgraph.ops.identity import CHECK_INDEX, check_index
from symgraph.types import INTEGERS


def _expand(ids: Node, w: Node) -> Node:
    if ids.type.element not in INTEGERS:
        raise DTypeError(f"ids are integers, not {ids.type.element}")
    if w.type.rank != 2:
        raise ShapeError(f"w needs the axes (ids, features), but has the type {w.type}")
    return GATHER(w, check_index(ids, w.type.dims[0]))


def _reference(ids: Array, w: Array) -> Array:
    return np.asarray(w[CHECK_INDEX.numpy(ids, np.asarray(len(w)))])


EMBEDDING = composite(
    "embedding",
    expand=_expand,
    numpy=_reference,
    samples=(Sample(lambda rng: (rng.integers(0, 4, (2, 3)), rng.normal(size=(4, 3))), {}, (1,)),),
    doc="The row of w for each id; the gradient of a row is the sum over the ids that took it.",
)


def embedding(ids: Operand, w: Operand) -> Node:
    """Take one row of a matrix for each id.

    Args:
        ids: integers of any shape, from 0 to their number - 1; unlike for `take`, a negative one
            is an error, because it is a label and no position.
        w: shape (number of ids, features).

    Returns:
        A node of shape (*ids.shape, features) and the dtype of `w`.

    Raises:
        DTypeError: the ids are no integers.
        ShapeError: `w` is no matrix.
        BoundsError: when called, with an id out of range.

    Example:
        >>> embedding(Placeholder("ids", ("N",), "int64"), Placeholder("w", (5, 2), "float32"))
        <embedding: float32[N, 2]>
    """
    return EMBEDDING(ids, w)
