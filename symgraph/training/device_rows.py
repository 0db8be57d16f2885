"""Batches that a loader gives on a GPU: checked by what they are, not by what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symgraph.errors import DataError, FeedError
from symgraph.location import user_location
from symgraph.node import Node
from symgraph.runtime.cuda.arrays import on_gpu
from symgraph.training.rows import Array, Rows, check_shape


class DeviceRows(Rows):
    """Inputs, and targets where there are any, as CuPy arrays; see `Rows`.

    To look at values would be to wait for the device, so labels are left to the compiled step,
    which finds those that are out of range. Nothing is converted.
    """

    def __init__(self, x: Any, y: Any, names: tuple[str, str] = ("x", "y")) -> None:
        """Look at the arrays; nothing is copied."""
        self.names = names
        given = (x,) if y is None else (x, y)
        self.arrays = tuple(map(_as_cupy, names, given))
        self.dtypes = tuple(array.dtype.name for array in self.arrays)
        counts = [len(array) for array in self.arrays]
        if len(set(counts)) > 1:
            raise DataError(
                f"{names[0]} has {counts[0]} rows and {names[1]} has {counts[1]}\n"
                f"  at {user_location()}"
            )

    def fit(self, placeholders: tuple[Node, ...], hints: tuple[str, ...]) -> None:
        """Compare the arrays with the placeholders that they are fed to.

        Raises:
            FeedError: rows have another shape or dtype.
        """
        for name, array, node, hint in zip(
            self.names, self.arrays, placeholders, hints, strict=False
        ):
            check_shape(name, array, node, hint)
            if array.dtype != node.type.element:
                raise FeedError(
                    f"{name} has the dtype {array.dtype}, but {node.type.element} is needed: {hint}"
                    f"\n  at {user_location()}\n  batches on a device are not converted; let the "
                    "data set do it"
                )

    def batches(
        self, size: int, order: Array | None = None, first: int = 0
    ) -> Iterator[tuple[Array, ...]]:
        """Give the one batch that this is."""
        yield self.arrays


def _as_cupy(what: str, value: Any) -> Any:
    """Return an array of CuPy's over the memory of an array on a GPU."""
    if not on_gpu(value):
        raise DataError(
            f"{what} is an array of the host beside one on a GPU; both are to be on the device\n"
            f"  at {user_location()}"
        )
    from symgraph.runtime.cuda.driver import cupy

    module = cupy()
    if isinstance(value, module.ndarray):
        found = value
    else:
        read = module.from_dlpack if hasattr(value, "__dlpack__") else module.asarray
        found = read(value)
    if found.ndim == 0:
        raise DataError(f"{what} is a single number and has no rows\n  at {user_location()}")
    return found
