"""Reading DLPack capsules: the struct by which array libraries lend each other memory.

The layout is that of `dlpack.h` (https://dmlc.github.io/dlpack/latest/c_api.html), the one without
a version, which every maker hands out unless asked for another.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

MANAGED = 13
"""The kind of memory that the host and all GPUs share."""
CUDA_KINDS = (2, MANAGED)
"""The kinds of memory that a GPU reads as its own."""

_NAME = b"dltensor"
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex"}
_BOOL = 6


class Tensor(NamedTuple):
    """What a capsule holds.

    Args:
        address: of the first element.
        shape: the extents.
        strides: bytes from one element to the next along each axis; None for C order.
        dtype: NumPy's name of the dtype, or one of that form where NumPy has none.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: str


class _Header(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_kind", ctypes.c_int32),
        ("device_index", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def read_capsule(capsule: Any) -> Tensor:
    """Return what a capsule holds; it is not taken, so its tensor lives as long as it does.

    Raises:
        ValueError: it is no capsule of this kind, or was taken already.
    """
    header = _Header.from_address(_pointer(capsule, _NAME))
    rank, size = header.rank, header.bits * header.lanes // 8
    strides = None
    if header.strides:
        strides = tuple(header.strides[axis] * size for axis in range(rank))
    return Tensor(
        (header.data or 0) + header.byte_offset,
        tuple(header.shape[axis] for axis in range(rank)),
        strides,
        _dtype_name(header.code, header.bits, header.lanes),
    )


def _dtype_name(code: int, bits: int, lanes: int) -> str:
    if code == _BOOL and bits == 8 and lanes == 1:
        return "bool"
    name = f"{_KINDS.get(code, f'type {code} of ')}{bits}"
    return name if lanes == 1 else f"{name}x{lanes}"
