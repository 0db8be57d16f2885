"""What models can do besides building graph: be trained, measured, saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, Unpack

from symgraph.errors import GraphError
from symgraph.location import user_location

if TYPE_CHECKING:
    import numpy as np

    from symgraph.leaves import Placeholder
    from symgraph.optim.base import Optimizer
    from symgraph.placement import Precision
    from symgraph.serialise.weights import Loaded
    from symgraph.training.history import History
    from symgraph.training.losses import LossFunction
    from symgraph.training.options import FitOptions
    from symgraph.training.trainer import Trainer


class Trainable:
    """Gives a layer the methods of `Trainer`."""

    _trainer: Trainer | None = None

    def compile(
        self,
        optimizer: str | Optimizer,
        loss: str | LossFunction,
        metrics: Any = (),
        *,
        inputs: Placeholder | tuple[int, ...] | None = None,
        threads: int | None = None,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> Self:
        """Say how the model is trained; a second call begins a new history.

        Args:
            optimizer: one of `sg.optim`, or its name.
            loss: a function of output and targets, or its name.
            metrics: functions of output and targets, or names.
            inputs: a placeholder, or the shape of a row, where the first layer does not know it.
            threads: how many threads may work on one step; None for all.
            device: where to compute: "cpu", "cuda", "cuda:1" and so on.
            precision: of matrix products and convolutions on a GPU, as for `sg.compile`.

        Returns:
            The model.

        Raises:
            GraphError: there is no such optimiser, loss or metric.
            DeviceError: the device is not there, or cannot be used.
            SymGraphError: of other kinds, where the parts do not fit together.

        Example:
            >>> model = Sequential(Dense(512, "relu", in_size=784), Dense(10, "softmax"))
            >>> model.compile("rmsprop", "categorical_crossentropy", ["accuracy"])
            >>> model.fit(images, one_hot_labels, epochs=5, batch_size=128)
        """
        from symgraph.training.trainer import Trainer

        self._trainer = Trainer(
            self,  # type: ignore[arg-type]  # the class that has these methods is a layer
            optimizer,
            loss,
            metrics,
            inputs=inputs,
            threads=threads,
            device=device,
            precision=precision,
        )
        return self

    @property
    def trainer(self) -> Trainer:
        """Return what `compile` made.

        Raises:
            GraphError: it was not called.
        """
        if self._trainer is None:
            raise GraphError(
                f"{self!r} does not know yet how it is trained: call compile(optimizer, loss) "
                f"first\n  at {user_location()}"
            )
        return self._trainer

    @property
    def history(self) -> History:
        """Return loss and metrics of all epochs since `compile`, also after Ctrl-C."""
        return self.trainer.history

    def fit(self, x: Any, y: Any = None, **options: Unpack[FitOptions]) -> History:
        """Train; see `Trainer.fit` and, for the options, `FitOptions`."""
        return self.trainer.fit(x, y, **options)

    def evaluate(
        self, x: Any, y: Any = None, *, batch_size: int = 128, verbose: int = 0
    ) -> dict[str, float]:
        """Measure loss and metrics; see `Trainer.evaluate`."""
        return self.trainer.evaluate(x, y, batch_size=batch_size, verbose=verbose)

    def predict(self, x: Any, *, batch_size: int = 128) -> np.ndarray[Any, Any]:
        """Compute the output; see `Trainer.predict`."""
        return self.trainer.predict(x, batch_size=batch_size)

    def save_weights(self, path: Any) -> None:
        """Write parameters and states to a `.npz` or `.safetensors`; see `sg.save`."""
        from symgraph.serialise.weights import save

        save(self, path)

    def load_weights(self, source: Any, *, strict: bool = True, convert: bool = False) -> Loaded:
        """Overwrite parameters and states with those of a file; see `sg.load`."""
        from symgraph.serialise.weights import load

        return load(self, source, strict=strict, convert=convert)

    def save_checkpoint(self, path: Any) -> None:
        """Write the whole run; see `Trainer.save_checkpoint`."""
        self.trainer.save_checkpoint(path)

    def load_checkpoint(self, path: Any) -> None:
        """Take a whole run back; see `Trainer.load_checkpoint`."""
        self.trainer.load_checkpoint(path)
