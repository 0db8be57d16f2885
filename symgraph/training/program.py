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
from symgraph.training.checks import CompileOptions
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
        options: what all functions are compiled with.

    Attributes:
        names: of the numbers that step and evaluation give: `loss`, then the metrics.
        step: the training step, from inputs and targets. On a GPU it gives nothing back; what it
            adds to `progress` stays there until it is read.
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
        options: CompileOptions,
    ) -> None:
        """Build the graph of the step and compile it."""
        self._model, self._loss, self._metrics = model, loss, metrics
        self._options = options
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
        # What is computed first is what is blamed first: the loss, and not a derivative of it.
        self._updates = {
            self.progress: self.progress + _contribution(rows, list(self._outputs.values())),
            self.steps: self.steps + 1,
            **updates,
        }
        self.classes = output.shape[-1] if loss.targets is Targets.LABELS else None
        self.hint = f"the targets of {loss.name} are {loss.targets.value}"
        self._steps: dict[tuple[bool, bool], Function] = {}
        self.step = self.step_for(watched=False, checked=False)

    def step_for(self, *, watched: bool, checked: bool) -> Function:
        """Return the training step, compiled when it is first asked for.

        Args:
            watched: whether somebody looks at loss and metrics of each step. They come for nothing
                on the host; on a GPU they are copied, so a step without them is quicker.
            checked: whether it raises, and changes nothing, where a number would not be finite.
        """
        key = watched or checked or self._options["device"] == "cpu", checked
        if key not in self._steps:
            self._steps[key] = self._compiled_step(*key)
        return self._steps[key]

    @once
    def evaluation(self) -> Function:
        """Return the function from inputs and targets to loss and metrics, in test mode."""
        with test_mode():
            outputs = self._measured(model_output(self._model, self.x))
        return compile(outputs, inputs=[self.x, self.targets], **self._options)

    def _measured(self, output: Node) -> dict[str, Node]:
        """Return loss and metrics by name."""
        measured = {"loss": self._loss.build(output, self.targets)}
        measured |= {metric.name: metric.build(output, self.targets) for metric in self._metrics}
        return measured

    def wait(self) -> None:
        """Wait for all steps; what they have found wrong is raised here at the latest.

        Raises:
            BoundsError: a label was out of range, say; that step has changed nothing.
        """
        for step in self._steps.values():
            step.wait()

    def _compiled_step(self, tells: bool, check_finite: bool) -> Function:
        options = self._options.copy()
        if check_finite:
            # The first step that goes wrong is the last one.
            options["results"] = "numpy"
        return compile(
            self._outputs if tells else {},
            updates=self._updates,
            inputs=[self.x, self.targets],
            check_finite=check_finite,
            **options,
        )


def compiled_prediction(model: Layer, x: Placeholder, options: CompileOptions) -> Function:
    """Return the function from inputs to a model's output, an array of the host, in test mode."""
    on_host = options.copy()
    on_host["results"] = "numpy"
    with test_mode():
        return compile(model_output(model, x), inputs=[x], **on_host)


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
