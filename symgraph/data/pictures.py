"""Data sets of pictures, which can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from symgraph.data.arrays import Array, Source, generator
from symgraph.data.dataset import Dataset
from symgraph.errors import DataError, MissingPackageError


class PictureDataset(Dataset):
    """Base of data sets whose `data` are pictures, uint8 (samples, channels, height, width)."""

    def grid(self, rows: int = 10, columns: int = 10, rng: Source = 0) -> Array:
        """Return pictures chosen at random, side by side.

        Args:
            rows: how many lie below each other.
            columns: how many lie beside each other.
            rng: a seed or a generator.

        Returns:
            uint8 (rows * height, columns * width), with a last axis of 3 for colours.

        Raises:
            DataError: there are no pictures, or a number is not positive.
        """
        if len(self) == 0 or any(type(n) is not int or n < 1 for n in (rows, columns)):
            raise DataError(f"a grid has positive rows and columns; got {rows!r} and {columns!r}")
        chosen = self.data[generator(rng).choice(len(self), rows * columns)]
        _, channels, height, width = chosen.shape
        tiles = chosen.reshape(rows, columns, channels, height, width)
        picture = tiles.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
        return np.ascontiguousarray(picture[..., 0] if channels == 1 else picture)

    def show(self, path: str | Path, rows: int = 10, columns: int = 10, rng: Source = 0) -> Path:
        """Write pictures chosen at random to a PNG file.

        Args:
            path: the file.
            rows: how many lie below each other.
            columns: how many lie beside each other.
            rng: a seed or a generator.

        Returns:
            The path.

        Raises:
            MissingPackageError: Matplotlib is not installed.
            DataError: there are no pictures, or a number is not positive.
        """
        try:
            from matplotlib.image import imsave
        except ImportError as error:
            raise MissingPackageError(
                "drawing needs Matplotlib: pip install 'symgraph[examples]'"
            ) from error
        colours: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
        imsave(path, self.grid(rows, columns, rng), format="png", **colours)
        return Path(path)
