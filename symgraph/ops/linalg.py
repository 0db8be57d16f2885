"""Products of matrices: the core op `batch_matmul`, and matmul, dot, outer, linear made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.dims import product
from symgraph.errors import DTypeError, ShapeError
from symgraph.node import Node, Operand
from symgraph.op import Attrs, Library, Op, Sample
from symgraph.ops.arguments import Array
from symgraph.ops.assume import assume_equal
from symgraph.ops.composite import composite
from symgraph.ops.elementwise import cast
from symgraph.ops.views import TRANSPOSE, reshape, transpose
from symgraph.types import TensorType, broadcast_shapes, promote


def _infer_batch_matmul(types: tuple[Any, ...], attrs: Attrs) -> TensorType:
    x, w = types
    if x.rank < 2 or w.rank < 2:
        raise ShapeError(f"both operands need two axes at least, not {x.rank} and {w.rank}")
    if x.element != w.element or x.element == "bool":
        raise DTypeError(f"operands are numbers of one dtype, not {x.element} and {w.element}")
    _require_inner(x, w, x.rank - 1, w.rank - 2)
    batch = broadcast_shapes((x.dims[:-2], w.dims[:-2]))
    return TensorType(x.element, (*batch, x.dims[-2], w.dims[-1]), x.weak and w.weak)


def _require_inner(x: TensorType, w: TensorType, of_x: int, of_w: int) -> None:
    if x.dims[of_x] == w.dims[of_w]:
        return
    assume_equal(
        x.dims[of_x],
        w.dims[of_w],
        f"the inner extents differ: {x.dims[of_x]} (axis {of_x} of {x}) "
        f"and {w.dims[of_w]} (axis {of_w} of {w})",
    )


def _batch_matmul_gradient(g: Node, y: Node, x: Node, w: Node) -> tuple[Node, Node]:
    return BATCH_MATMUL(g, _adjoint(w)), BATCH_MATMUL(_adjoint(x), g)


def _adjoint(x: Node) -> Node:
    rank = x.type.rank
    return TRANSPOSE(x, axes=(*range(rank - 2), rank - 1, rank - 2))


def _normal(*shapes: tuple[int, ...]) -> Sample:
    return Sample(
        lambda rng: tuple(rng.normal(size=shape) for shape in shapes), {}, tuple(range(len(shapes)))
    )


BATCH_MATMUL = Op(
    name="batch_matmul",
    kind=Library("batch_matmul"),
    infer=_infer_batch_matmul,
    numpy=lambda x, w: np.matmul(x, w),
    grad=_batch_matmul_gradient,
    samples=(_normal((2, 3), (3, 4)), _normal((2, 1, 2, 3), (3, 3, 2))),
    doc="Matrix products of the last two axes; the axes before them broadcast.",
)


def _expand_matmul(x: Node, w: Node) -> Node:
    if x.type.rank == 0 or w.type.rank == 0:
        raise ShapeError("an operand has no axes; multiply with * instead")
    _require_inner(x.type, w.type, x.type.rank - 1, max(w.type.rank - 2, 0))
    dtype = promote((x.type, w.type))
    if dtype == "bool":
        return _product(cast(x, "int64"), cast(w, "int64")) != 0
    return _product(_as(x, dtype), _as(w, dtype))


def _as(x: Node, dtype: str) -> Node:
    return x if x.type.element == dtype else cast(x, dtype)


def _product(x: Node, w: Node) -> Node:
    """Return the product of operands of one dtype, vectors taken as a row and as a column."""
    row, column = x.type.rank == 1, w.type.rank == 1
    left = reshape(x, (1, *x.type.dims)) if row else x
    right = reshape(w, (*w.type.dims, 1)) if column else w
    if left.type.rank > 2 and right.type.rank == 2:
        # One large product instead of many small ones, which also sums its gradient for free.
        rows = reshape(left, (product(left.type.dims[:-1]), left.type.dims[-1]))
        result = BATCH_MATMUL(rows, right)
        result = reshape(result, (*left.type.dims[:-1], right.type.dims[-1]))
    else:
        result = BATCH_MATMUL(left, right)
    dims = result.type.dims
    if column:
        dims = dims[:-1]
    if row:
        dims = (*dims[:-2], dims[-1]) if not column else dims[:-1]
    return result if dims == result.type.dims else reshape(result, dims)


MATMUL = composite(
    "matmul",
    expand=_expand_matmul,
    numpy=lambda x, w: np.asarray(np.matmul(x, w)),
    samples=(
        _normal((2, 3), (3, 4)),
        _normal((3,), (3,)),
        _normal((3,), (2, 3, 4)),
        _normal((2, 4, 3), (3,)),
        _normal((2, 2, 2, 3), (3, 2)),
        _normal((2, 1, 2, 3), (2, 3, 2)),
    ),
    doc="The product of matrices, vectors, and batches of them, as NumPy's matmul.",
)


def matmul(x: Operand, w: Operand) -> Node:
    """Multiply matrices, vectors, and batches of them, as NumPy's `matmul` and `@`.

    Args:
        x: shape (..., n, k), or a vector (k,).
        w: shape (..., k, m), or a vector (k,); the leading axes broadcast with those of `x`.

    Returns:
        A node of the promoted dtype and shape (..., n, m), without n and m for vectors.

    Raises:
        ShapeError: the inner extents differ, the leading ones do not broadcast, or an operand
            has no axes.

    Example:
        >>> matmul(Placeholder("x", ("N", 3), "float32"), Placeholder("w", (3, 4), "float32"))
        <matmul: float32[N, 4]>
    """
    return MATMUL(x, w)


def _expand_dot(x: Node, w: Node) -> Node:
    if x.type.rank == 0 or w.type.rank == 0:
        return x * w
    if w.type.rank <= 2:
        return _expand_matmul(x, w)
    _require_inner(x.type, w.type, x.type.rank - 1, w.type.rank - 2)
    rank = w.type.rank
    inner_first = transpose(w, (rank - 2, *range(rank - 2), rank - 1))
    others = inner_first.type.dims[1:]
    flat = reshape(inner_first, (inner_first.type.dims[0], product(others)))
    return reshape(_expand_matmul(x, flat), (*x.type.dims[:-1], *others))


DOT = composite(
    "dot",
    expand=_expand_dot,
    numpy=lambda x, w: np.asarray(np.dot(x, w)),
    samples=(
        _normal((3,), (3,)),
        _normal((2, 3), (3, 4)),
        _normal((), (2, 3)),
        _normal((2, 3), (2, 3, 2)),
    ),
    doc="NumPy's dot: sums over the last axis of x and the last but one (or only one) of w.",
)


def dot(x: Operand, w: Operand) -> Node:
    """Multiply as NumPy's `dot`: sum over the last axis of `x` and the last but one of `w`.

    Args:
        x: any array.
        w: any array; a vector is summed over its only axis, a number multiplies.

    Returns:
        A node of shape (*x.shape[:-1], *w.shape without the summed axis).

    Raises:
        ShapeError: the summed extents differ.

    Example:
        >>> dot(Placeholder("x", ("N", 3), "float32"), Placeholder("w", (3,), "float32"))
        <dot: float32[N]>
    """
    return DOT(x, w)


def outer(x: Operand, w: Operand) -> Node:
    """Multiply every element of one array with every element of another.

    Args:
        x: any array, taken in C order.
        w: any array, taken in C order.

    Returns:
        A node of shape (x.size, w.size).

    Example:
        >>> outer(Placeholder("x", (2,), "float32"), Placeholder("w", (3,), "float32"))
        <multiply: float32[2, 3]>
    """
    return reshape(x, (-1, 1)) * reshape(w, (1, -1))


def _expand_linear(x: Node, w: Node, *b: Node) -> Node:
    result = _expand_matmul(x, w)
    return result + b[0] if b else result


def _linear(x: Array, w: Array, *b: Array) -> Array:
    return np.asarray(np.matmul(x, w) + b[0] if b else np.matmul(x, w))


LINEAR = composite(
    "linear",
    expand=_expand_linear,
    numpy=_linear,
    samples=(_normal((2, 3), (3, 4), (4,)), _normal((2, 3), (3, 4)), _normal((3,), (3, 4), (4,))),
    doc="x @ w + b: an affine map of the last axis.",
)


def linear(x: Operand, w: Operand, b: Operand | None = None) -> Node:
    """Map the last axis affinely: x @ w + b.

    Args:
        x: shape (..., inputs).
        w: shape (inputs, outputs).
        b: shape (outputs,), or None for no offset.

    Returns:
        A node of shape (..., outputs).

    Raises:
        ShapeError: the extents do not fit.

    Example:
        >>> linear(Placeholder("x", ("N", 3), "float32"), Placeholder("w", (3, 4), "float32"))
        <linear: float32[N, 4]>
    """
    return LINEAR(x, w) if b is None else LINEAR(x, w, b)
