"""Putting samples together to batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.data.arrays import Array
from symgraph.errors import DataError

# Truth values, integers, floats: what kernels can be fed, or made so with a cast.
_KINDS = "biuf"


def stack(samples: Sequence[Any], rows: Sequence[int]) -> Any:
    """Put samples together along a new first axis.

    Args:
        samples: at least one; each a number, an array, None, or a tuple of such.
        rows: where each came from, for messages.

    Returns:
        A fresh array; None where the samples are None; a tuple where they are tuples.

    Raises:
        DataError: they differ in structure, shape or dtype, or are no numbers.
    """
    if not samples:
        raise DataError("there are no samples to put together")
    first = samples[0]
    if isinstance(first, tuple):
        _check_all(samples, rows, lambda sample: isinstance(sample, tuple), "is no tuple")
        _check_all(
            samples, rows, lambda sample: len(sample) == len(first), f"has not {len(first)} parts"
        )
        return tuple(stack([sample[k] for sample in samples], rows) for k in range(len(first)))
    if first is None:
        _check_all(samples, rows, lambda sample: sample is None, "is not None")
        return None
    return _stack_arrays([_as_array(*pair) for pair in zip(samples, rows, strict=True)], rows)


def _check_all(samples: Sequence[Any], rows: Sequence[int], test: Any, failing: str) -> None:
    for sample, row in zip(samples, rows, strict=True):
        if not test(sample):
            raise DataError(f"sample {row} {failing}, unlike sample {rows[0]}")


def _as_array(sample: Any, row: int) -> Array:
    try:
        array = np.asarray(sample)
    except ValueError as error:
        raise DataError(f"sample {row} is no array: {error}") from None
    if array.dtype.kind not in _KINDS:
        raise DataError(f"sample {row} holds no numbers, but {type(sample).__name__}")
    return array


def _stack_arrays(arrays: Sequence[Array], rows: Sequence[int]) -> Array:
    first = arrays[0]
    for array, row in zip(arrays, rows, strict=True):
        if array.shape != first.shape or array.dtype != first.dtype:
            raise DataError(
                f"sample {row} is {array.dtype} of shape {array.shape}, "
                f"but sample {rows[0]} is {first.dtype} of shape {first.shape}"
            )
    return np.stack(arrays)


class SteadyDtypes:
    """Watches that batches do not change their dtypes, for each dtype is compiled apart."""

    def __init__(self) -> None:
        """Start with the first batch."""
        self._first: tuple[Any, ...] | None = None

    def check(self, batch: Any) -> None:
        """Compare a batch with the first one.

        Raises:
            DataError: a dtype differs.
        """
        dtypes = tuple(None if part is None else part.dtype for part in _leaves(batch))
        if self._first is None:
            self._first = dtypes
        elif dtypes != self._first:
            shown = [", ".join(map(str, each)) for each in (self._first, dtypes)]
            raise DataError(
                f"the first batch is of dtype {shown[0]}, but a later one of {shown[1]}"
            )


def _leaves(batch: Any) -> list[Any]:
    if not isinstance(batch, tuple):
        return [batch]
    return [leaf for part in batch for leaf in _leaves(part)]
