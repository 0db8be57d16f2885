"""Calls the native executor from Python: frames, feeds, slices."""

from __future__ import annotations

import ctypes
import functools
import struct as binary
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.runtime import native as at

SLICE_NANOSECONDS = 50_000_000

_WORD = ctypes.c_int64
# CFUNCTYPE releases the GIL around the call.
_RUN = ctypes.CFUNCTYPE(_WORD, _WORD, _WORD, _WORD)
_BIND = ctypes.CFUNCTYPE(_WORD, _WORD, _WORD)

Feeds = tuple[NDArray[np.generic], ...]


class Executor:
    """Runs frames. One instance serves the process; get it from `executor()`.

    Attributes:
        run: `run(frame, pc, objects)`, the native function itself. Addresses are integers.
            `objects` is the address of pointers to the feeds, which are bound before a start;
            `BOUND` to start with what was bound before; or `RESUME` to go on at `pc` after a
            slice. Returns the pc at which it was sliced, or `HALTED`, `HALTED - status`,
            `MISMATCH - feed`, `BAD_TABLE`. A frame serves one run at a time.
        reads_arrays: whether native code may read NumPy arrays; otherwise Python does.
    """

    __slots__ = ("_bind", "reads_arrays", "run")

    def __init__(self) -> None:
        """Loads the native executor."""
        self.run: Callable[[int, int, int], int] = _RUN(at.address("run"))
        self._bind: Callable[[int, int], int] | None = None
        self.reads_arrays = _layout_holds()

    def execute(self, frame: int, feeds: Feeds) -> int:
        """Binds the feeds and runs the frame to its end.

        Control comes back to Python between time slices, which is where Ctrl-C takes effect.

        Args:
            frame: address of the frame.
            feeds: the arrays, in the order of the feed rows.

        Returns:
            `HALTED`; `HALTED - status` of a failed check; or `MISMATCH - k` if the k-th feed is not
            as expected, and then nothing has run.
        """
        if self.reads_arrays:
            result = self.run(frame, 0, id(feeds) + at.TUPLE_ITEMS)
        else:
            mismatch = bind_in_python(frame, feeds)
            if mismatch >= 0:
                return at.MISMATCH - mismatch
            result = self.run(frame, 0, at.BOUND)
        return result if result < 0 else self._resume(frame, result, None)

    def run_to_completion(self, frame: int, on_slice: Callable[[int], object] | None = None) -> int:
        """Runs a frame whose feeds are bound, from the start to its end.

        Args:
            frame: address of the frame.
            on_slice: called with the pc after each slice.

        Returns:
            `HALTED` or `HALTED - status`.
        """
        return self._resume(frame, self.run(frame, 0, at.BOUND), on_slice)

    def _resume(self, frame: int, pc: int, on_slice: Callable[[int], object] | None) -> int:
        while pc >= 0:
            if on_slice is not None:
                on_slice(pc)
            pc = self.run(frame, pc, at.RESUME)
        return pc

    def bind(self, frame: int, feeds: Feeds) -> int:
        """Reads feeds without running.

        Args:
            frame: address of the frame.
            feeds: the arrays, in the order of the feed rows.

        Returns:
            -1, or the index of the first feed that is not as expected.
        """
        if not self.reads_arrays:
            return bind_in_python(frame, feeds)
        if self._bind is None:
            self._bind = _BIND(at.address("bind"))
        return self._bind(frame, id(feeds) + at.TUPLE_ITEMS)


@functools.cache
def executor() -> Executor:
    """Returns the executor of this process, compiled or loaded at the first request."""
    return Executor()


def new_frame() -> NDArray[np.int64]:
    """Returns a frame with all that does not depend on the plan filled in."""
    frame = np.zeros(at.FRAME_WORDS, dtype=np.int64)
    frame[at.SLICE] = SLICE_NANOSECONDS
    frame[at.CLOCK] = _clock_address()
    frame[at.ARRAY_TYPE] = id(np.ndarray)
    return frame


def failed_check(result: int) -> int:
    """Returns the status in a result of `run`, 0 if no check failed."""
    return at.HALTED - result if at.BAD_TABLE < result < at.HALTED else 0


def mismatched_feed(result: int) -> int:
    """Returns the index of the feed that was not as expected, -1 if all were."""
    return at.MISMATCH - result if result <= at.MISMATCH else -1


def bind_in_python(frame: int, feeds: Feeds) -> int:
    """Does what the native `bind` does, for interpreters whose arrays it cannot read."""
    words = (_WORD * at.FRAME_WORDS).from_address(frame)
    bases = words[at.BASES]
    for index, array in enumerate(feeds[: words[at.FEED_COUNT]]):
        address = words[at.FEEDS] + index * at.FEED_WORDS * at.WORD
        row = (_WORD * at.FEED_WORDS).from_address(address)
        if type(array) is not np.ndarray or id(array.dtype) != row[at.FEED_DTYPE]:
            return index
        if not (array.flags.c_contiguous and array.flags.aligned):
            return index
        rank = row[at.FEED_RANK]
        if array.ndim != rank:
            return index
        if rank and list(array.shape) != list((_WORD * rank).from_address(row[at.FEED_DIMS])):
            return index
        _WORD.from_address(bases + row[at.FEED_BASE] * at.WORD).value = array.ctypes.data
    return -1


@functools.cache
def _clock_address() -> int:
    # Windows has no clock_gettime; there, runs are not sliced by time.
    if sys.platform == "win32":
        return 0
    function = getattr(ctypes.CDLL(None), "clock_gettime", None)
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0


def _layout_holds() -> bool:
    """Compares memory with what two arrays say about themselves."""
    if binary.calcsize("P") != at.WORD or sys.implementation.name != "cpython":
        return False
    if object.__basicsize__ != at.TUPLE_ITEMS - at.WORD or np.ndarray.__basicsize__ < 72:
        return False
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    turned = np.arange(24, dtype=np.int64).reshape(2, 3, 4)[:, ::2].T
    pair: tuple[NDArray[Any], ...] = (plain, turned)
    items = (_WORD * 2).from_address(id(pair) + at.TUPLE_ITEMS)
    return list(items) == [id(plain), id(turned)] and all(map(_array_layout_holds, pair))


def _array_layout_holds(array: NDArray[Any]) -> bool:
    place = id(array)
    words = (_WORD * 9).from_address(place)
    halves = (ctypes.c_int32 * 18).from_address(place)
    if words[1] != id(np.ndarray) or words[at.ARRAY_DTYPE // 8] != id(array.dtype):
        return False
    if words[at.ARRAY_DATA // 8] != array.ctypes.data or halves[at.ARRAY_RANK // 4] != array.ndim:
        return False
    dims = (_WORD * array.ndim).from_address(words[at.ARRAY_DIMS // 8])
    required = halves[at.ARRAY_FLAGS // 4] & at.REQUIRED_FLAGS
    fits = array.flags.c_contiguous and array.flags.aligned
    return list(dims) == list(array.shape) and (required == at.REQUIRED_FLAGS) == fits
