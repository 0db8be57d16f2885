"""Reading what compiled functions give: at once from the host, as late as may be from a GPU.

To read a number of a GPU is to wait for all work before it. So steps are started one after the
other, and what they give is read when somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MOST_UNREAD = 64
"""How many batches an evaluation leaves on the device before it reads them."""


def as_numpy(value: Any) -> Array:
    """Return an array as NumPy's; one of CuPy's is waited for and copied."""
    return value if isinstance(value, np.ndarray) else np.asarray(value.get())


class ReadLater(Mapping[str, Array]):
    """Numbers by name, each copied from the device when it is asked for.

    Args:
        outputs: NumPy's or CuPy's arrays by name.
    """

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        """Keep the arrays; nothing is waited for."""
        self._outputs = dict(outputs)

    def __getitem__(self, name: str) -> Array:
        self._outputs[name] = as_numpy(self._outputs[name])
        found: Array = self._outputs[name]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)


class Totals:
    """Sums over rows of what the batches of an evaluation give.

    Args:
        names: of the numbers.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Begin with no rows."""
        self._sums = dict.fromkeys(names, 0.0)
        self._rows = 0
        self._unread: list[tuple[int, Mapping[str, Any]]] = []

    def add(self, rows: int, outputs: Mapping[str, Any]) -> None:
        """Add a batch: its number of rows, and means over these."""
        self._unread.append((rows, outputs))
        if len(self._unread) >= MOST_UNREAD:
            self._read()

    def means(self) -> dict[str, float]:
        """Return the means over all rows so far."""
        self._read()
        return {name: total / self._rows for name, total in self._sums.items()}

    def _read(self) -> None:
        for rows, outputs in self._unread:
            self._rows += rows
            for name in self._sums:
                self._sums[name] += rows * float(as_numpy(outputs[name]))
        self._unread.clear()
