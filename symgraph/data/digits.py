"""Handwritten digits, available without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.errors import DataError, MissingPackageError

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, Any]
PIXELS = 64
BRIGHTEST = 16


def digits(path: str | Path | None = None) -> tuple[Array, Array]:
    """Read the UCI digits: 1797 handwritten digits of 8 x 8 pixels.

    They are part of scikit-learn, so that no network is needed.

    Args:
        path: a file in the format of UCI's `optdigits`, also gzipped: on each line 64 brightnesses
            from 0 to 16 and the digit, separated by commas. None for the file in scikit-learn.

    Returns:
        Images, float32 (1797, 64) in [0, 1], row by row from the top, and labels, int64 (1797,).

    Raises:
        MissingPackageError: scikit-learn is not installed.
        DataError: the file is not there, or in another format.
        OSError: the file cannot be read.

    Example:
        >>> x, t = digits()
        >>> x.shape, t[:5]
        ((1797, 64), array([0, 1, 2, 3, 4]))
    """
    table = _shipped() if path is None else _read(path)
    images = (table[:, :PIXELS] / BRIGHTEST).astype(np.float32)
    return images, table[:, PIXELS].astype(np.int64)


def _shipped() -> Array:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingPackageError(
            "the digits come with scikit-learn, which is not installed: "
            "pip install 'symgraph[examples]', or give digits() the path of a file"
        ) from error
    found = load_digits()
    return np.column_stack([found.data, found.target])


def _read(path: str | Path) -> Array:
    from symgraph.data.source import missing

    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as error:
        raise DataError(f"{path} does not hold numbers separated by commas: {error}") from None
    if table.shape[1] != PIXELS + 1:
        raise DataError(
            f"{path} has {table.shape[1]} columns; digits have {PIXELS} pixels and a label"
        )
    pixels, labels = table[:, :PIXELS], table[:, PIXELS]
    if not (np.isin(labels, range(10)).all() and ((pixels >= 0) & (pixels <= BRIGHTEST)).all()):
        raise DataError(
            f"{path} holds pixels outside 0 to {BRIGHTEST}, or labels that are no digit"
        )
    return table
