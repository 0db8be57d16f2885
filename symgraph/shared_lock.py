"""A lock that many readers or one writer hold; it survives fork."""

from __future__ import annotations

import os
import threading

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class SharedLock:
    """Guards one piece of state: calls that only read it run side by side, an update runs alone.

    In a child of fork every lock is free, whatever other threads of the parent held.
    """

    __slots__ = ("_entry", "_forks", "_readers", "_room")

    def __init__(self) -> None:
        """Make a free lock."""
        self._reset()

    def _reset(self) -> None:
        self._forks = _forks
        self._entry = threading.Lock()
        self._room = threading.Lock()
        self._readers = 0

    def acquire_shared(self) -> None:
        """Enter as a reader; wait while a writer is inside."""
        if self._forks != _forks:
            self._reset()
        with self._entry:
            if self._readers == 0:
                self._room.acquire()
            self._readers += 1

    def release_shared(self) -> None:
        """Leave as a reader."""
        with self._entry:
            self._readers -= 1
            if self._readers == 0:
                self._room.release()

    def acquire(self) -> None:
        """Enter as the writer; wait until nobody is inside."""
        if self._forks != _forks:
            self._reset()
        self._room.acquire()

    def release(self) -> None:
        """Leave as the writer."""
        self._room.release()
