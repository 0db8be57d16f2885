"""Embedding: a row of weights for each id."""

from __future__ import annotations

from typing import Any

from symgraph.layers.initial import Fans, Initialiser, Seed, normal
from symgraph.layers.weighted import Weighted, size_checked
from symgraph.leaves import Parameter
from symgraph.node import Node, Operand
from symgraph.ops.embedding import embedding


class Embedding(Weighted):
    """Looks up the rows of W that ids name, see `sg.nn.embedding`.

    W (ids, size) starts as normal numbers.

    Args:
        count: how many ids there are: 0 to count - 1.
        size: extent of the rows.
        dtype: float32 or float64, of W.
        seed: as for `Linear`.
        initial: draws W; one of `symgraph.layers.initial`.
        name: begins the parameter's name; a layer inside another is named by its attribute.

    Attributes:
        W: the rows.

    Raises:
        GraphError: a size is no positive int, or the seed is none.
        DTypeError: the dtype is no float.

    Example:
        >>> Embedding(100, 8)(Placeholder("ids", ("N", "T"), "int64"))
        <embedding: float32[N, T, 8]>
    """

    made = ("W",)
    W: Parameter

    def __init__(
        self,
        count: int,
        size: int,
        *,
        dtype: Any = "float32",
        seed: Seed = None,
        initial: Initialiser = normal(),  # noqa: B008  # a function without state
        name: str | None = None,
    ) -> None:
        """Check the arguments; W is made when it is asked for."""
        self.count, self.size = size_checked("count", count), size_checked("size", size)
        self.initial = initial
        super().__init__(dtype, seed, name)

    def forward(self, ids: Operand) -> Node:
        """Build the rows of ids.

        Args:
            ids: integers of any shape, from 0 to count - 1.

        Returns:
            A node of shape (*ids.shape, size).

        Raises:
            DTypeError: `ids` are no integers.
            BoundsError: when run, an id is out of range.
        """
        return embedding(ids, self.W)

    def _make(self) -> None:
        shape = (self.count, self.size)
        self.W = self._parameter("W", shape, self.initial, Fans(*shape))


EmbedID = Embedding
"""The name that DeZero gives to `Embedding`."""
