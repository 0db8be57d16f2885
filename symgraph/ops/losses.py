"""Losses: each gives the sum of its terms over the number of rows, the extent of the first axis."""

from __future__ import annotations

import numpy as np

from symgraph.dims import product
from symgraph.errors import DTypeError, ShapeError
from symgraph.leaves import lift
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.arguments import Array
from symgraph.ops.arithmetic import square
from symgraph.ops.assume import assume_equal
from symgraph.ops.comparison import equal, where
from symgraph.ops.composite import as_float, composite, numpy_floats
from symgraph.ops.elementwise import cast
from symgraph.ops.identity import CHECK_INDEX, check_index
from symgraph.ops.index_leaves import arange, extent
from symgraph.ops.reduce import sum as sum_along
from symgraph.ops.softmax import LOG_SOFTMAX, SOFTMAX, log_softmax
from symgraph.ops.transcendental import log
from symgraph.ops.views import reshape
from symgraph.types import FLOATS, INTEGERS


def over_rows(terms: Node) -> Node:
    """Return the sum of `terms` over the extent of their first axis."""
    total = sum_along(terms)
    return total / extent(terms.type.dims[0]) if terms.type.rank else total


def numpy_over_rows(terms: Array) -> Array:
    """Return what `over_rows` gives."""
    return np.asarray(np.sum(terms) / terms.dtype.type(len(terms) if terms.ndim else 1))


def targets_for(x: Node, targets: Node) -> Node:
    """Return `targets`, in the dtype of `x` where they are integers or bools and `x` is a float.

    So that a label does not turn a float32 loss into float64, as NumPy's promotion would.
    """
    if x.type.element in FLOATS and targets.type.element not in FLOATS:
        return cast(targets, x.type.element)
    return targets


def numpy_targets_for(x: Array, targets: Array) -> Array:
    """Return `targets` as `targets_for` does."""
    return targets.astype(x.dtype) if x.dtype.kind == "f" != targets.dtype.kind else targets


def require_shape(x: Node, other: Node, what: str) -> None:
    """Check that two nodes have one shape.

    Raises:
        ShapeError: they differ.
    """
    reason = f"{what} have the types {x.type} and {other.type}, but need one shape"
    if x.type.rank != other.type.rank:
        raise ShapeError(reason)
    for one, another in zip(x.type.dims, other.type.dims, strict=True):
        assume_equal(one, another, reason)


def _expand_squared(x: Node, target: Node) -> Node:
    if x.type.rank != target.type.rank and 0 not in (x.type.rank, target.type.rank):
        raise ShapeError(
            f"predictions {x.type} and targets {target.type} differ in rank: broadcasting would "
            "compare every row with every other; reshape one of them"
        )
    difference = as_float(x) - targets_for(as_float(x), target)
    return over_rows(square(difference))


def _squared(x: Array, target: Array) -> Array:
    x = numpy_floats(x)
    return numpy_over_rows(np.square(x - numpy_targets_for(x, target)))


MEAN_SQUARED_ERROR = composite(
    "mean_squared_error",
    expand=_expand_squared,
    numpy=_squared,
    samples=(
        Sample(lambda rng: (rng.normal(size=(3, 2)), rng.normal(size=(3, 2))), {}, (0, 1)),
        Sample(lambda rng: (rng.normal(size=3), rng.normal(size=3)), {}, (0, 1)),
    ),
    doc="The sum of squared differences over the number of rows (not of elements).",
)


def mean_squared_error(x: Operand, target: Operand) -> Node:
    """Sum the squared differences and divide by the number of rows (not of elements).

    Args:
        x: predictions, shape (N, ...).
        target: broadcasts with `x`.

    Returns:
        A 0-d float node.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> y, t = Placeholder("y", ("N", 2), "float32"), Placeholder("t", ("N", 2), "float32")
        >>> mean_squared_error(y, t)
        <mean_squared_error: float32[]>
    """
    return MEAN_SQUARED_ERROR(x, target)


def _expand_cross_entropy(logits: Node, labels: Node) -> Node:
    dims = logits.type.dims
    if labels.type.element not in INTEGERS:
        raise DTypeError(
            f"labels are integers, not {labels.type.element}; for one-hot rows use "
            "categorical_cross_entropy_from_logits"
        )
    if not dims or labels.type.rank != len(dims) - 1:
        raise ShapeError(
            f"labels have one axis less than the logits, not {labels.type.rank} for {len(dims)}"
        )
    for extent_of_logits, extent_of_labels in zip(dims[:-1], labels.type.dims, strict=True):
        reason = f"there are {extent_of_labels} labels for {extent_of_logits} rows"
        assume_equal(extent_of_logits, extent_of_labels, reason)
    checked = reshape(check_index(labels, dims[-1]), (*dims[:-1], 1))
    chosen = where(equal(checked, arange(dims[-1])), log_softmax(logits), 0)
    return -(sum_along(chosen) / extent(product(dims[:-1])))


def _cross_entropy(logits: Array, labels: Array) -> Array:
    checked = CHECK_INDEX.numpy(labels, np.asarray(logits.shape[-1]))
    chosen = np.take_along_axis(LOG_SOFTMAX.numpy(logits, axis=-1), checked[..., None], -1)
    return np.asarray(-(np.sum(chosen) / chosen.dtype.type(chosen.size)))


SOFTMAX_CROSS_ENTROPY = composite(
    "softmax_cross_entropy",
    expand=_expand_cross_entropy,
    numpy=_cross_entropy,
    samples=(
        Sample(lambda rng: (rng.normal(size=(3, 4)), rng.integers(0, 4, 3)), {}, (0,)),
        Sample(lambda rng: (rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3))), {}, (0,)),
    ),
    doc="The mean over rows of -log softmax(logits)[label].",
)


def softmax_cross_entropy(logits: Operand, labels: Operand) -> Node:
    """Average -log softmax(logits)[label] over rows.

    Args:
        logits: scores, shape (..., classes).
        labels: integers in [0, classes), shape (...).

    Returns:
        A 0-d float node.

    Raises:
        DTypeError: `labels` are not integers.
        ShapeError: the shapes do not fit.
        BoundsError: when called, with a label out of range.

    Example:
        >>> x, t = Placeholder("x", ("N", 10), "float32"), Placeholder("t", ("N",), "int64")
        >>> softmax_cross_entropy(x, t)
        <softmax_cross_entropy: float32[]>
    """
    return SOFTMAX_CROSS_ENTROPY(logits, labels)


LEAST_PROBABILITY = {"float32": 1e-7, "float64": 1e-15}
"""Probabilities are taken to be at least this, so that no logarithm of one is infinite."""


def logits_of(probabilities: Node) -> Node | None:
    """Return the logits if the probabilities are their softmax along the last axis."""
    if probabilities.op is not SOFTMAX:
        return None
    logits: Node = probabilities.inputs[0]
    last = (-1,) if logits.type.shape is None else (-1, logits.type.rank - 1)
    return logits if probabilities.attrs["axis"] in last else None


def _numpy_log(probabilities: Array) -> Array:
    probabilities = numpy_floats(probabilities)
    least = probabilities.dtype.type(LEAST_PROBABILITY[probabilities.dtype.name])
    return np.asarray(np.log(np.maximum(probabilities, least)))


def _weighted(targets: Node, logarithms: Node) -> Node:
    # A class of no weight counts nothing, even where its logarithm is infinite.
    return where(targets == 0, 0, targets * where(targets == 0, 0, logarithms))


def _mean_row(terms: Node) -> Node:
    return -(sum_along(terms) / extent(product(terms.type.dims[:-1])))


def _numpy_categorical(logarithms: Array, targets: Array) -> Array:
    targets = numpy_targets_for(logarithms, targets)
    terms = np.where(targets == 0, 0, targets * np.where(targets == 0, 0, logarithms))
    rows = int(np.prod(terms.shape[:-1], dtype=np.int64))
    return np.asarray(-(np.sum(terms) / terms.dtype.type(rows)))


def _expand_categorical(probabilities: Node, targets: Node) -> Node:
    require_shape(probabilities, targets, "probabilities and targets")
    probabilities = as_float(probabilities)
    targets = targets_for(probabilities, targets)
    least = LEAST_PROBABILITY[probabilities.type.element]
    # The gradient of a probability below that is 0.
    likely = where(probabilities < least, least, probabilities)
    return _mean_row(_weighted(targets, log(where(targets == 0, 1, likely))))


def _expand_categorical_logits(logits: Node, targets: Node) -> Node:
    require_shape(logits, targets, "logits and targets")
    logits = as_float(logits)
    return _mean_row(_weighted(targets_for(logits, targets), log_softmax(logits)))


def _rows(rng: np.random.Generator) -> Array:
    rows = rng.uniform(0.1, 1.0, (3, 4))
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


CATEGORICAL_CROSS_ENTROPY = composite(
    "categorical_cross_entropy",
    expand=_expand_categorical,
    numpy=lambda p, targets: _numpy_categorical(_numpy_log(p), targets),
    samples=(Sample(lambda rng: (_rows(rng), _rows(rng)), {}, (0, 1)),),
    doc="The mean over rows of -sum(targets * log(probabilities)).",
)
CATEGORICAL_FROM_LOGITS = composite(
    "categorical_cross_entropy_from_logits",
    expand=_expand_categorical_logits,
    numpy=lambda x, targets: _numpy_categorical(LOG_SOFTMAX.numpy(x, axis=-1), targets),
    samples=(Sample(lambda rng: (rng.normal(size=(3, 4)), _rows(rng)), {}, (0, 1)),),
    doc="The mean over rows of -sum(targets * log_softmax(logits)).",
)


def categorical_cross_entropy(probabilities: Operand, targets: Operand) -> Node:
    """Average -sum(targets * log(probabilities)) over rows.

    If the probabilities are what `softmax` gave along their last axis, the loss is built of its
    logits, which is exact where softmax underflows; it then depends on the logits and not on the
    probabilities. Others are taken to be at least 1e-7 (float64: 1e-15), as Keras does.

    Args:
        probabilities: shape (..., classes), such as `softmax` gives.
        targets: one-hot or other weights of the classes, of the same shape.

    Returns:
        A 0-d float node, finite for all probabilities in [0, 1].

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> p, t = Placeholder("p", ("N", 3), "float32"), Placeholder("t", ("N", 3), "float32")
        >>> categorical_cross_entropy(p, t)
        <categorical_cross_entropy: float32[]>
    """
    probabilities = lift(probabilities)
    logits = logits_of(probabilities)
    if logits is not None:
        return CATEGORICAL_FROM_LOGITS(logits, targets)
    return CATEGORICAL_CROSS_ENTROPY(probabilities, targets)


def categorical_cross_entropy_from_logits(logits: Operand, targets: Operand) -> Node:
    """Average -sum(targets * log_softmax(logits)) over rows, exact where softmax underflows.

    All else is as for `categorical_cross_entropy`.
    """
    return CATEGORICAL_FROM_LOGITS(logits, targets)
