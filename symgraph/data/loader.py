"""Data sets in batches, ready to be fed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.data.arrays import Array, Source, generator, rows_of
from symgraph.data.collate import SteadyDtypes, stack
from symgraph.data.dataset import Dataset
from symgraph.errors import DataError
from symgraph.residence import device_name

if TYPE_CHECKING:
    from symgraph.data.prefetch import Prefetched
    from symgraph.data.uploaded import Uploaded
    from symgraph.runtime.cuda.uploads import Uploader

    Pass = Generator[Any, None, None] | Prefetched[Any] | Uploaded

Rows = slice | Array

AHEAD_OF_DEVICE = 2
"""Batches on their way to a device: one that arrives, and one that is put together."""


class DataLoader:
    """Gives the samples of a data set in batches.

    Each iteration is a pass of its own over all samples, from the first batch on, whatever became
    of earlier ones. Batches are arrays in their own contiguous memory, of the same dtypes
    throughout. Data sets that are indexed as `Dataset` does it, and arrays, are read a batch at a
    time, without Python for each sample.

    The order of the samples is drawn when a pass begins, by the caller's thread, so that it is the
    same with and without `prefetch`. With `prefetch`, a pass that is broken off may have read some
    more samples, and so have drawn more from the generators of random transforms.

    Args:
        dataset: anything with `__len__` and `__getitem__`; an array; or a tuple of arrays of
            equally many rows.
        batch_size: samples in a batch; the last one may have fewer.
        shuffle: whether each pass has an order of its own.
        rng: what orders are drawn from. With an int, the order of a pass depends only on that int
            and on `epoch`; a generator is drawn from for each pass; None stands for NumPy's global
            generator, as in DeZero, so that `np.random.seed` decides.
        drop_last: leave out a last batch that is shorter.
        prefetch: how many batches a thread prepares ahead; 0 for no thread. By default 0, and 2
            where batches go to a GPU.
        device: "cuda", or "cuda:1" and so on: batches are CuPy arrays there, on their way while the
            caller works on those before. What their memory was used for is over before it is used
            again, provided that it was used by compiled functions or on CuPy's current stream.

    Attributes:
        epoch: the number of passes that were begun. Set it to go on where another run ended.

    Raises:
        DataError: an argument has no meaning, there are no samples, or not enough for one batch.
        DeviceError: the device is not there, or cannot be used.

    Example:
        >>> loader = DataLoader(np.arange(10), 4, shuffle=False)
        >>> [batch.tolist() for batch in loader]
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        >>> len(loader)
        3
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = True,
        *,
        rng: Source | None = None,
        drop_last: bool = False,
        prefetch: int | None = None,
        device: str = "cpu",
    ) -> None:
        """Check and keep the arguments; no sample is read."""
        self.dataset = rows_of(dataset)[0] if isinstance(dataset, tuple) else dataset
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise DataError(f"a data set has __len__ and __getitem__, unlike {dataset!r}")
        self.batch_size = _natural("a batch size", batch_size, 1)
        self.device = device_name(device)
        ahead = 0 if self.device == "cpu" else AHEAD_OF_DEVICE
        self.prefetch = ahead if prefetch is None else _natural("prefetch", prefetch, 0)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.epoch = 0
        self._seed = rng if isinstance(rng, int | np.integer) else None
        self._generator = None if rng is None else generator(rng)
        self._own_pass: Pass | None = None
        self._checked_length()
        self._uploader = None if self.device == "cpu" else _uploader(self.device)

    @property
    def data_size(self) -> int:
        """How many samples there are."""
        return len(self.dataset[0] if isinstance(self.dataset, tuple) else self.dataset)

    @property
    def max_iter(self) -> int:
        """How many batches a pass has."""
        if self.drop_last:
            return self.data_size // self.batch_size
        return -(-self.data_size // self.batch_size)

    def __len__(self) -> int:
        return self.max_iter

    def __iter__(self) -> Pass:
        """Begin a pass.

        Returns:
            An iterator over batches, each as a sample is but with a first axis more: for a
            `Dataset` a tuple of data and labels. Its `close()` ends it early.
        """
        size, count = self._checked_length(), self.max_iter
        rows = self._rows(size)
        self.epoch += 1
        read = _reader(self.dataset)

        def begin(first: int) -> Generator[Any, None, None]:
            return _batches(read, rows, first, count)

        if self._uploader is not None:
            from symgraph.data.uploaded import Uploaded

            return Uploaded(begin, self.prefetch, self._uploader)
        if not self.prefetch:
            return begin(0)
        from symgraph.data.prefetch import Prefetched

        return Prefetched(begin, self.prefetch)

    def __next__(self) -> Any:
        """Return the next batch of this loader's own pass, which is begun when there is none."""
        if self._own_pass is None:
            self._own_pass = iter(self)
        try:
            return next(self._own_pass)
        except StopIteration:
            self.reset()
            raise

    def reset(self) -> None:
        """End the pass that `next` goes through, so that the next one begins anew."""
        own, self._own_pass = self._own_pass, None
        if own is not None:
            own.close()

    def _rows(self, size: int) -> Callable[[int], Rows]:
        """Return what says which samples make up a batch."""
        length = self.batch_size
        if not self.shuffle:
            return lambda number: slice(number * length, min((number + 1) * length, size))
        order = self._permutation(size)
        return lambda number: order[number * length : (number + 1) * length]

    def _permutation(self, size: int) -> Array:
        if self._seed is not None:
            return np.random.default_rng([int(self._seed), self.epoch]).permutation(size)
        if self._generator is not None:
            return np.asarray(self._generator.permutation(size))
        return np.random.permutation(size)

    def _checked_length(self) -> int:
        size = self.data_size
        if size == 0:
            raise DataError("the data set is empty")
        if self.max_iter == 0:
            raise DataError(
                f"{size} samples do not fill one batch of {self.batch_size}, and drop_last leaves "
                "out what does not"
            )
        return size


class SeqDataLoader(DataLoader):
    """Gives the samples of a sequence in batches whose columns go on in time.

    The sequence is cut in `batch_size` parts, and a batch has one sample of each, so that each row
    of a batch follows the same row of the batch before. A pass has as many batches as with
    `DataLoader`; where the parts do not come out even, the last ones go on at the start.

    Args:
        dataset: as in `DataLoader`.
        batch_size: samples in a batch.
        prefetch: as in `DataLoader`.
        device: as in `DataLoader`.

    Raises:
        DataError: an argument has no meaning, or there are fewer samples than rows in a batch.
        DeviceError: the device is not there, or cannot be used.

    Example:
        >>> [batch.tolist() for batch in SeqDataLoader(np.arange(10), 3)]
        [[0, 3, 6], [1, 4, 7], [2, 5, 8], [3, 6, 9]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        prefetch: int | None = None,
        device: str = "cpu",
    ) -> None:
        """Check and keep the arguments; no sample is read."""
        super().__init__(dataset, batch_size, shuffle=False, prefetch=prefetch, device=device)

    def _checked_length(self) -> int:
        size = super()._checked_length()
        if size < self.batch_size:
            raise DataError(
                f"{size} samples cannot be cut in {self.batch_size} parts that follow in time"
            )
        return size

    def _rows(self, size: int) -> Callable[[int], Rows]:
        starts = np.arange(self.batch_size) * (size // self.batch_size)
        return lambda number: (starts + number) % size


def _uploader(device: str) -> Uploader:
    from symgraph.runtime.cuda.device import open_device
    from symgraph.runtime.cuda.uploads import Uploader

    return Uploader(open_device(device))


def _natural(what: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise DataError(f"{what} is an int of at least {least}, not {value!r}")
    return int(value)


def _batches(
    read: Callable[[Rows], Any], rows: Callable[[int], Rows], first: int, count: int
) -> Generator[Any, None, None]:
    dtypes = SteadyDtypes()
    for number in range(first, count):
        batch = read(rows(number))
        dtypes.check(batch)
        yield batch


def _reader(dataset: Any) -> Callable[[Rows], Any]:
    """Return what reads several samples at once, as arrays of their own memory."""
    if isinstance(dataset, np.ndarray):
        return lambda rows: _rows_of_array(dataset, rows)
    if isinstance(dataset, tuple):
        return lambda rows: tuple(_rows_of_array(array, rows) for array in dataset)
    if isinstance(dataset, Dataset) and dataset.is_indexed_here:
        return dataset.__getitem__
    return lambda rows: _one_by_one(dataset, rows)


def _rows_of_array(array: Array, rows: Rows) -> Array:
    return np.array(array[rows], order="C") if isinstance(rows, slice) else array.take(rows, axis=0)


def _one_by_one(dataset: Any, rows: Rows) -> Any:
    numbers = list(range(rows.start, rows.stop)) if isinstance(rows, slice) else rows.tolist()
    return stack([dataset[number] for number in numbers], numbers)
