"""A thread that prepares what comes next while the caller works on what came before.

Consumer and thread share two queues and a flag. The queues are `SimpleQueue`s: the only ones that a
finaliser may use, for it may run in the middle of any other statement.
"""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

THREAD_NAME = "symgraph-prefetch"
# How long a finaliser waits for the thread. It may run anywhere, also where a lock is held that the
# thread needs: then waiting for ever would be a deadlock.
_LAST_WAIT_SECONDS = 5.0


class _Failure:
    """Carries an exception from the thread to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


class _Line:
    """What the consumer and the thread share; it knows neither of them, so both can go away."""

    def __init__(self) -> None:
        # True orders one item, False ends the thread.
        self.orders: SimpleQueue[bool] = SimpleQueue()
        self.results: SimpleQueue[Any] = SimpleQueue()
        self.is_open = True
        self.process = os.getpid()
        self.thread: threading.Thread | None = None


def _prepare(line: _Line, begin: Callable[[], Iterator[Any]]) -> None:
    """Prepare one item for each order: the thread's work."""
    try:
        items = begin()
        while line.orders.get() and line.is_open:
            # Not kept in a name: it would live on while this thread waits.
            line.results.put(next(items, _END))
    # Whatever was raised belongs to the consumer, who raises it again.
    except BaseException as error:
        line.results.put(_Failure(error))


def _shut(line: _Line, seconds: float | None = _LAST_WAIT_SECONDS) -> None:
    """End the thread of a line, and whoever waits for its results."""
    line.is_open = False
    if line.process != os.getpid():
        # A forked child has the queues, but not the thread.
        return
    line.orders.put(False)
    line.results.put(_END)
    thread = line.thread
    # It was never started where the system has no more threads to give.
    if thread is not None and thread.is_alive() and thread is not threading.current_thread():
        thread.join(seconds)


class Prefetched(Iterator[Item], Generic[Item]):
    """Iterates in order over items that a thread prepares ahead.

    An exception in the thread is raised again where the item would have come, the same object with
    its traceback. The thread ends with the items, with `close()` (also at the end of a `with`
    block), when the iterator is dropped, and when the interpreter ends. In a forked child, which
    has no thread, the next item starts one, and no item is lost.

    Args:
        begin: gives an iterator over the items from the one with a number on. It runs in the
            thread, in a copy of the caller's context.
        ahead: how many items are prepared at most before they are asked for.

    Example:
        >>> squares = Prefetched(lambda first: (n * n for n in range(first, 4)), ahead=2)
        >>> list(squares)
        [0, 1, 4, 9]
    """

    def __init__(self, begin: Callable[[int], Iterator[Item]], ahead: int) -> None:
        """Start the thread."""
        self._begin_at = begin
        self._ahead = ahead
        self._given = 0
        self._is_over = False
        self._start()

    def _start(self) -> None:
        line = _Line()
        begin_at, given = self._begin_at, self._given
        context = contextvars.copy_context()
        line.thread = threading.Thread(
            target=context.run,
            args=(_prepare, line, lambda: begin_at(given)),
            name=THREAD_NAME,
            # Otherwise the interpreter would wait for it before it runs finalisers.
            daemon=True,
        )
        for _ in range(self._ahead):
            line.orders.put(True)
        self._line = line
        self._finalizer = weakref.finalize(self, _shut, line)
        line.thread.start()

    def __iter__(self) -> Prefetched[Item]:
        return self

    def __next__(self) -> Item:
        if self._is_over:
            raise StopIteration
        if self._line.process != os.getpid():
            self._finalizer.detach()
            self._start()
        result = self._line.results.get()
        if result is _END or isinstance(result, _Failure):
            # There may be further consumers, in other threads, who wait too.
            self._line.results.put(_END)
            self.close()
            if isinstance(result, _Failure):
                try:
                    raise result.error
                finally:
                    # Its traceback refers to this frame: together they would be a cycle.
                    del result
            raise StopIteration
        self._given += 1
        self._line.orders.put(True)
        item: Item = result
        return item

    def close(self) -> None:
        """End the thread; there are no further items. What it is at is finished first."""
        self._is_over = True
        if self._finalizer.detach() is not None:
            _shut(self._line, seconds=None)

    def __enter__(self) -> Prefetched[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
