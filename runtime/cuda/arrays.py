"""Arrays that lie on a GPU, whoever made them: read by their protocols, without copies.

Nothing here imports CuPy. An array says where it lies by `__dlpack__` (CuPy, PyTorch, JAX) or by
`__cuda_array_interface__` (CuPy, Numba and others). With the first, the maker lets our stream wait
until the contents are there; with the second it names the stream that we have to wait for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.runtime.cuda.dlpack import CUDA_KINDS, MANAGED, Tensor, read_capsule

_HOSTS = (np.ndarray, np.generic, int, float, list, tuple)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceArray:
    """A dense array in C order on a device.

    Args:
        address: of its first element.
        shape: its extents.
        dtype: of its elements.
        owner: keeps the memory alive.
        stream: the CUDA stream behind which the contents are there; None where the stream of the
            device waits for them already, or will when it waits for CuPy's current stream.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: Any
    stream: int | None = None

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Return the size of its memory."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an array says about itself; it may be anything that a GPU can hold.

    Args:
        address: of its first element.
        shape: its extents.
        strides: how many bytes there are from one element to the next, None for C order.
        dtype: what its elements are called, such as "float32" or "bfloat16".
        owner: keeps the memory alive.
        stream: as in `DeviceArray`.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: str
    owner: Any
    stream: int | None

    @property
    def dense(self) -> bool:
        """Tell whether the elements lie side by side, in C order."""
        if self.strides is None or 0 in self.shape:
            return True
        expected = np.dtype(self.dtype).itemsize
        for extent, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if extent != 1 and stride != expected:
                return False
            expected *= extent
        return True


def on_gpu(value: Any) -> bool:
    """Tell whether `value` is an array in the memory of an NVIDIA GPU."""
    if isinstance(value, _HOSTS):
        return False
    where = getattr(value, "__dlpack_device__", None)
    if where is not None:
        try:
            return where()[0] in CUDA_KINDS
        except (BufferError, RuntimeError, TypeError, ValueError):
            return False  # such as one that is spread over several devices: NumPy gathers it
    return hasattr(value, "__cuda_array_interface__")


def device_index(value: Any, of_pointer: Callable[[int], int | None]) -> int | None:
    """Return the number of the device that an array lies on; None where any device may read it.

    Args:
        value: an array for which `on_gpu` holds.
        of_pointer: returns the number for an address.
    """
    where = getattr(value, "__dlpack_device__", None)
    if where is not None:
        kind, index = where()
        return None if kind == MANAGED else int(index)
    address = int(value.__cuda_array_interface__["data"][0])
    return of_pointer(address) if address else None


def found_array(value: Any, stream: int) -> Found:
    """Return what an array on a GPU says about itself.

    Args:
        value: an array for which `on_gpu` holds.
        stream: the stream that will read it, and that the maker is asked to let wait.

    Raises:
        BufferError: it does not give its memory away; so do other errors of the maker's.
    """
    if hasattr(value, "__dlpack__"):
        capsule = value.__dlpack__(stream=stream)
        return _of_tensor(read_capsule(capsule), capsule)
    described = value.__cuda_array_interface__
    if described.get("mask") is not None:
        raise BufferError("it is masked")
    return Found(
        int(described["data"][0]),
        tuple(described["shape"]),
        described.get("strides"),
        np.dtype(described["typestr"]).name,
        value,
        described.get("stream"),
    )


def _of_tensor(tensor: Tensor, capsule: Any) -> Found:
    # A capsule that nobody has taken frees the tensor with itself.
    return Found(tensor.address, tensor.shape, tensor.strides, tensor.dtype, capsule, None)
