"""`.safetensors`: a header in JSON and the bytes of arrays, read and written by its own library."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.errors import CheckpointError
from symgraph.location import user_location
from symgraph.node import shown
from symgraph.serialise.archive import (
    Archive,
    Array,
    Entry,
    damaged,
    decode_metadata,
    encode_metadata,
)

_METADATA = "symgraph"
_CHECKSUMS = "symgraph.crc32"
_NAMES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}


def write_safetensors(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, Any] | None
) -> None:
    """Write arrays, with a checksum of each, which the format itself does not have.

    Raises:
        CheckpointError: the metadata do not fit in JSON.
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # The library writes memory as it lies, whatever the strides say.
    dense = {
        name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()
    }
    header = {_CHECKSUMS: json.dumps({name: _checksum(array) for name, array in dense.items()})}
    if metadata is not None:
        header[_METADATA] = encode_metadata(metadata).decode()
    try:
        save_file(dense, path, header)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def _checksum(array: Array) -> int:
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


class SafetensorsArchive(Archive):
    """An open `.safetensors`.

    Args:
        path: the file.

    Raises:
        CheckpointError: it is no such file, or a damaged one.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        """Read the header."""
        from safetensors import SafetensorError

        with open(path, "rb"):
            pass  # says what is wrong in Python's own words: no such file, no permission
        self.path = path
        try:
            self._file = _opened(path)
            names = self._file.keys()
            slices = {name: self._file.get_slice(name) for name in names}
            stored = self._file.metadata() or {}
        except SafetensorError as error:
            raise damaged(path, error) from None
        self.entries = {name: _entry(part) for name, part in slices.items()}
        text = stored.get(_METADATA)
        self.metadata = {} if text is None else decode_metadata(path, text.encode())
        self._checksums = decode_metadata(path, stored.get(_CHECKSUMS, "{}").encode())

    def read(self, name: str) -> Array:
        """Return one array."""
        from safetensors import SafetensorError

        dtype = self.entries[name].dtype
        if dtype not in _NAMES.values():
            raise CheckpointError(
                f"{shown(name)} in {self.path} has the dtype {dtype}, which is not supported\n"
                f"  at {user_location()}"
            )
        try:
            array = self._brain_floats(name) if dtype == "bfloat16" else self._file.get_tensor(name)
        except SafetensorError as error:
            raise damaged(self.path, f"{shown(name)}: {error}") from None
        known = self._checksums.get(name)
        if known is not None and dtype != "bfloat16" and known != _checksum(array):
            raise damaged(self.path, f"the checksum of {shown(name)} is another one")
        return array

    def close(self) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)

    def _brain_floats(self, name: str) -> Array:
        """Return an array of bfloat16, which NumPy has not, as float32: its upper half is that."""
        with open(self.path, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            begin, end = json.loads(stream.read(length))[name]["data_offsets"]
            stream.seek(8 + length + begin)
            halves = np.frombuffer(stream.read(end - begin), "<u2")
        wide = (halves.astype(np.uint32) << 16).view(np.float32)
        return wide.reshape(self.entries[name].shape)


def _opened(path: Path) -> Any:
    """Return the library's own view of a file; its methods have no types."""
    from safetensors import safe_open

    return safe_open(path, framework="np")


def _entry(part: Any) -> Entry:
    kind = part.get_dtype()
    return Entry(tuple(part.get_shape()), _NAMES.get(kind, kind.lower()))
