"""The graphs of a training run, and the functions compiled from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.compilation import compile
from symgraph.errors import GraphError, ShapeError
from symgraph.function import Function
from symgraph.layers.base import Layer
from symgraph.leaves import Placeholder, State
from symgraph.location import user_location
from symgraph.modes import test_mode, train_mode
from symgraph.node import Node, describe
from symgraph.once import once
from symgraph.ops.elementwise import cast
from symgraph.ops.index_leaves import extent
from symgraph.ops.joining import stack
from symgraph.optim.base import Optimizer
from symgraph.training.losses import Loss, Targets, targets_placeholder
from symgraph.training.metrics import Metric
from symgraph.training.rows import RowType

Array = np.ndarray[Any, Any]
EPOCH, BATCHES, ROWS, SUMS = 0, 1, 2, 3
"""What `Program.progress` holds: the number of the present epoch, its batches and rows so far, and
from SUMS on the loss and each metric, summed over rows."""


class Program:
    """What is compiled for a model: a training step and an evaluation.

    They share the model's parameters and states. The step also counts and sums what an epoch is
    made of, in states that change together with the parameters; so they tell the truth even after
    an interrupt.

    Args:
        model: what is trained.
        optimizer: how.
        loss: what it makes small.
        metrics: what is computed beside it.
        x: the placeholder of the inputs; its first axis is that of the rows.
        targets: the type of the targets, needed for a loss of the user's own.
        threads: how many threads may work on one call.

    Attributes:
        names: of the numbers that step and evaluation give: `loss`, then the metrics.
        steps: the number of training steps made so far.
        progress: where the present epoch is, see `EPOCH`.

    Raises:
        SymGraphError: of many kinds, where the parts do not fit together.
    """

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        loss: Loss,
        metrics: tuple[Metric, ...],
        x: Placeholder,
        targets: RowType | None,
        threads: int | None,
    ) -> None:
        """Build the graph of the step and compile it."""
        self._model, self._loss, self._metrics, self._threads = model, loss, metrics, threads
        self.x = x
        self.names = ("loss", *(metric.name for metric in metrics))
        with train_mode():
            output = model_output(model, x)
            name = "t" if x.name != "t" else "targets"
            self.targets = targets_placeholder(name, loss, output, targets)
            self._outputs = self._measured(output)
        self.steps = State(0, "training/steps")
        self.progress = State(np.zeros(SUMS + len(self.names)), "training/progress")
        updates = optimizer.updates(self._outputs["loss"], model.parameters())
        rows = _row_count(self.targets if self.targets.type.rank else x)
        self._updates = {
            **updates,
            self.steps: self.steps + 1,
            self.progress: self.progress + _contribution(rows, list(self._outputs.values())),
        }
        self.classes = output.shape[-1] if loss.targets is Targets.LABELS else None
        self.hint = f"the targets of {loss.name} are {loss.targets.value}"
        self.step = self._compiled_step(check_finite=False)

    @once
    def checked_step(self) -> Function:
        """Return the step that raises, and changes nothing, where a number would not be finite."""
        return self._compiled_step(check_finite=True)

    @once
    def evaluation(self) -> Function:
        """Return the function from inputs and targets to loss and metrics, in test mode."""
        with test_mode():
            outputs = self._measured(model_output(self._model, self.x))
        return compile(outputs, inputs=[self.x, self.targets], threads=self._threads)

    def _measured(self, output: Node) -> dict[str, Node]:
        """Return loss and metrics by name."""
        measured = {"loss": self._loss.build(output, self.targets)}
        measured |= {metric.name: metric.build(output, self.targets) for metric in self._metrics}
        return measured

    def _compiled_step(self, check_finite: bool) -> Function:
        return compile(
            self._outputs,
            updates=self._updates,
            inputs=[self.x, self.targets],
            threads=self._threads,
            check_finite=check_finite,
        )


def compiled_prediction(model: Layer, x: Placeholder, threads: int | None) -> Function:
    """Return the function from inputs to a model's output, in test mode."""
    with test_mode():
        return compile(model_output(model, x), inputs=[x], threads=threads)


def model_output(model: Callable[[Any], Any], x: Placeholder) -> Node:
    """Return what a model builds from a placeholder.

    Raises:
        GraphError: it is no single node.
        ShapeError: it has no axis for the rows.
    """
    output = model(x)
    if not isinstance(output, Node):
        raise GraphError(
            f"a model that is trained gives one node, but {model!r} gave {output!r}\n"
            f"  at {user_location()}"
        )
    if output.type.shape is None or output.type.rank == 0:
        raise ShapeError(
            f"a model that is trained gives one row for each row of its input, but {model!r} gave "
            f"{describe(output)}\n  at {user_location()}"
        )
    return output


def _row_count(node: Node) -> Node:
    return cast(extent(node.type.dims[0]), dtype="float64")


def _contribution(rows: Node, measured: list[Node]) -> Node:
    """Return what a batch adds to the progress: no epoch, one batch, its rows, and sums."""
    sums = [rows * cast(value, dtype="float64") for value in measured]
    return stack([np.float64(0), np.float64(1), rows, *sums])
