"""What a data set is: samples with numbers, and ways to change them on the way out."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from symgraph.data.arrays import Array, rows_of
from symgraph.data.collate import stack
from symgraph.data.transforms.base import apply_to_all
from symgraph.errors import BoundsError, DataError

TransformLike = Callable[[Any], Any]


class Dataset:
    """Base of data sets: `data[i]` and, where there are labels, `label[i]`, transformed.

    A subclass sets `self.data` and `self.label` in `prepare`; or it defines `__getitem__` and
    `__len__` itself and needs neither.

    Args:
        train: whether this is the part to train on.
        transform: applied to each sample's data; None for nothing.
        target_transform: applied to each sample's label; None for nothing.

    Attributes:
        data: what is indexed by the number of a sample, best an array (samples, ...).
        label: the same for labels, or None.

    Raises:
        DataError: `prepare` set no data, or not as many labels.

    Example:
        >>> class Squares(Dataset):
        ...     def prepare(self) -> None:
        ...         self.data = np.arange(4.0)
        ...         self.label = self.data**2
        >>> Squares(transform=lambda x: x / 2.0)[3]
        (1.5, 9.0)
        >>> Squares()[1:3]
        (array([1., 2.]), array([1., 4.]))
    """

    # Here too, for subclasses that do not call `__init__`.
    data: Any = None
    label: Any = None
    train: bool = True
    transform: TransformLike | None = None
    target_transform: TransformLike | None = None

    def __init__(
        self,
        train: bool = True,
        transform: TransformLike | None = None,
        target_transform: TransformLike | None = None,
    ) -> None:
        """Keep the arguments, then `prepare`."""
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        self.prepare()
        if self.is_indexed_here:
            self._check()

    def prepare(self) -> None:
        """Set `self.data` and `self.label`; subclasses say how."""

    @property
    def is_indexed_here(self) -> bool:
        """Whether indexing is this class's own, which takes many samples at once."""
        return type(self).__getitem__ is Dataset.__getitem__

    def __len__(self) -> int:
        return len(self._checked_data())

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        """Return a sample, or several together.

        Args:
            index: an int, negative ones counting from the end; or a slice, integers, or truth
                values, one for each sample.

        Returns:
            Data and label, the label None where there are none. For several samples arrays of
            their own memory, with a first axis for the samples.

        Raises:
            BoundsError: there is no such sample.
            DataError: the index has no meaning, or the samples do not fit together.
        """
        if isinstance(index, slice):
            return self._several(index)
        try:
            row = operator.index(index)
        except TypeError:
            return self._several(self._as_rows(index))
        row = self._bounded(row)
        data, label = self._checked_data()[row], None
        if self.transform is not None:
            data = self.transform(data)
        if self.label is not None:
            label = self.label[row]
            if self.target_transform is not None:
                label = self.target_transform(label)
        return data, label

    def __iter__(self) -> Iterator[Any]:
        for row in range(len(self)):
            yield self[row]

    def _several(self, rows: slice | Array) -> tuple[Any, Any]:
        data = _taken(self._checked_data(), rows, self.transform)
        if self.label is None:
            return data, None
        return data, _taken(self.label, rows, self.target_transform)

    def _as_rows(self, index: Any) -> Array:
        rows = np.asarray(index)
        if rows.dtype == bool and rows.shape == (len(self),):
            return np.flatnonzero(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise DataError(
                "samples are chosen by an int, a slice, a list of ints, or truth values, "
                f"one for each of the {len(self)} samples; not by {index!r}"
            )
        count = len(self)
        if rows.size and not (-count <= rows.min() and rows.max() < count):
            self._bounded(int(rows[(rows < -count) | (rows >= count)][0]))
        return rows.astype(np.int64) % count if count else rows.astype(np.int64)

    def _bounded(self, row: int) -> int:
        count = len(self)
        if not -count <= row < count:
            raise BoundsError(f"there is no sample {row} among {count}")
        return row % count

    def _checked_data(self) -> Any:
        if self.data is None:
            name = type(self).__name__
            raise DataError(
                f"{name} has no data: set self.data in prepare(), or define __getitem__ and __len__"
            )
        return self.data

    def _check(self) -> None:
        count = len(self._checked_data())
        if self.label is not None and len(self.label) != count:
            raise DataError(
                f"{type(self).__name__} has {count} samples, but {len(self.label)} labels"
            )


class ArrayDataset(Dataset):
    """Wraps arrays that are there already.

    Args:
        data: an array (samples, ...), or what becomes one.
        label: an array (samples, ...), or None.
        transform: as in `Dataset`.
        target_transform: as in `Dataset`.

    Raises:
        DataError: there are not as many labels as samples.

    Example:
        >>> ArrayDataset(np.arange(6.0).reshape(3, 2), [0, 1, 0])[1]
        (array([2., 3.]), 1)
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        transform: TransformLike | None = None,
        target_transform: TransformLike | None = None,
    ) -> None:
        """Keep the arrays; nothing is copied."""
        arrays, _ = rows_of([data] if label is None else [data, label])
        self.data = arrays[0]
        self.label = None if label is None else arrays[1]
        super().__init__(True, transform, target_transform)


def _taken(source: Any, rows: slice | Array, transform: TransformLike | None) -> Any:
    """Return the chosen entries of `source`, transformed, as one array of its own memory."""
    if isinstance(source, np.ndarray):
        # `take` is faster than indexing with integers; both give contiguous memory.
        chosen: Any = source[rows].copy() if isinstance(rows, slice) else source.take(rows, axis=0)
    else:
        chosen = [source[number] for number in _numbers(rows, len(source))]
    results = apply_to_all(transform, chosen)
    if isinstance(results, np.ndarray):
        return results
    return stack(results, _numbers(rows, len(source)))


def _numbers(rows: slice | Array, count: int) -> list[int]:
    return list(range(count)[rows]) if isinstance(rows, slice) else rows.tolist()
