"""Seeds and streams: which key the next random node gets."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from symgraph.leaves import Constant
from symgraph.ops.random_bits import threefry2x32

_EXPLICIT, _AUTOMATIC = 0, 1


class _Streams:
    """The seed of the process, and how many streams were taken from it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seed = 0
        self.taken = 0

    def take(self) -> tuple[int, int]:
        with self.lock:
            self.taken += 1
            return self.seed, self.taken - 1


_streams = _Streams()


def _free_lock() -> None:
    """Free the lock in a child of fork: the thread that may have held it is not there."""
    _streams.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_lock)


def seed(number: int) -> None:
    """Start over with the streams of nodes that are made without a seed of their own.

    Nodes made in the same order after the same `seed(number)` give the same numbers. A process
    starts with seed 0.

    Args:
        number: any int.

    Example:
        >>> seed(42)
    """
    with _streams.lock:
        _streams.seed, _streams.taken = int(number), 0


@contextmanager
def rehearsal() -> Iterator[None]:
    """Give back the streams taken inside the block, for code that will be run once more."""
    with _streams.lock:
        taken = _streams.taken
    try:
        yield
    finally:
        with _streams.lock:
            _streams.taken = taken


def stream_key(given: int | None, stream: int | None, part: int = 0) -> Constant:
    """Return the key of a stream as a constant; `part` tells several keys of one node apart."""
    if given is None:
        number, taken = _streams.take()
        domain, position = _AUTOMATIC, taken if stream is None else stream
    else:
        number, domain, position = int(given), _EXPLICIT, stream or 0
    return Constant(_mixed(number, position, 2 * part + domain), "int64")


def _mixed(number: int, position: int, domain: int) -> np.int64:
    words = (number & 0xFFFFFFFF, (number >> 32) & 0xFFFFFFFF, position & 0xFFFFFFFF, domain)
    k0, k1, c0, c1 = (np.array([word], np.uint32) for word in words)
    x, y = threefry2x32((k0, k1), (c0, c1))
    joined = (x.astype(np.uint64) << np.uint64(32)) | y.astype(np.uint64)
    return np.int64(joined.view(np.int64)[0])
