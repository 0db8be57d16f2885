"""Batches that are brought to a GPU ahead of their use."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from symgraph.data.prefetch import Prefetched
from symgraph.errors import DataError
from symgraph.runtime.cuda.uploads import Upload, Uploader
from symgraph.types import DTYPES

Pack = tuple[Any, Upload]


class Uploaded(Iterator[Any]):
    """Iterates over batches as CuPy arrays, in the order in which they come.

    Args:
        begin: gives an iterator over the batches of the host from the one with a number on.
        ahead: how many a thread prepares ahead; 0 for no thread.
        uploader: what copies them.

    Raises:
        DataError: a batch holds what kernels cannot be fed.
        DeviceError: the process is a child by fork.
        DeviceMemoryError: the device has no room.
    """

    def __init__(
        self, begin: Callable[[int], Iterator[Any]], ahead: int, uploader: Uploader
    ) -> None:
        """Start the thread."""
        self._uploader = uploader

        def upload(first: int) -> Generator[Pack, None, None]:
            return _uploads(begin(first), uploader)

        uploader.recycle()
        self._packs = Prefetched(upload, ahead) if ahead else upload(0)

    def __iter__(self) -> Uploaded:
        return self

    def __next__(self) -> Any:
        self._uploader.recycle()
        structure, upload = next(self._packs)
        return _nested(structure, iter(self._uploader.receive(upload)))

    def close(self) -> None:
        """End the thread; there are no further batches."""
        self._packs.close()

    def __enter__(self) -> Uploaded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _uploads(batches: Iterator[Any], uploader: Uploader) -> Generator[Pack, None, None]:
    """Upload each batch when it is asked for; those on their way arrive before this ends.

    A pass that comes to its end leaves its memory for the next one, any other gives it back.
    """
    try:
        for batch in batches:
            leaves: list[Any] = []
            structure = _flattened(batch, leaves)
            yield structure, uploader.upload(leaves)
    except BaseException:
        uploader.settle()
        uploader.drop()
        raise
    uploader.settle()


def _flattened(batch: Any, leaves: list[Any]) -> Any:
    """Append the arrays of a batch to `leaves` and return how they are nested."""
    if isinstance(batch, tuple):
        return tuple(_flattened(part, leaves) for part in batch)
    if batch is None:
        return None
    array = np.asarray(batch)
    if array.dtype.name not in DTYPES:
        raise DataError(
            f"a batch of dtype {array.dtype} cannot go to a device: kernels take "
            f"{', '.join(DTYPES)}; convert it with .astype"
        )
    leaves.append(array)
    return _LEAF


_LEAF = object()


def _nested(structure: Any, arrays: Iterator[Any]) -> Any:
    if isinstance(structure, tuple):
        return tuple(_nested(part, arrays) for part in structure)
    return next(arrays) if structure is _LEAF else None
