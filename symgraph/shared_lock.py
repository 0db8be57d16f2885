"""Locks that survive fork and Ctrl-C: one that many readers or one writer hold, and one to compile.

Ctrl-C raises KeyboardInterrupt between any two steps of Python code, also between taking a lock and
noting that it was taken. Therefore a lock is taken and noted in a single call of a function written
in C, during which nothing can be raised: `held.extend(filter(acquire, locks))`.
"""

from __future__ import annotations

# Imported for its own hook around fork alone, which must be registered before ours: hooks run in
# reverse order. Else a fork would hold logging's lock while it waits for whoever compiles, and who
# imports numba for that asks for a logger.
import logging  # noqa: F401  # for its hook
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from operator import call
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_Lock = type(threading.Lock())
_acquire = _Lock.acquire
_release = _Lock.release
_exhaust: Callable[[Iterable[Any]], None] = deque[Any](maxlen=0).extend

COMPILING = threading.RLock()
"""Held while something is compiled. A fork waits for it, so that no child inherits half of it."""

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1
    COMPILING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=COMPILING.acquire,
        after_in_parent=COMPILING.release,
        after_in_child=_count_fork,
    )


class SharedLock:
    """Guards one piece of state: calls that only read it run side by side, an update runs alone.

    In a child of fork every lock is free, whatever other threads of the parent held. Use it through
    `run_shared` and `run_alone`.
    """

    __slots__ = ("_entry", "_forks", "_granted", "_leave", "_readers", "_room")

    def __init__(self) -> None:
        """Make a free lock."""
        self._reset()

    def _reset(self) -> None:
        self._forks = _forks
        self._entry = threading.Lock()
        self._room = threading.Lock()
        self._readers: set[object] = set()
        # Holds the room while the readers do.
        self._granted: list[Any] = []
        self._leave = (self._room.release, self._granted.clear)

    def room(self) -> Any:
        """Return the plain lock that a writer, or all readers together, hold."""
        if self._forks != _forks:
            self._reset()
        return self._room

    def enter(self, reader: object) -> None:
        """Let a reader in; wait while a writer is inside."""
        room = self.room()
        with self._entry:
            if not self._granted:
                self._granted.extend(filter(_acquire, (room,)))
            self._readers.add(reader)

    def leave(self, reader: object) -> None:
        """Let a reader out, if it is inside; the last one frees the room."""
        with self._entry:
            self._readers.discard(reader)
            if self._granted and not self._readers:
                _exhaust(map(call, self._leave))


def run_alone(
    locks: Sequence[SharedLock],
    work: Callable[Arguments, Result],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Result:
    """Return `work(...)`, called while nobody else reads or writes what `locks` guard.

    Args:
        locks: in an order that all callers share, lest two wait for each other.
        work: what to call.
        *args: its arguments.
        **kwargs: its named arguments.
    """
    rooms = [lock.room() for lock in locks]
    held: list[Any] = []
    releases = map(_release, held)
    try:
        held.extend(filter(_acquire, rooms))
        return work(*args, **kwargs)
    finally:
        _exhaust(releases)


def run_shared(
    locks: Sequence[SharedLock],
    work: Callable[Arguments, Result],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Result:
    """Return `work(...)`, called while nobody writes what `locks` guard.

    Args:
        locks: in an order that all callers share, lest two wait for each other.
        work: what to call.
        *args: its arguments.
        **kwargs: its named arguments.
    """
    reader = object()
    try:
        for lock in locks:
            lock.enter(reader)
        return work(*args, **kwargs)
    finally:
        try:
            _leave_all(locks, reader)
        except BaseException:
            # Ctrl-C came while leaving; leaving twice does no harm.
            _leave_all(locks, reader)
            raise


def _leave_all(locks: Sequence[SharedLock], reader: object) -> None:
    for lock in locks:
        lock.leave(reader)
