"""Arrays of rows: checked against what a model takes, and cut in batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import BoundsError, DataError, FeedError
from symgraph.location import user_location
from symgraph.node import Node
from symgraph.runtime.cuda.arrays import on_gpu
from symgraph.types import FLOATS

Array = np.ndarray[Any, Any]
_FALLBACK = {"i": "int64", "u": "int64", "b": "bool"}


class RowType(NamedTuple):
    """The type of one row of an array.

    Args:
        shape: its extents, without that of the rows.
        dtype: NumPy's name of its dtype.
    """

    shape: tuple[int, ...]
    dtype: str

    def fitting(self, floats: str) -> str:
        """Return the dtype of a placeholder for such rows, `floats` where they are floats."""
        kind = np.dtype(self.dtype).kind
        return floats if kind == "f" else _FALLBACK.get(kind, floats)


def as_rows(what: str, value: Any) -> Array:
    """Return `value` as an array that has rows.

    Args:
        what: how messages call it.
        value: an array, or what NumPy makes one of.

    Raises:
        DataError: it is no array of numbers, or has no axis for rows.
    """
    if isinstance(value, Node | np.ma.MaskedArray | str | bytes):
        raise DataError(
            f"{what} is an array of rows, not {type(value).__name__}\n  at {user_location()}"
        )
    if on_gpu(value):
        raise DataError(
            f"{what} lies on a GPU; give the array of the host, or a loader that gives batches on "
            f"the device\n  at {user_location()}"
        )
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} is no array: {error}\n  at {user_location()}") from None
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{what} holds numbers, not values of dtype {array.dtype}\n  at {user_location()}"
        )
    if array.ndim == 0:
        raise DataError(f"{what} is a single number and has no rows\n  at {user_location()}")
    return array


def row_type(array: Array) -> RowType:
    """Return the type of the rows of an array."""
    return RowType(array.shape[1:], array.dtype.name)


class Rows:
    """Inputs, and targets where there are any, of equally many rows.

    Args:
        x: the inputs.
        y: the targets, or None.
        names: what messages call them.

    Attributes:
        arrays: the inputs and, if there are any, the targets.

    Raises:
        DataError: one is no array of rows, or their lengths differ.
    """

    def __init__(self, x: Any, y: Any, names: tuple[str, str] = ("x", "y")) -> None:
        """Look at the arrays; nothing is copied that is an array already."""
        self.names = names
        given = (x,) if y is None else (x, y)
        self.arrays = tuple(map(as_rows, names, given))
        self.dtypes: tuple[str, ...] = tuple(array.dtype.name for array in self.arrays)
        counts = [len(array) for array in self.arrays]
        if len(set(counts)) > 1:
            raise DataError(
                f"{names[0]} has {counts[0]} rows and {names[1]} has {counts[1]}\n"
                f"  at {user_location()}"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def row_bytes(self) -> int:
        """Return the memory that one row takes when it is fed."""
        sizes = zip(self.arrays, self.dtypes, strict=True)
        return sum(math.prod(a.shape[1:]) * np.dtype(dtype).itemsize for a, dtype in sizes)

    def fit(self, placeholders: tuple[Node, ...], hints: tuple[str, ...]) -> None:
        """Compare the arrays with the placeholders that batches of them are fed to.

        Batches are converted to the dtypes of the placeholders from then on.

        Args:
            placeholders: for inputs and, if there are any, targets.
            hints: what messages say about each.

        Raises:
            FeedError: rows have another shape, or a dtype that does not convert.
        """
        for name, array, node, hint in zip(
            self.names, self.arrays, placeholders, hints, strict=False
        ):
            _check(name, array, node, hint)
        self.dtypes = tuple(node.type.element for node in placeholders[: len(self.arrays)])

    def batches(
        self, size: int, order: Array | None = None, first: int = 0
    ) -> Iterator[tuple[Array, ...]]:
        """Give the rows in batches, of which the last may be shorter.

        Args:
            size: rows in a batch.
            order: numbers of rows, in the order wanted; None for the order in which they are.
            first: the number of the first batch wanted.
        """
        for start in range(first * size, len(self), size):
            rows: Any = slice(start, start + size)
            if order is not None:
                rows = order[rows]
            yield tuple(map(_converted, self.names, (a[rows] for a in self.arrays), self.dtypes))


def _converted(name: str, batch: Array, dtype: str) -> Array:
    if batch.dtype != dtype:
        try:
            with np.errstate(over="raise"):
                batch = batch.astype(dtype)
        except FloatingPointError:
            raise _too_large(name, dtype) from None
    return np.ascontiguousarray(batch)


def _too_large(name: str, dtype: str) -> FeedError:
    return FeedError(f"{name} holds numbers that are too large for {dtype}\n  at {user_location()}")


def _check(name: str, array: Array, node: Node, hint: str) -> None:
    check_shape(name, array, node, hint)
    _check_kind(name, array, node, hint)
    wanted = node.type.element
    if wanted == "float32" and array.dtype == "float64" and array.size:
        largest = np.finfo(np.float32).max
        if any(largest < abs(number) < np.inf for number in (array.min(), array.max())):
            raise _too_large(name, wanted)


def check_shape(name: str, array: Any, node: Node, hint: str) -> None:
    """Compare the shape of rows with that of a placeholder.

    Raises:
        FeedError: it is another.
    """
    dims = node.shape
    fits = array.ndim == len(dims) and all(
        not isinstance(extent, int) or extent == own
        for extent, own in zip(dims[1:], array.shape[1:], strict=True)
    )
    if not fits:
        shape = ", ".join(map(str, ("N", *dims[1:])))
        raise FeedError(
            f"{name} has the shape {array.shape}, but ({shape}{',' if len(dims) == 1 else ''}) is "
            f"needed: {hint}\n  at {user_location()}{_remedy(name, array.shape, dims)}"
        )


def _check_kind(name: str, array: Any, node: Node, hint: str) -> None:
    """Compare the dtype of rows with that of a placeholder.

    Raises:
        FeedError: it does not convert.
    """
    wanted = node.type.element
    kind = "f" if wanted in FLOATS else np.dtype(wanted).kind
    if array.dtype.kind == "f" != kind or (kind == "b" != array.dtype.kind):
        raise FeedError(
            f"{name} has the dtype {array.dtype}, but {wanted} is needed: {hint}\n"
            f"  at {user_location()}"
        )


def _remedy(name: str, shape: tuple[int, ...], dims: tuple[Any, ...]) -> str:
    """Return the line that says how to add or drop an axis of one element, where that helps."""
    name = name.rpartition(" ")[2]
    if dims[1:] == (*shape[1:], 1):
        return f"\n  pass it with one more axis: {name}[{':' if len(shape) == 1 else '...'}, None]"
    if shape[1:] == (*dims[1:], 1):
        return f"\n  drop the last axis: {name}[..., 0]"
    return ""


def check_labels(name: str, labels: Array, classes: object) -> None:
    """Refuse labels outside [0, classes), where the number of classes is known.

    Raises:
        BoundsError: there is one.
    """
    if not isinstance(classes, int) or not labels.size:
        return
    for label in (labels.min(), labels.max()):
        if not 0 <= label < classes:
            row = int(np.argwhere(labels == label)[0][0])
            raise BoundsError(
                f"{name} holds the label {label} in row {row}, but there are {classes} classes, "
                f"numbered from 0\n  at {user_location()}"
            )
