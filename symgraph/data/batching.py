"""Running through data in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.data.arrays import Array, Generator, Source, generator, rows_of
from symgraph.errors import DataError


class Batches:
    """Gives the rows of arrays in batches, from the first one each time that it is iterated over.

    Attributes:
        arrays: what is cut.
        size: rows in a batch; the last one may be shorter.
    """

    def __init__(self, arrays: tuple[Any, ...], size: int, rng: Source | None) -> None:
        """Check the arguments; `batches` is the way here."""
        self.arrays, self._rows = rows_of(arrays)
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise DataError(f"the size of a batch is a positive int, not {size!r}")
        self.size = int(size)
        self._generator: Generator | None = None if rng is None else generator(rng)

    def __len__(self) -> int:
        return -(-self._rows // self.size)

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        order = None if self._generator is None else self._generator.permutation(self._rows)
        for start in range(0, self._rows, self.size):
            rows = slice(start, start + self.size)
            chosen = rows if order is None else order[rows]
            yield tuple(array[chosen] for array in self.arrays)


def batches(*arrays: Any, size: int, rng: Source | None = None) -> Batches:
    """Cut arrays in batches of rows.

    Args:
        arrays: inputs, labels and what else there is, of equally many rows.
        size: rows in a batch; the last one is shorter where they do not come out even.
        rng: a seed or a generator that shuffles the rows anew for each pass; None for no shuffling.

    Returns:
        What gives tuples of arrays, one entry for each of `arrays`; its `len` is the number of
        batches. Unshuffled batches are views.

    Raises:
        DataError: the numbers of rows differ, or `size` is not positive.

    Example:
        >>> [part.tolist() for (part,) in batches(np.arange(5), size=2)]
        [[0, 1], [2, 3], [4]]
    """
    return Batches(arrays, size, rng)
