"""Losses by name, and which targets each of them takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.leaves import Placeholder
from symgraph.location import user_location
from symgraph.node import Node, describe
from symgraph.ops.arithmetic import absolute, square
from symgraph.ops.binary_losses import LOGISTIC_LOSS, binary_cross_entropy, sigmoid_cross_entropy
from symgraph.ops.binary_losses import logits_of as logits_of_sigmoid
from symgraph.ops.extremes import clip
from symgraph.ops.filled import one_hot
from symgraph.ops.losses import (
    LEAST_PROBABILITY,
    categorical_cross_entropy,
    categorical_cross_entropy_from_logits,
    mean_squared_error,
    softmax_cross_entropy,
)
from symgraph.ops.losses import logits_of as logits_of_softmax
from symgraph.ops.statistics import mean
from symgraph.ops.transcendental import log
from symgraph.training.names import called
from symgraph.training.rows import RowType
from symgraph.types import FLOATS

LossFunction = Callable[[Any, Any], Any]


class Targets(Enum):
    """What the targets of a loss look like."""

    LABELS = "integers, one for each row"
    ONE_HOT = "one row of weights of the classes for each row, such as sg.nn.one_hot gives"
    PROBABILITIES = "0 or 1, or in between, in the shape of the output, which is a probability"
    LOGITS = "0 or 1, or in between, in the shape of the output, which is a logit"
    VALUES = "numbers in the shape of the output"
    OPEN = "whatever the loss takes"


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss.

    Args:
        name: how it is called in messages.
        function: from output and targets, both nodes, to a 0-d float node: a mean over rows.
        targets: what the targets look like.
    """

    name: str
    function: LossFunction
    targets: Targets

    def build(self, output: Node, targets: Node) -> Node:
        """Return the loss as a node.

        Raises:
            GraphError: the function gives no node.
            ShapeError: it gives more than one number.
            DTypeError: it gives no float.
        """
        loss = self.function(output, targets)
        if not isinstance(loss, Node):
            raise GraphError(
                f"the loss {self.name} is a function from nodes to a node, but gave {loss!r}\n"
                f"  at {user_location()}"
            )
        return scalar_checked(f"the loss {self.name}", loss)


def scalar_checked(what: str, node: Node) -> Node:
    """Return a node that is one float.

    Raises:
        ShapeError: it has another rank.
        DTypeError: it has another dtype.
    """
    if node.type.shape is None or node.type.rank != 0:
        raise ShapeError(
            f"{what} is one number, the mean over all rows, not {describe(node)}\n"
            f"  at {user_location()}"
        )
    if node.type.element not in FLOATS:
        raise DTypeError(f"{what} is a float, not {describe(node)}\n  at {user_location()}")
    return node


def sparse_categorical_cross_entropy(probabilities: Node, labels: Node) -> Node:
    """Average -log(probabilities[label]) over rows.

    Args:
        probabilities: shape (..., classes), such as `softmax` gives.
        labels: integers in [0, classes), shape (...).

    Returns:
        A 0-d float node.
    """
    logits = logits_of_softmax(probabilities)
    if logits is not None:
        return softmax_cross_entropy(logits, labels)
    rows = one_hot(labels, probabilities.type.dims[-1], dtype=probabilities.dtype)
    return categorical_cross_entropy(probabilities, rows)


def mean_of_squares(output: Node, targets: Node) -> Node:
    """Average the squared differences over all elements, as Keras does."""
    return mean(square(output - targets))


def mean_of_distances(output: Node, targets: Node) -> Node:
    """Average the absolute differences over all elements, as Keras does."""
    return mean(absolute(output - targets))


def mean_binary_cross_entropy(probabilities: Node, targets: Node) -> Node:
    """Average -t log(p) - (1 - t) log(1 - p) over all elements, as Keras does.

    It is built of the logits where the probabilities are what `sigmoid` gave; others are taken to
    lie a little inside of [0, 1].

    Args:
        probabilities: any shape.
        targets: 0 or 1, or in between, of the same shape.

    Returns:
        A 0-d float node.
    """
    logits = logits_of_sigmoid(probabilities)
    if logits is not None:
        return mean(LOGISTIC_LOSS(logits, targets))
    least = LEAST_PROBABILITY["float32"]  # as Keras, for all dtypes: 1 - 1e-15 may well be 1
    p = clip(probabilities, least, 1 - least)
    return -mean(targets * log(p) + (1 - targets) * log(1 - p))


_CATEGORICAL = (
    Loss("softmax_cross_entropy", softmax_cross_entropy, Targets.LABELS),
    Loss("categorical_cross_entropy", categorical_cross_entropy, Targets.ONE_HOT),
    Loss(
        "categorical_cross_entropy_from_logits",
        categorical_cross_entropy_from_logits,
        Targets.ONE_HOT,
    ),
    Loss("sparse_categorical_cross_entropy", sparse_categorical_cross_entropy, Targets.LABELS),
    Loss("sigmoid_cross_entropy", sigmoid_cross_entropy, Targets.LOGITS),
)
# Names mean what they mean in Keras, a mean over all elements; the functions of `sg.nn` divide by
# the number of rows.
_NAMED = (
    *_CATEGORICAL,
    Loss("binary_cross_entropy", mean_binary_cross_entropy, Targets.PROBABILITIES),
    Loss("mean_squared_error", mean_of_squares, Targets.VALUES),
    Loss("mean_absolute_error", mean_of_distances, Targets.VALUES),
)
_FUNCTIONS = (
    *_CATEGORICAL,
    Loss("binary_cross_entropy", binary_cross_entropy, Targets.PROBABILITIES),
    Loss("mean_squared_error", mean_squared_error, Targets.VALUES),
)
LOSSES = {loss.name: loss for loss in _NAMED}
# The spellings of Keras.
LOSSES |= {
    name.replace("cross_entropy", "crossentropy"): loss
    for name, loss in LOSSES.items()
    if name.startswith(("categorical", "sparse", "binary")) and not name.endswith("logits")
}
LOSSES |= {"mse": LOSSES["mean_squared_error"], "mae": LOSSES["mean_absolute_error"]}


def chosen_loss(given: str | LossFunction | Loss) -> Loss:
    """Return the loss of a name or of a function.

    A name means what it means in Keras: "mse" and "binary_crossentropy" are means over all
    elements, where the functions of these losses in `sg.nn` divide by the number of rows.

    Raises:
        GraphError: there is none of that name, or it is no function.
    """
    if isinstance(given, Loss):
        return given
    if isinstance(given, str):
        return called("loss", given, LOSSES)
    for loss in _FUNCTIONS:
        if given is loss.function:
            return loss
    if isinstance(given, Node | type) or not callable(given):
        raise GraphError(
            f"a loss is a name or a function of output and targets, not {given!r}\n"
            f"  at {user_location()}"
        )
    return Loss(getattr(given, "__name__", "loss"), given, Targets.OPEN)


def targets_placeholder(name: str, loss: Loss, output: Node, given: RowType | None) -> Placeholder:
    """Return the placeholder of the targets.

    Args:
        name: how it is called.
        loss: says what targets look like.
        output: what the model gives.
        given: the type of the targets that there are, for a loss that takes any.

    Raises:
        ShapeError: the output does not suit the loss.
    """
    dims, dtype = output.shape, output.type.element
    if loss.targets is Targets.OPEN:
        assert given is not None, "a loss of one's own is built when there are targets"
        return Placeholder(name, (dims[0] if dims else None, *given.shape), given.fitting(dtype))
    if loss.targets is not Targets.LABELS:
        return Placeholder(name, dims, dtype)
    if len(dims) < 2:
        raise ShapeError(
            f"{loss.name} takes one score for each class, so an output (rows, classes), not "
            f"{describe(output)}\n  at {user_location()}"
        )
    return Placeholder(name, dims[:-1], "int64")
