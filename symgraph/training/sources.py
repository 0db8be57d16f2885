"""Where batches come from: arrays, data sets and loaders."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from symgraph.data.dataset import Dataset
from symgraph.data.loader import DataLoader
from symgraph.data.prefetch import Prefetched
from symgraph.errors import DataError
from symgraph.location import user_location
from symgraph.node import Node
from symgraph.runtime.cuda.arrays import on_gpu
from symgraph.training.device_rows import DeviceRows
from symgraph.training.rows import Array, Rows, RowType, check_labels, row_type

if TYPE_CHECKING:
    from symgraph.runtime.cuda.uploads import Uploader

Batch = tuple[Array, ...]
PREFETCHED_BYTES = 1 << 20
"""From this size of a batch on, a thread prepares batches ahead: smaller ones it would delay."""
AHEAD = 2


class Closable(Protocol):
    """An iterator over batches that can be ended early."""

    def __iter__(self) -> Iterator[Batch]: ...

    def close(self) -> None:
        """End it."""


class Source(Protocol):
    """Gives the batches of an epoch.

    Attributes:
        types: of the rows of inputs and, if there are any, of targets.
        identity: what must be the same for another run to see the same batches.
    """

    types: tuple[RowType, ...]
    identity: dict[str, Any]

    def __len__(self) -> int: ...

    def fit(self, placeholders: tuple[Node, ...], hints: tuple[str, ...], classes: Any) -> None:
        """Check against the placeholders, see `Rows.fit`."""

    def batches(self, epoch: int, first: int) -> Closable:
        """Begin to go through the batches of an epoch, from number `first` on."""


class ArraySource:
    """Batches of arrays.

    Args:
        rows: inputs and targets.
        size: rows in a batch.
        shuffle: whether each epoch has an order of its own.
        seed: what orders are drawn from, together with the number of the epoch.
        device: where large batches are brought ahead.
    """

    def __init__(
        self, rows: Rows, size: int, shuffle: bool, seed: int, device: str = "cpu"
    ) -> None:
        """Keep the arguments."""
        self._rows, self._size, self._shuffle, self._seed = rows, size, shuffle, seed
        self._device = device
        self.types = tuple(map(row_type, rows.arrays))
        self.identity = {"rows": len(rows), "batch_size": size, "shuffle": shuffle, "seed": seed}

    def __len__(self) -> int:
        return -(-len(self._rows) // self._size)

    def fit(self, placeholders: tuple[Node, ...], hints: tuple[str, ...], classes: Any) -> None:
        """Check the arrays against the placeholders, and labels against the classes."""
        self._rows.fit(placeholders, hints)
        if classes is not None and len(self._rows.arrays) > 1:
            check_labels(self._rows.names[1], self._rows.arrays[1], classes)

    def batches(self, epoch: int, first: int) -> Closable:
        """Begin an epoch."""
        order = None
        if self._shuffle:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._rows))

        def begin(number: int) -> Iterator[Batch]:
            return self._rows.batches(self._size, order, first + number)

        if self._rows.row_bytes * self._size < PREFETCHED_BYTES:
            return _generator(begin)
        if self._device == "cpu":
            return Prefetched(begin, AHEAD)
        from symgraph.data.uploaded import Uploaded

        return Uploaded(begin, AHEAD, self._uploader)

    @cached_property
    def _uploader(self) -> Uploader:
        from symgraph.runtime.cuda.device import open_device
        from symgraph.runtime.cuda.uploads import Uploader

        return Uploader(open_device(self._device))


class LoaderSource:
    """Batches of a loader.

    Args:
        loader: gives pairs of inputs and targets, or inputs alone, from the start at each `iter`.
        names: what messages call inputs and targets.

    Raises:
        DataError: it gives nothing, or what is no batch.
    """

    def __init__(self, loader: Iterable[Any], names: tuple[str, str]) -> None:
        """Look at the first batch."""
        self._loader, self._names = loader, names
        self._placeholders: tuple[Node, ...] = ()
        self._hints: tuple[str, ...] = ()
        self._classes: Any = None
        self.types = tuple(map(row_type, self._first().arrays))
        self.identity = {"batches": len(self)}

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]  # `source_of` has asked for it

    def fit(self, placeholders: tuple[Node, ...], hints: tuple[str, ...], classes: Any) -> None:
        """Check the first batch now, and each when it comes."""
        self._placeholders, self._hints, self._classes = placeholders, hints, classes
        self._first()

    def batches(self, epoch: int, first: int) -> Closable:
        """Begin an epoch."""
        return _generator(lambda number: self._checked(epoch, first))

    def _checked(self, epoch: int, first: int) -> Iterator[Batch]:
        if isinstance(self._loader, DataLoader):
            self._loader.epoch = epoch
        batches = iter(self._loader)
        try:
            for number, batch in enumerate(batches):
                if number >= first:
                    rows = self._rows(batch)
                    yield from rows.batches(max(len(rows), 1))
        finally:
            # One that a thread fills is to end it now.
            if hasattr(batches, "close"):
                batches.close()

    def _first(self) -> Rows:
        before = getattr(self._loader, "epoch", 0)
        with closing(_generator(lambda number: iter(self._loader))) as batches:
            batch: Any = next(batches, None)
        if isinstance(self._loader, DataLoader):
            self._loader.epoch = before
        if batch is None:
            raise DataError(f"{self._names[0]} gives no batches\n  at {user_location()}")
        return self._rows(batch)

    def _rows(self, batch: Any) -> Rows:
        given = batch if isinstance(batch, tuple | list) else (batch, None)
        if len(given) != 2:
            raise DataError(
                f"{self._names[0]} gives batches of {len(given)} arrays; a pair of inputs and "
                f"targets is needed\n  at {user_location()}"
            )
        kind = DeviceRows if any(map(on_gpu, given)) else Rows
        rows = kind(given[0], given[1], self._names)
        if self._placeholders:
            rows.fit(self._placeholders, self._hints)
        if self._classes is not None and len(rows.arrays) > 1 and kind is Rows:
            check_labels(self._names[1], rows.arrays[1], self._classes)
        return rows


def _generator(begin: Callable[[int], Iterator[Batch]]) -> Generator[Batch, None, None]:
    yield from begin(0)


def source_of(
    x: Any,
    y: Any,
    size: int,
    shuffle: bool,
    seed: int,
    names: tuple[str, str] = ("x", "y"),
    device: str = "cpu",
) -> Source:
    """Return what gives the batches of what a user gave.

    Args:
        x: inputs: an array of rows, a `Dataset`, or a loader, which has its own batches and order.
        y: targets, for an array of inputs.
        size: rows in a batch.
        shuffle: whether each epoch has an order of its own.
        seed: what orders are drawn from.
        names: what messages call inputs and targets.
        device: where they are used.

    Raises:
        DataError: it is none of these, or empty, or the targets do not belong to it.
    """
    if _gives_batches(x):
        if y is not None:
            raise DataError(
                f"{names[0]} is a {type(x).__name__}, which gives the targets too; leave "
                f"{names[1]} out\n  at {user_location()}"
            )
        if not hasattr(x, "__len__") or iter(x) is x:
            raise DataError(
                f"{names[0]} must know its number of batches and begin anew at each pass, unlike "
                f"{x!r}\n  at {user_location()}"
            )
        whole = DataLoader(x, size, shuffle, rng=seed) if isinstance(x, Dataset) else x
        return LoaderSource(whole, names)
    rows = Rows(x, y, names)
    if not len(rows):
        raise DataError(f"{names[0]} has no rows\n  at {user_location()}")
    return ArraySource(rows, size, shuffle, seed, device)


def _gives_batches(x: Any) -> bool:
    """Tell a data set or a loader from an array."""
    loads = isinstance(x, Dataset) or (not hasattr(x, "__getitem__") and hasattr(x, "__iter__"))
    return loads and not isinstance(x, Node)


def split_rows(x: Any, y: Any, share: float) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Divide arrays in their first rows and the last ones, as `validation_split` asks.

    Args:
        x: inputs, an array of rows.
        y: targets, as many rows, or None.
        share: of the rows to hold out, in (0, 1); the number of the others is rounded down.

    Returns:
        Inputs and targets to train on, and those that are held out.

    Raises:
        DataError: these are no arrays of equally many rows, or one part would be empty.
    """
    if _gives_batches(x):
        raise DataError(
            f"validation_split divides arrays, but x is a {type(x).__name__}; give "
            f"validation_data=\n  at {user_location()}"
        )
    rows = Rows(x, y)
    # 10 * (1 - 0.9) is a little less than 1.
    first = math.floor(len(rows) * (1 - share) + 1e-9)
    if not 0 < first < len(rows):
        raise DataError(
            f"x has {len(rows)} rows, of which validation_split={share:g} leaves {first} to train "
            f"on; both parts need some\n  at {user_location()}"
        )
    x, *targets = rows.arrays
    y = targets[0] if targets else None
    held_out = None if y is None else y[first:]
    return (x[:first], None if y is None else y[:first]), (x[first:], held_out)
