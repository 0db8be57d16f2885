"""Data that do not fit in memory: each sample lies in files of its own."""

from __future__ import annotations

import math
import operator
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.dataset import Dataset, TransformLike
from symgraph.data.source import missing
from symgraph.errors import BoundsError, DataError


class BigData(Dataset):
    """Samples that are read when they are asked for: `data/<i>.npy` and `label/<i>.npy`.

    Making one reads nothing; each sample reads its two files. A `DataLoader` with `prefetch` reads
    them while the step before is computed.

    Args:
        folder: what contains `data` and `label`.
        length: how many samples there are.
        transform: applied to each sample's data.
        target_transform: applied to each sample's label.

    Raises:
        DataError: the length is no non-negative int.

    Example:
        >>> samples = BigData("samples", length=1_000_000)
        >>> x, t = samples[123_456]
    """

    def __init__(
        self,
        folder: str | Path = ".",
        length: int = 1_000_000,
        transform: TransformLike | None = None,
        target_transform: TransformLike | None = None,
    ) -> None:
        """Keep the arguments."""
        if type(length) is not int or length < 0:
            raise DataError(f"a length is a non-negative int, not {length!r}")
        self.folder = Path(folder)
        self._length = length
        super().__init__(True, transform, target_transform)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        """Read one sample.

        Args:
            index: its number, an int; negative ones count from the end.

        Returns:
            Data and label.

        Raises:
            BoundsError: there is no such sample.
            DataError: a file is missing or damaged.
        """
        index = operator.index(index)
        if not -self._length <= index < self._length:
            raise BoundsError(f"there is no sample {index} among {self._length}")
        name = f"{index % self._length}.npy"
        data, label = (read_npy(self.folder / part / name) for part in ("data", "label"))
        if self.transform is not None:
            data = self.transform(data)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return data, label


def read_npy(path: Path) -> Array:
    """Read an array of numbers from a `.npy` file, opening it once and trusting no byte of it.

    Raises:
        DataError: it is missing, is no such file, holds objects, or has not as many bytes as it
            says.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except FileNotFoundError:
        raise missing(path) from None


def _read(path: Path, file: Any) -> Array:
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, by_columns, dtype = headers[np.lib.format.read_magic(file)](file)
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"{path} is no .npy file: {error}") from None
    if dtype.hasobject or dtype.fields:
        raise DataError(f"{path} holds {dtype}, not numbers")
    start = file.tell()
    size = path.stat().st_size - start
    count = math.prod(shape)
    if count * dtype.itemsize != size:
        raise DataError(f"{path} has {size} bytes for {dtype} of shape {shape}")
    values = np.fromfile(file, dtype, count)
    return values.reshape(shape, order="F" if by_columns else "C")
