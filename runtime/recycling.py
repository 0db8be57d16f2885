"""Memory for large outputs, used again once the caller has let go of the arrays that lay in it.

A fresh block of memory costs a page fault for every 4 KB that a kernel writes, which for simple
kernels takes longer than the arithmetic. A block is free again when nothing but its `OutputMemory`
refers to it: an output array, and every view of it, holds a reference to its block.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SMALLEST_BLOCK = 1 << 16
"""Bytes from which recycling pays; the allocator keeps smaller blocks itself."""
MAX_BLOCKS = 2
"""Blocks kept for one output: the one that the caller holds, and the one being written."""


def _references_of_free_block() -> int:
    blocks = [np.empty(1, np.uint8)]
    for block in blocks:
        return sys.getrefcount(block)
    raise AssertionError("the list has one entry")


_FREE = _references_of_free_block()
_RECYCLES = getattr(sys, "_is_gil_enabled", lambda: True)()


class OutputMemory:
    """Makes the arrays of one output.

    Args:
        shape: their shape.
        dtype: their dtype.
    """

    __slots__ = ("_blocks", "_bytes", "dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Begin without memory."""
        self.shape = shape
        self.dtype = dtype
        self._blocks: list[Array] = []
        self._bytes = dtype.itemsize
        for extent in shape:
            self._bytes *= extent

    def array(self) -> Array:
        """Return an array that nobody else can see, its contents undefined."""
        if self._bytes < SMALLEST_BLOCK or not _RECYCLES:
            return np.empty(self.shape, self.dtype)
        for block in self._blocks:
            if sys.getrefcount(block) == _FREE:
                return np.ndarray(self.shape, self.dtype, block)
        block = np.empty(self._bytes, np.uint8)
        if len(self._blocks) < MAX_BLOCKS:
            self._blocks.append(block)
        return np.ndarray(self.shape, self.dtype, block)
