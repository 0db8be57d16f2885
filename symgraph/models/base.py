"""What all models share: they can be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgraph.errors import GraphError
from symgraph.layers.base import Layer
from symgraph.location import user_location
from symgraph.models.trainable import Trainable
from symgraph.structure import flatten

if TYPE_CHECKING:
    import pydot


class Model(Trainable, Layer):
    """A layer that is used by itself; see `Layer`, and `Trainable` for how it is trained."""

    _latest: Any = None

    def __call__(self, *operands: Any) -> Any:
        """Build the model's output, as every layer does."""
        self._latest = super().__call__(*operands)
        return self._latest

    def plot(
        self, path: str | Path | None = None, *operands: Any, verbose: bool = True
    ) -> pydot.Dot:
        """Draw the graph that the model builds; see `sg.to_dot`.

        Args:
            path: where to write: a `.dot`, or a `.png`, `.svg` or `.pdf` if Graphviz is installed.
                None to write nothing.
            operands: what to call the model on; by default its latest output is drawn.
            verbose: show dtypes and shapes.

        Returns:
            The drawing.

        Raises:
            GraphError: the model was not called yet and there are no operands, or `path` has
                another suffix.

        Example:
            >>> model = MLP((10, 1), in_size=4)
            >>> model.plot("model.dot", Placeholder("x", ("N", 4), "float32"))
        """
        from symgraph.pictures.graphviz import to_dot

        if not operands and self._latest is None:
            raise GraphError(
                f"{self!r} was not called yet, so there is nothing to draw: call it first, or give "
                f"plot what to call it on\n  at {user_location()}"
            )
        output = self(*operands) if operands else self._latest
        nodes, _ = flatten(output)
        return to_dot(nodes, path, verbose=verbose)
