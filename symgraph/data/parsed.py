"""Keeping what was read from a slow format, so that it is parsed once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.download import cache_dir, is_url
from symgraph.errors import CheckpointError
from symgraph.serialise.weights import load_arrays, write_arrays

# To be raised when what is kept changes its meaning.
FORMAT = 1


def load_cache_npz(source: str | Path, train: bool = False) -> tuple[Array, Array] | None:
    """Return the data and labels that `save_cache_npz` kept for a source.

    Args:
        source: the address or path of what they were read from. A file that changed since then is
            another source.
        train: which of the two sets.

    Returns:
        Data and labels; None where there are none, or the file that keeps them is damaged.
    """
    try:
        kept = load_arrays(_path(source, train))
    # A damaged file is as good as none: it is written anew.
    except (OSError, CheckpointError):
        return None
    if kept.keys() != {"data", "label"}:
        return None
    # As much the caller's own as when they were parsed.
    return np.array(kept["data"]), np.array(kept["label"])


def save_cache_npz(data: Any, label: Any, source: str | Path, train: bool = False) -> Path:
    """Keep data and labels for `load_cache_npz`.

    Args:
        data: an array.
        label: an array.
        source: the address or path of what they were read from.
        train: which of the two sets.

    Returns:
        The path of the file that keeps them; it appears once it is complete.

    Raises:
        CheckpointError: they are no arrays of numbers.
        OSError: it cannot be written.

    Example:
        >>> save_cache_npz(data, label, "https://example.org/pictures.tar", train=True)
        >>> data, label = load_cache_npz("https://example.org/pictures.tar", train=True)
    """
    path = _path(source, train)
    path.parent.mkdir(parents=True, exist_ok=True)

    # Not compressed: pictures shrink little, and reading is what happens often.
    write_arrays(path, {"data": np.asarray(data), "label": np.asarray(label)}, None)
    return path


def _path(source: str | Path, train: bool) -> Path:
    if is_url(source):
        identity = str(source)
    else:
        file = Path(source).absolute()
        state = file.stat()
        identity = f"{file}\n{state.st_size}\n{state.st_mtime_ns}"
    key = hashlib.sha256(f"{FORMAT}\n{identity}".encode(errors="surrogateescape")).hexdigest()
    return cache_dir() / "parsed" / f"{key[:32]}.{'train' if train else 'test'}.npz"
