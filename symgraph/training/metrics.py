"""Metrics: numbers beside the loss, computed within the compiled step and averaged over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.node import Node
from symgraph.ops.comparison import equal, greater
from symgraph.ops.elementwise import cast
from symgraph.ops.reduce import argmax
from symgraph.ops.statistics import mean
from symgraph.training.losses import (
    Loss,
    Targets,
    mean_of_distances,
    mean_of_squares,
    scalar_checked,
)
from symgraph.training.names import called

MetricFunction = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number to watch.

    Args:
        name: its column in the history.
        function: from output and targets, both nodes, to a 0-d node: a mean over rows.
    """

    name: str
    function: MetricFunction

    def build(self, output: Node, targets: Node) -> Node:
        """Return the metric as a float64 node.

        Raises:
            GraphError: the function gives no node.
            ShapeError: it gives more than one number.
        """
        value = self.function(output, targets)
        if not isinstance(value, Node):
            raise GraphError(
                f"the metric {self.name} is a function from nodes to a node, but gave {value!r}\n"
                f"  at {user_location()}"
            )
        return scalar_checked(f"the metric {self.name}", cast(value, dtype="float64"))


def _accuracy_of_labels(output: Node, labels: Node) -> Node:
    return mean(cast(equal(argmax(output, axis=-1), labels), dtype="float64"))


def _accuracy_of_rows(output: Node, rows: Node) -> Node:
    return _accuracy_of_labels(output, argmax(rows, axis=-1))


def _accuracy_above(limit: float) -> MetricFunction:
    def accuracy(output: Node, targets: Node) -> Node:
        right = equal(greater(output, limit), greater(targets, 0.5))
        return mean(cast(right, dtype="float64"))

    return accuracy


_ACCURACY = {
    Targets.LABELS: _accuracy_of_labels,
    Targets.ONE_HOT: _accuracy_of_rows,
    Targets.PROBABILITIES: _accuracy_above(0.5),
    Targets.LOGITS: _accuracy_above(0.0),
}


def _accuracy(loss: Loss) -> Metric:
    """Return the share of rows, or of binary decisions, that are right."""
    if loss.targets not in _ACCURACY:
        raise GraphError(
            f"what 'accuracy' means with the loss {loss.name} is not known: give a function of "
            f"output and targets instead\n  at {user_location()}"
        )
    return Metric("accuracy", _ACCURACY[loss.targets])


def _always(name: str, function: MetricFunction) -> Callable[[Loss], Metric]:
    return lambda loss: Metric(name, function)


METRICS: dict[str, Callable[[Loss], Metric]] = {
    "accuracy": _accuracy,
    "binary_accuracy": _always("binary_accuracy", _accuracy_above(0.5)),
    "mean_absolute_error": _always("mean_absolute_error", mean_of_distances),
    "mean_squared_error": _always("mean_squared_error", mean_of_squares),
}
METRICS |= {
    "acc": METRICS["accuracy"],
    "mae": METRICS["mean_absolute_error"],
    "mse": METRICS["mean_squared_error"],
}


def chosen_metrics(given: Any, loss: Loss) -> tuple[Metric, ...]:
    """Return the metrics of names and functions.

    Args:
        given: a name, a function or a metric, or an iterable of them. A metric is called what its
            name was given as: "mse" stays "mse".
        loss: says what targets look like.

    Raises:
        GraphError: there is none of that name, it is no function, or two have one name.
    """
    single = isinstance(given, str | Metric) or not isinstance(given, Iterable)
    entries = [given] if single else list(given)
    found = tuple(_chosen(entry, loss) for entry in entries)
    names = ["loss", *(metric.name for metric in found)]
    for name in names:
        if names.count(name) > 1:
            raise GraphError(f"two metrics are called {name!r}\n  at {user_location()}")
    return found


def _chosen(given: Any, loss: Loss) -> Metric:
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        return replace(called("metric", given, METRICS)(loss), name=given)
    if isinstance(given, Node | type) or not callable(given):
        raise GraphError(
            f"a metric is a name or a function of output and targets, not {given!r}\n"
            f"  at {user_location()}"
        )
    return Metric(getattr(given, "__name__", "metric"), given)
