"""Losses of yes-or-no targets: from logits and from probabilities."""

from __future__ import annotations

import numpy as np

from symgraph.leaves import lift
from symgraph.node import Node, Operand
from symgraph.op import Sample
from symgraph.ops.activation import sigmoid, softplus
from symgraph.ops.adjoint import scaled
from symgraph.ops.arguments import Array
from symgraph.ops.arithmetic import absolute
from symgraph.ops.comparison import where
from symgraph.ops.composite import as_float, composite, numpy_floats
from symgraph.ops.extremes import clip
from symgraph.ops.losses import (
    numpy_over_rows,
    numpy_targets_for,
    over_rows,
    require_shape,
    targets_for,
)
from symgraph.ops.transcendental import log


def _expand_logistic(x: Node, target: Node) -> Node:
    x = as_float(x)
    target = targets_for(x, target)
    return where(x > 0, (1 - target) * x, -target * x) + softplus(-absolute(x))


def _logistic(x: Array, target: Array) -> Array:
    x = numpy_floats(x)
    target = numpy_targets_for(x, target)
    linear = np.where(x > 0, (1 - target) * x, -target * x)
    return np.asarray(linear + np.log1p(np.exp(-np.abs(x))))


def _logistic_gradient(g: Node, y: Node, x: Node, target: Node) -> tuple[Node, Node]:
    return scaled(g, sigmoid(x) - targets_for(x, target)), scaled(g, -x)


def _logits_and_targets(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.uniform(0.2, 3, (3, 2)) * rng.choice([-1.0, 1.0], (3, 2)), rng.uniform(size=(3, 2))


LOGISTIC_LOSS = composite(
    "logistic_loss",
    expand=_expand_logistic,
    numpy=_logistic,
    grad=_logistic_gradient,
    samples=(Sample(_logits_and_targets, {}, (0, 1)),),
    doc="-t log(sigmoid(x)) - (1 - t) log(1 - sigmoid(x)), element by element, exact for all x.",
)


def _expand_sigmoid_cross_entropy(logits: Node, targets: Node) -> Node:
    require_shape(logits, targets, "logits and targets")
    return over_rows(LOGISTIC_LOSS(logits, targets))


SIGMOID_CROSS_ENTROPY = composite(
    "sigmoid_cross_entropy",
    expand=_expand_sigmoid_cross_entropy,
    numpy=lambda logits, targets: numpy_over_rows(_logistic(logits, targets)),
    samples=(Sample(_logits_and_targets, {}, (0, 1)),),
    doc="The logistic loss summed over all elements, over the number of rows.",
)


def sigmoid_cross_entropy(logits: Operand, targets: Operand) -> Node:
    """Score logits of yes-or-no targets: the logistic loss, summed, over the number of rows.

    Args:
        logits: shape (N, ...).
        targets: 0 or 1, or a probability in between, of the same shape.

    Returns:
        A 0-d float node, exact for logits of any size.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> x, t = Placeholder("x", ("N", 1), "float32"), Placeholder("t", ("N", 1), "int64")
        >>> sigmoid_cross_entropy(x, t)
        <sigmoid_cross_entropy: float32[]>
    """
    return SIGMOID_CROSS_ENTROPY(logits, targets)


def logits_of(probabilities: Node) -> Node | None:
    """Return the logits if the probabilities are their sigmoid."""
    return probabilities.inputs[0] if probabilities.op is sigmoid else None


LOWEST, HIGHEST = 1e-15, 0.999


def _expand_binary(p: Node, targets: Node) -> Node:
    require_shape(p, targets, "probabilities and targets")
    p = clip(as_float(p), LOWEST, HIGHEST)
    targets = targets_for(p, targets)
    return -over_rows(targets * log(p) + (1 - targets) * log(1 - p))


def _binary(p: Array, targets: Array) -> Array:
    p = np.clip(numpy_floats(p), LOWEST, HIGHEST)
    targets = numpy_targets_for(p, targets)
    return np.asarray(-numpy_over_rows(targets * np.log(p) + (1 - targets) * np.log(1 - p)))


BINARY_CROSS_ENTROPY = composite(
    "binary_cross_entropy",
    expand=_expand_binary,
    numpy=_binary,
    samples=(
        Sample(lambda rng: (rng.uniform(0.2, 0.8, (3, 2)), rng.uniform(size=(3, 2))), {}, (0, 1)),
    ),
    doc="-t log(p) - (1 - t) log(1 - p), p limited to [1e-15, 0.999], summed, over the rows.",
)


def binary_cross_entropy(probabilities: Operand, targets: Operand) -> Node:
    """Score probabilities of yes-or-no targets: -t log(p) - (1 - t) log(1 - p), over the rows.

    If the probabilities are what `sigmoid` gave, the loss is built of its logits, which is
    `sigmoid_cross_entropy` and exact; it then depends on the logits and not on the probabilities.

    Args:
        probabilities: shape (N, ...); limited to [1e-15, 0.999] first.
        targets: 0 or 1, or in between, of the same shape.

    Returns:
        A 0-d float node, finite for all probabilities in [0, 1].

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> p, t = Placeholder("p", ("N",), "float32"), Placeholder("t", ("N",), "float32")
        >>> binary_cross_entropy(p, t)
        <binary_cross_entropy: float32[]>
    """
    probabilities = lift(probabilities)
    logits = logits_of(probabilities)
    if logits is not None:
        return SIGMOID_CROSS_ENTROPY(logits, targets)
    return BINARY_CROSS_ENTROPY(probabilities, targets)
