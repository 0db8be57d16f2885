"""The fake's arrays."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.cuda.fake_handles import Bound

TO_HOST = "DeviceToHost"


class _Host:
    """Lets NumPy see an array's memory, and keeps that alive."""

    def __init__(self, array: FakeArray, strides: tuple[int, ...] | None) -> None:
        self._memory = array.data
        self.__array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.data.ptr, False),
            "strides": strides,
            "version": 3,
        }


class FakeArray(Bound):
    """An array on a device."""

    def __init__(
        self,
        shape: Any,
        dtype: Any = float,
        memptr: Any = None,
        strides: tuple[int, ...] | None = None,
        order: str = "C",
    ) -> None:
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.dtype = np.dtype(dtype)
        self.size, self.ndim = math.prod(self.shape), len(self.shape)
        self.nbytes = self.size * self.dtype.itemsize
        self.data = self.cupy.cuda.alloc(self.nbytes) if memptr is None else memptr
        self._host = np.asarray(_Host(self, strides))
        self.strides = self._host.strides
        self.flags = SimpleNamespace(c_contiguous=self._host.flags.c_contiguous)

    @property
    def device(self) -> Any:
        return self.cupy.cuda.Device(self.data.device_id)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": [("", self.dtype.str)],
            "data": (self.data.ptr if self.size else 0, False),
            "strides": None if self.flags.c_contiguous else self.strides,
            "stream": self.cupy._current_stream().ptr or 1,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.data.device_id

    def __dlpack__(self, stream: int | None = None) -> Any:
        """Return a capsule, which says that its memory is the host's; a stream waits for it."""
        current = self.cupy._current_stream()
        if stream not in (None, -1, current.ptr):
            event = current.record()
            event._delay(self._machine.queue(0 if stream == 1 else stream, self.data.device_id))
        return self._host.__dlpack__()

    def __getitem__(self, key: Any) -> Any:
        part = self._host[key]
        offset = part.__array_interface__["data"][0] - self.data.ptr
        pointer = self.cupy.cuda.MemoryPointer(
            self.data.mem, self.data.ptr - self.data.mem.ptr + offset
        )
        return self.cupy.ndarray(part.shape, self.dtype, pointer, part.strides)

    def __len__(self) -> int:
        return len(self._host)

    def get(self, stream: Any = None) -> np.ndarray[Any, Any]:
        """Return a copy on the host, behind what the stream holds."""
        if not self.flags.c_contiguous:
            return self.cupy.ascontiguousarray(self).get(stream)
        found = np.empty(self.shape, self.dtype)
        if self.nbytes:
            with self.device:
                queue = self.cupy.queue_of(stream)
                self._machine.copy(found.ctypes.data, self.data.ptr, self.nbytes, TO_HOST, queue)
        return found

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")
