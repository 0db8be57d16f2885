"""Cutting data in a part to train on and a part to test on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.data.arrays import Array, Source, generator, rows_of
from symgraph.errors import DataError


def train_test_split(*arrays: Any, test: float = 0.2, seed: Source = 0) -> list[Array]:
    """Divide rows at random in two parts, the same rows of every array.

    Args:
        arrays: as many as wanted, of equally many rows.
        test: share of the rows that are held out, in (0, 1); their number is rounded up.
        seed: which division; the same rows for the same int.

    Returns:
        For each array its two parts: x_train, x_test, y_train, y_test, ...

    Raises:
        DataError: the numbers of rows differ, or one part would be empty.

    Example:
        >>> train, held_out = train_test_split(np.arange(10), test=0.2)
        >>> len(train), len(held_out)
        (8, 2)
    """
    found, count = rows_of(arrays)
    if isinstance(test, bool) or not isinstance(test, int | float) or not 0 < test < 1:
        raise DataError(f"test is a share of the rows between 0 and 1, not {test!r}")
    held_out = math.ceil(count * test)
    if held_out >= count:
        raise DataError(f"{count} rows are too few to hold {test:g} of them out")
    order = np.asarray(generator(seed).permutation(count))
    parts = order[held_out:], order[:held_out]
    return [array[part] for array in found for part in parts]
