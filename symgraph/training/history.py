"""What training showed, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgraph.errors import GraphError, MissingPackageError
from symgraph.location import user_location
from symgraph.serialise.atomic import write_atomically
from symgraph.training.names import called

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALIDATION = "val_"
"""Begins the names of what was measured on the validation data."""


class History:
    """Loss and metrics of each epoch, as means over the epoch's rows.

    Those of the training data are means of what the steps gave, while the parameters changed. Names
    that begin with `val_` belong to the validation data, after the epoch.

    Args:
        rows: for each epoch its numbers by name.

    Example:
        >>> history = model.fit(x, y, epochs=5, validation_data=(x_test, y_test))
        >>> history["val_loss"][-1]
        0.0812
        >>> history.plot("history.png")
    """

    def __init__(self, rows: list[dict[str, float]] | None = None) -> None:
        """Begin with the given epochs."""
        self.rows = rows or []

    @property
    def names(self) -> list[str]:
        """Return the names of all numbers, in the order in which they came up."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Mapping[str, float]]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> list[float]:
        """Return one number for each epoch, NaN where there was none.

        Raises:
            GraphError: there is none of that name; the message suggests one.
        """
        if name not in self.names:
            called("number in the history", name, {known: known for known in self.names})
        return [row.get(name, math.nan) for row in self.rows]

    def __repr__(self) -> str:
        if not self.rows:
            return "<history of no epochs>"
        last = ", ".join(f"{name} {value:.4g}" for name, value in self.rows[-1].items())
        return f"<history of {len(self)} epochs: {last}>"

    def plot(self, path: str | Path) -> Any:
        """Draw the curves: one panel for the loss and one for each metric.

        Args:
            path: where to write, with the ending of an image format such as `.png` or `.svg`.

        Returns:
            The figure, of matplotlib.

        Raises:
            GraphError: there are no epochs, or the ending is unknown.
            MissingPackageError: matplotlib is not installed.
            OSError: the file cannot be written.

        Example:
            >>> history.plot("history.png")
        """
        if not self.rows:
            raise GraphError(f"there is no epoch to draw yet\n  at {user_location()}")
        figure = _figure(self)
        suffix = Path(path).suffix.lower().removeprefix(".")
        known = figure.canvas.get_supported_filetypes()
        if suffix not in known:
            raise GraphError(
                f"pictures end in one of {', '.join(f'.{name}' for name in known)}, unlike "
                f"{str(path)!r}\n  at {user_location()}"
            )
        write_atomically(path, lambda file: figure.savefig(file, format=suffix, dpi=120))
        return figure


def _figure(history: History) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError(
            "pictures of the history need matplotlib, which is not installed: "
            "pip install 'symgraph[examples]'"
        ) from error

    watched = [name for name in history.names if not name.startswith(VALIDATION)]
    figure = Figure(figsize=(5.5 * len(watched), 4.2), layout="constrained")
    for number, name in enumerate(watched):
        _draw(figure.add_subplot(1, len(watched), number + 1), history, name)
    return figure


def _draw(axes: Axes, history: History, name: str) -> None:
    """Draw one number, on the training and on the validation data."""
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(history) + 1)
    style: dict[str, Any] = {"linewidth": 2, "marker": "." if len(epochs) <= 30 else ""}
    for prefix, color, label in (("", "C0", "training"), (VALIDATION, "C1", "validation")):
        if prefix + name in history.names:
            values = history[prefix + name]
            axes.plot(
                epochs, values, color=color, label=f"{label} (last: {values[-1]:.4g})", **style
            )
    axes.set(xlabel="epoch", title=name.replace("_", " "))
    axes.set_xlim(0.5, len(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend()
