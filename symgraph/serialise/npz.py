"""NumPy's `.npz`: a zip archive of `.npy` files. Nothing in it is ever unpickled."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from symgraph.errors import CheckpointError
from symgraph.location import user_location
from symgraph.node import shown
from symgraph.serialise.archive import (
    LARGEST_METADATA,
    Archive,
    Array,
    Entry,
    damaged,
    decode_metadata,
    encode_metadata,
)

METADATA = "__metadata__"
_SUFFIX = ".npy"
_ENCRYPTED = 1
# What reading a damaged archive raises; ValueError holds wrong text and headers, RuntimeError a
# password, NotImplementedError an unknown version.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def write_npz(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, Any] | None) -> None:
    """Write arrays, uncompressed; equal arrays give equal files.

    Raises:
        CheckpointError: the metadata do not fit in JSON.
        OSError: the file cannot be written.
    """
    contents = dict(arrays)
    if metadata is not None:
        contents[METADATA] = np.frombuffer(encode_metadata(metadata), np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in contents.items():
            # A ZipInfo made by hand has the same old date every time.
            info = zipfile.ZipInfo(name + _SUFFIX)
            with archive.open(info, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


class NpzArchive(Archive):
    """An open `.npz`.

    Args:
        path: the file.

    Raises:
        CheckpointError: it is no archive of arrays, or a damaged one.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        """Read the headers of all arrays."""
        self.path = path
        self._stream = open(path, "rb")
        try:
            self._zip = zipfile.ZipFile(self._stream)
            self._infos = self._named_infos()
            self._headers = {name: self._header(name) for name in self._infos}
            self.metadata = self._metadata()
        except _DAMAGE as error:
            self._stream.close()
            if isinstance(error, CheckpointError):
                raise
            raise damaged(path, error) from None
        self.entries = {
            name: Entry(shape, _dtype_name(dtype))
            for name, (shape, _, dtype) in self._headers.items()
            if name != METADATA
        }

    def read(self, name: str) -> Array:
        """Return one array."""
        shape, column_major, dtype = self._headers[name]
        if dtype.hasobject:
            raise self._pickled(name)
        try:
            with self._zip.open(self._infos[name]) as stream:
                _read_header(stream)
                # Up to the end, where the archive's checksum is compared.
                data = stream.read()
            flat = np.frombuffer(data, dtype)
            array = flat.reshape(shape[::-1]).T if column_major else flat.reshape(shape)
        except _DAMAGE as error:
            raise damaged(self.path, f"{shown(name)}: {error}") from None
        return array.astype(dtype.newbyteorder("="), copy=False)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._stream.close()

    def _named_infos(self) -> dict[str, zipfile.ZipInfo]:
        """Return the parts of the archive by the names of the arrays.

        Raises:
            CheckpointError: one is no array, occurs twice, or is packed in an unusual way.
        """
        found: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.filename.removesuffix(_SUFFIX)
            if name in found:
                raise damaged(self.path, f"{shown(name)} is in it twice")
            usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if not usual or info.flag_bits & _ENCRYPTED:
                raise damaged(self.path, f"{shown(name)} is encrypted or packed in an unknown way")
            found[name] = info
        return found

    def _header(self, name: str) -> tuple[tuple[int, ...], bool, Any]:
        """Return shape, order and dtype of an array, whose data have the length that they tell."""
        info = self._infos[name]
        with self._zip.open(info) as stream:
            shape, column_major, dtype = _read_header(stream)
            length = info.file_size - stream.tell()
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize != length:
            raise damaged(self.path, f"{shown(name)} has another length than its header says")
        return shape, column_major, dtype

    def _metadata(self) -> dict[str, Any]:
        if METADATA not in self._infos:
            return {}
        shape, _, dtype = self._headers[METADATA]
        if dtype != np.uint8 or len(shape) != 1 or shape[0] > LARGEST_METADATA:
            raise damaged(self.path, "its metadata are no text")
        return decode_metadata(self.path, self.read(METADATA).tobytes())

    def _pickled(self, name: str) -> CheckpointError:
        return CheckpointError(
            f"{shown(name)} in {self.path} holds Python objects, which only unpickling could "
            f"restore; that can run any code and is never done\n  at {user_location()}"
        )


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"arrays of format {version} are not supported")


def _dtype_name(dtype: Any) -> str:
    return "object" if dtype.hasobject else str(dtype.newbyteorder("=").name)
