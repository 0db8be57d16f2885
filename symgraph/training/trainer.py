"""Training, evaluation and prediction of a model, all compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import numpy as np

from symgraph.errors import DataError, GraphError
from symgraph.function import Function
from symgraph.layers.base import Layer
from symgraph.leaves import Placeholder
from symgraph.location import user_location
from symgraph.optim.base import Optimizer
from symgraph.placement import Precision
from symgraph.serialise.archive import PathLike
from symgraph.training.callbacks import Callback
from symgraph.training.checks import (
    chosen_input,
    chosen_optimizer,
    compile_options,
    input_placeholder,
    option_checked,
    positive_int,
)
from symgraph.training.history import VALIDATION, History
from symgraph.training.loop import Plan, measured, run_epochs
from symgraph.training.losses import LossFunction, Targets, chosen_loss
from symgraph.training.metrics import chosen_metrics
from symgraph.training.options import FitOptions, Settings, settings_of
from symgraph.training.program import Program, compiled_prediction
from symgraph.training.resume import (
    Run,
    apply_training,
    read_training,
    require_same_batches,
    save_training,
)
from symgraph.training.rows import Rows, RowType, row_type
from symgraph.training.sources import Source, source_of, split_rows

Array = np.ndarray[Any, Any]


_NAMES = ("x", "y")
_VALIDATION_NAMES = ("the validation x", "the validation y")
_INPUT_HINT = "that is the input of the model"


class Trainer:
    """Trains a model on arrays: what `Sequential.compile` makes and `fit` uses.

    The graph is written and compiled before data is seen if the model's first layer knows its
    input size, or with `inputs`; else with the first data, of which only the shape matters. The
    training step (forward pass, loss, metrics, gradients, update) is one compiled function, the
    evaluation another, and both share the model's parameters.

    Args:
        model: a layer that maps one node to one.
        optimizer: one of `sg.optim`, or its name, such as "adam" or "rmsprop".
        loss: a function of output and targets, or a name, such as "softmax_cross_entropy" (labels
            and logits), "categorical_crossentropy" (one-hot rows and probabilities) or "mse".
        metrics: functions of output and targets, or names, such as "accuracy".
        inputs: a placeholder, or the shape of a row, such as (784,).
        threads: how many threads may work on one step; None for all that the process may use.
        device: where to compute, as for `compile`. On a GPU parameters and the optimiser's states
            stay there from step to step, and nothing is waited for but what is looked at.
        precision: of matrix products and convolutions on a GPU, as for `compile`.

    Attributes:
        model: the model.
        optimizer: the optimiser.
        history: loss and metrics of all epochs so far.
        run: the latest call of `fit`, None before the first.

    Raises:
        GraphError: there is no such optimiser, loss or metric.
        DeviceError: the device is not there, or cannot be used.
        SymGraphError: of other kinds, where the parts do not fit together.

    Example:
        >>> trainer = Trainer(MLP((64, 10)), "adam", "softmax_cross_entropy", ["accuracy"])
        >>> history = trainer.fit(images, labels, epochs=5, batch_size=128)
        >>> trainer.evaluate(test_images, test_labels)
        {'loss': 0.071, 'accuracy': 0.978}
    """

    def __init__(
        self,
        model: Layer,
        optimizer: str | Optimizer,
        loss: str | LossFunction,
        metrics: Any = (),
        *,
        inputs: Placeholder | tuple[int, ...] | None = None,
        threads: int | None = None,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        """Check the parts, and compile them if the type of the input is known."""
        if not isinstance(model, Layer):
            raise GraphError(f"a model is a layer, not {model!r}\n  at {user_location()}")
        self.model = model
        self.optimizer = chosen_optimizer(optimizer)
        self._loss = chosen_loss(loss)
        self._metrics = chosen_metrics(metrics, self._loss)
        self._x = chosen_input(inputs, model)
        self._options = compile_options(threads, device, precision)
        self.history = History()
        self.run: Run | None = None
        self._program: Program | None = None
        self._prediction: Function | None = None
        self._callbacks: tuple[Callback, ...] = ()
        self._validates = False
        if self._x is not None and self._loss.targets is not Targets.OPEN:
            self._built(self._x, None)

    @property
    def program(self) -> Program:
        """Return what was compiled.

        Raises:
            GraphError: nothing was, because the type of the input is not known yet.
        """
        if self._program is None:
            raise GraphError(
                "nothing is compiled yet, because the shape of the input is not known: call fit, "
                f"evaluate or predict first, or give inputs=\n  at {user_location()}"
            )
        return self._program

    @property
    def columns(self) -> list[str]:
        """Return the names of the numbers that the run which is going on writes down."""
        names = self.program.names
        return [*names, *(VALIDATION + name for name in names)] if self._validates else [*names]

    @property
    def run_history(self) -> list[dict[str, float]]:
        """Return the numbers of the epochs of the latest run, also of those before it resumed."""
        return self.history.rows[self.run.began if self.run else 0 :]

    def stop(self) -> None:
        """Make the present epoch the last one of the run."""
        if self.run is not None:
            self.run.stopped = True

    def fit(self, x: Any, y: Any = None, **options: Unpack[FitOptions]) -> History:
        """Train.

        Ctrl-C ends it with the parameters as after the last whole step and with the history of all
        whole epochs in `history`; `resume=True` then goes on where it was.

        Args:
            x: inputs, an array of rows; or a `Dataset` or loader that gives pairs of inputs and
                targets.
            y: targets, as many rows.
            **options: see `FitOptions`.

        Returns:
            The history, also of earlier calls.

        Raises:
            DataError: there are no rows, or not as many targets as inputs.
            FeedError: rows have the wrong shape or dtype.
            BoundsError: a label is out of range.
            GraphError: there is no such option, or one makes no sense.
            NonFiniteError: with `terminate_on_nan`, a number would not be finite.
            CheckpointError: the checkpoint does not fit, or the data are not those of its run.

        Example:
            >>> model.fit(x, y, epochs=10, batch_size=64, validation_data=(x_test, y_test))
        """
        settings = settings_of(options)
        size, validation = settings.batch_size, settings.validation_data
        if settings.validation_split is not None:
            (x, y), validation = split_rows(x, y, settings.validation_split)
        device = self._options["device"]
        source = source_of(x, y, size, settings.shuffle, settings.seed, _NAMES, device)
        held_out = None
        if validation is not None:
            held_out = source_of(*validation, size, False, 0, _VALIDATION_NAMES, device)
        self._get_ready(source, held_out, settings)
        for callback in settings.callbacks:
            callback.train_begin(self)
        resumed = self._resumed(settings.resume, source)
        run_epochs(self, Plan(settings, source, held_out), resumed)
        return self.history

    def evaluate(
        self, x: Any, y: Any = None, *, batch_size: int = 128, verbose: int = 0
    ) -> dict[str, float]:
        """Measure loss and metrics, in test mode.

        Args:
            x: inputs, or a `Dataset` or loader, as for `fit`.
            y: targets.
            batch_size: rows in a call; the last one has what is left.
            verbose: 0 shows nothing, 1 a progress bar.

        Returns:
            The means over all rows, by name.

        Raises:
            DataError: there are no rows, or not as many targets as inputs.
            FeedError: rows have the wrong shape or dtype.
            BoundsError: a label is out of range.

        Example:
            >>> model.evaluate(x_test, y_test)
            {'loss': 0.071, 'accuracy': 0.978}
        """
        size = positive_int("batch_size", batch_size)
        source = source_of(x, y, size, False, 0, _NAMES, self._options["device"])
        program = self._prepared(source, _NAMES)
        return measured(program, source, option_checked("verbose", verbose, (0, 1)))

    def predict(self, x: Any, *, batch_size: int = 128) -> Array:
        """Compute the model's output, in test mode.

        Args:
            x: inputs, an array of rows.
            batch_size: rows in a call; the last one has what is left.

        Returns:
            The rows of the output.

        Raises:
            DataError: `x` is no array of rows.
            FeedError: rows have the wrong shape or dtype.

        Example:
            >>> model.predict(x_test).argmax(axis=1)
            array([7, 2, 1])
        """
        size = positive_int("batch_size", batch_size)
        rows = Rows(x, None)
        placeholder = self._input_for(row_type(rows.arrays[0]))
        rows.fit((placeholder,), (_INPUT_HINT,))
        if self._prediction is None:
            self._prediction = compiled_prediction(self.model, placeholder, self._options)
        predict = self._prediction
        if not len(rows):
            return np.asarray(predict(rows.arrays[0].astype(placeholder.dtype)))
        return np.concatenate([predict(*batch) for batch in rows.batches(size)])

    def save_checkpoint(self, path: PathLike) -> None:
        """Write the whole run to a file, which `fit(..., resume=path)` goes on from.

        That is the parameters and states of model and optimiser, the history, and where in the
        present epoch the run is.

        Args:
            path: ends in `.npz` or `.safetensors`.

        Raises:
            GraphError: nothing is compiled yet, so there is nothing to save.
            CheckpointError: the path has another ending.
            OSError: the file cannot be written.
        """
        save_training(self, path)

    def load_checkpoint(self, path: PathLike) -> None:
        """Take back what `save_checkpoint` wrote: all of it or, if anything does not fit, nothing.

        Args:
            path: the file.

        Raises:
            GraphError: nothing is compiled yet.
            CheckpointError: the file is no checkpoint, is damaged, or does not fit.
            OSError: it cannot be read.
        """
        apply_training(self, read_training(self, path))

    def callback_states(self) -> dict[str, dict[str, Array]]:
        """Return what the callbacks of the latest run have to be saved, by number and class."""
        return {key: callback.state() for key, callback in self._keyed_callbacks()}

    # Building.

    def _input_for(self, given: RowType) -> Placeholder:
        """Return the placeholder of the inputs, made for rows of this type if there is none."""
        if self._x is None:
            self._x = input_placeholder(given.shape, self.model)
        return self._x

    def _prepared(self, source: Source, names: tuple[str, str]) -> Program:
        """Return the program, built for these data if it is not there yet, and check them.

        Raises:
            DataError: there are no targets.
            FeedError: rows have the wrong shape or dtype.
            SymGraphError: of other kinds, where the parts of the model do not fit together.
        """
        if len(source.types) < 2:
            raise DataError(f"there are no targets: {names[1]} is missing\n  at {user_location()}")
        program = self._program
        if program is None:
            program = self._built(self._input_for(source.types[0]), source.types[1])
        source.fit((program.x, program.targets), (_INPUT_HINT, program.hint), program.classes)
        return program

    def _get_ready(self, source: Source, held_out: Source | None, settings: Settings) -> None:
        """Check all data, and compile all that will be needed, before anything is changed."""
        program = self._prepared(source, _NAMES)
        if held_out is not None:
            self._prepared(held_out, _VALIDATION_NAMES)
            program.evaluation  # noqa: B018  # a property that compiles when it is first read
        watched = bool(Plan(settings, source, held_out).watching())
        program.step_for(watched=watched, checked=settings.terminate_on_nan)
        self._validates, self._callbacks = held_out is not None, settings.callbacks

    def _built(self, x: Placeholder, targets: RowType | None) -> Program:
        self._program = Program(
            self.model, self.optimizer, self._loss, self._metrics, x, targets, self._options
        )
        return self._program

    # Resuming.

    def _resumed(self, resume: bool | PathLike, source: Source) -> bool:
        """Begin a run, or go on with one; tell which.

        Raises:
            GraphError: there is none to go on with.
            CheckpointError: the checkpoint does not fit, or the data are not those of its run.
        """
        saved = None
        if not isinstance(resume, bool) and Path(resume).exists():
            saved = read_training(self, resume)
        run = saved.run if saved is not None else self.run
        if resume is False or (saved is None and not isinstance(resume, bool)):
            self.run = Run(len(self.history), source.identity)
            return False
        if run is None:
            raise GraphError(f"there is no run to go on with\n  at {user_location()}")
        require_same_batches(run.identity, source.identity)
        if saved is not None:
            apply_training(self, saved)
            for key, callback in self._keyed_callbacks():
                callback.load_state(saved.callbacks.get(key, {}))
        return True

    def _keyed_callbacks(self) -> list[tuple[str, Callback]]:
        return [(f"{i}.{type(c).__name__}", c) for i, c in enumerate(self._callbacks)]
