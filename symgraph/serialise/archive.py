"""What the two file formats have in common: named arrays, of which headers are read first."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from symgraph.errors import CheckpointError
from symgraph.location import user_location
from symgraph.node import shown

Array = np.ndarray[Any, Any]
PathLike = str | os.PathLike[str]
LARGEST_METADATA = 1 << 26
"""Bytes of metadata that are read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file says about one array, before the array is read.

    Args:
        shape: its extents.
        dtype: NumPy's name of its dtype, or the format's own where NumPy has none (bfloat16).
    """

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


class Archive(ABC):
    """An open file of named arrays; a context manager.

    Attributes:
        path: the file.
        entries: what is in it, by name.
        metadata: what was stored beside the arrays, empty where nothing was.
    """

    path: Path
    entries: dict[str, Entry]
    metadata: dict[str, Any]

    @abstractmethod
    def read(self, name: str) -> Array:
        """Return one array, in its own dtype; bfloat16 comes as the float32 of the same value.

        Raises:
            CheckpointError: the file is damaged.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def damaged(path: Path, reason: object) -> CheckpointError:
    """Return the error that says that a file cannot be read."""
    return CheckpointError(f"{path} is damaged or incomplete: {reason}\n  at {user_location()}")


def encode_metadata(metadata: Mapping[str, Any]) -> bytes:
    """Return metadata as JSON.

    Raises:
        CheckpointError: it holds what JSON cannot.
    """
    try:
        return json.dumps(dict(metadata)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"metadata are str, numbers, lists and dicts of them: {error}\n  at {user_location()}"
        ) from None


def decode_metadata(path: Path, data: bytes) -> dict[str, Any]:
    """Return the metadata that `encode_metadata` wrote.

    Raises:
        CheckpointError: the bytes are no such thing.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"its metadata are no JSON ({error})") from None
    if not isinstance(found, dict):
        raise damaged(path, "its metadata are no JSON object")
    return found


def check_names(names: Mapping[str, Any]) -> None:
    """Refuse names that a file could not give back.

    Raises:
        CheckpointError: one is empty, reserved, too long, or holds control characters.
    """
    for name in names:
        plain = isinstance(name, str) and name and name.isprintable()
        if not plain or name.startswith("__") or len(name.encode(errors="replace")) > 1000:
            label = shown(name) if isinstance(name, str) else repr(name)
            raise CheckpointError(
                f"{label} cannot be the name of a saved array: a name is printable, not empty, at "
                f"most 1000 bytes long and does not begin with '__'\n  at {user_location()}"
            )
