"""Ctrl-C, held back where it would leave the process broken."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def postponed_interrupts() -> Iterator[None]:
    """Lets Ctrl-C take effect only behind the block.

    An import that is interrupted leaves half a package behind, which every later import then finds:
    a first compilation, which imports numba, is therefore not interrupted midway.
    """
    # Signals are handled by the main thread. A handler of None was not installed from Python.
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    pending: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if pending:
            signal.raise_signal(signal.SIGINT)
