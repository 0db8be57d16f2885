"""What the functions of this folder ask of arrays and generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.errors import DataError

Array = np.ndarray[Any, Any]
Source = int | np.random.Generator | np.random.RandomState
Generator = np.random.Generator | np.random.RandomState


def rows_of(arrays: Sequence[Any]) -> tuple[tuple[Array, ...], int]:
    """Return the arrays, and the number of rows that they all have.

    Raises:
        DataError: there are none, one has no rows, or the numbers differ.
    """
    found = tuple(np.asarray(array) for array in arrays)
    if not found:
        raise DataError("there are no arrays to cut")
    if any(array.ndim == 0 for array in found):
        raise DataError("a single number has no rows to choose from")
    counts = [len(array) for array in found]
    if len(set(counts)) > 1:
        raise DataError(f"the arrays have different numbers of rows: {', '.join(map(str, counts))}")
    return found, counts[0]


def generator(source: Source) -> Generator:
    """Return the generator that `source` is or seeds.

    Raises:
        DataError: it is neither a generator of NumPy nor a non-negative int.
    """
    if isinstance(source, np.random.Generator | np.random.RandomState):
        return source
    if isinstance(source, int | np.integer) and not isinstance(source, bool) and source >= 0:
        return np.random.default_rng(int(source))
    raise DataError(f"a seed is a non-negative int or a NumPy generator, not {source!r}")
