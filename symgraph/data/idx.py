"""IDX files, the format of MNIST: big-endian arrays with a short header, usually gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.source import missing
from symgraph.errors import DataError
from symgraph.serialise.atomic import write_atomically

# From http://yann.lecun.com/exdb/mnist/: the third byte of a file names its dtype.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
# Deflate makes at most 1032 bytes of one, so that a header can be known to promise too much.
_LARGEST_RATIO = 1032


def read_idx(path: str | Path) -> Array:
    """Read an array from an IDX file, gzipped or not.

    Args:
        path: the file.

    Returns:
        An array of native byte order, in its own memory.

    Raises:
        DataError: the file is not there, is no IDX file, is damaged, or has fewer or more bytes
            than it says.
        OSError: it cannot be opened.

    Example:
        >>> read_idx("t10k-labels-idx1-ubyte.gz")[:3]
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    if not path.exists():
        raise missing(path)
    with path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        largest = path.stat().st_size * (_LARGEST_RATIO if zipped else 1)
        try:
            if zipped:
                with gzip.GzipFile(fileobj=raw) as file:
                    return _read(path, file, largest)
            return _read(path, raw, largest)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path} is damaged: {error}") from None


def _read(path: Path, file: Any, largest: int) -> Array:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _DTYPES:
        raise DataError(f"{path} is no IDX file: it begins with {start.hex(' ') or 'nothing'}")
    lengths = file.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise DataError(f"{path} ends within its header")
    shape = struct.unpack(f">{start[3]}I", lengths)
    dtype = np.dtype(_DTYPES[start[2]])
    size = math.prod(shape) * dtype.itemsize
    if size > largest:
        raise DataError(f"{path} promises {size} bytes for shape {shape}, more than fit in it")
    data = file.read(size)
    if len(data) < size:
        raise DataError(f"{path} ends after {len(data)} of the {size} bytes of shape {shape}")
    if file.read(1):
        raise DataError(f"{path} goes on after the {size} bytes of shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def write_idx(path: str | Path, array: Any) -> None:
    """Write an array to an IDX file, gzipped where its name ends in `.gz`.

    The file appears once it is complete; the same array gives the same bytes.

    Args:
        path: the file to make.
        array: of a dtype that the format has: uint8, int8, int16, int32, float32 or float64.

    Raises:
        DataError: the format cannot hold it.
        OSError: it cannot be written.

    Example:
        >>> write_idx("labels-idx1-ubyte.gz", np.array([7, 3], "uint8"))
    """
    path, array = Path(path), np.asarray(array)
    big_endian = array.dtype.newbyteorder(">")
    codes = [code for code, name in _DTYPES.items() if np.dtype(name) == big_endian]
    if not codes or array.ndim > 255 or any(extent >= 2**32 for extent in array.shape):
        raise DataError(f"IDX files cannot hold {array.dtype} of shape {array.shape}")
    header = struct.pack(f">2x2B{array.ndim}I", codes[0], array.ndim, *array.shape)

    def write(target: Path) -> None:
        with target.open("wb") as raw:
            if path.suffix == ".gz":
                # Without a name and a time, which would differ from run to run.
                with gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
                    _write(file, header, array, big_endian)
            else:
                _write(raw, header, array, big_endian)

    write_atomically(path, write)


def _write(file: Any, header: bytes, array: Array, dtype: np.dtype[Any]) -> None:
    file.write(header)
    file.write(np.ascontiguousarray(array, dtype).data.cast("B") if array.size else b"")
