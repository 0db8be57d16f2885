"""A thread pool for kernels: Python daemon threads parked inside a native worker loop.

The native side (`native_code.run_pooled` and `work`) hands out chunks with an atomic counter. This
module only owns the memory of pools and the lives of their threads. Structs are never freed: a
worker may look at one until the process ends, and a child of fork keeps those of its parent.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable

from symgraph.runtime import native as at

# About 0.1 ms on x86: longer than the gaps between kernels, shorter than anyone would notice.
_SPINS = 2000
_FUTEX_NUMBERS = {"x86_64": 202, "aarch64": 98}
_CACHE_LINE = 64
_IDLE_SECONDS = 0.001
_JOIN_SECONDS = 1.0

_lock = threading.Lock()
_started: dict[int, int] = {}  # threads wanted -> struct, for pools whose threads run
_structs: dict[int, int] = {}  # size -> struct
_threads: list[threading.Thread] = []
_closed = False


def available_cpus() -> int:
    """Returns the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get(threads: int | None = None) -> int:
    """Returns a running pool.

    Args:
        threads: how many threads work on a kernel, the caller included; None for every CPU.

    Returns:
        The address for a frame's POOL word, 0 for serial execution. Asking again is cheap, and
        restarts the threads in a child of fork.
    """
    wanted = threads or 0
    struct = _started.get(wanted)
    return _start(wanted) if struct is None else struct


def _start(wanted: int) -> int:
    with _lock:
        size = min(wanted or available_cpus(), available_cpus())
        if size <= 1 or _closed:
            struct = 0
        else:
            struct = _running_struct(size)
        if not _closed:
            _started[wanted] = struct
        return struct


def _running_struct(size: int) -> int:
    """Returns the struct of a size, with its threads running; call it with the lock held."""
    if any(struct == _structs.get(size) for struct in _started.values()):
        return _structs[size]
    if size not in _structs:
        _structs[size] = _new_struct()
    struct = _structs[size]
    work = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(at.address("work"))
    for index in range(1, size):
        thread = threading.Thread(
            target=_serve, args=(work, struct), name=f"symgraph-{size}-{index}", daemon=True
        )
        thread.start()
        _threads.append(thread)
    return struct


def _serve(work: Callable[[int], int], struct: int) -> None:
    while work(struct) == at.WORK_IDLE:
        # No futex on this platform: look again soon, without burning a CPU.
        time.sleep(_IDLE_SECONDS)


def _new_struct() -> int:
    memory = (ctypes.c_int64 * (at.POOL_WORDS + _CACHE_LINE // at.WORD))()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
    struct = -(-ctypes.addressof(memory) // _CACHE_LINE) * _CACHE_LINE
    _reset(struct)
    return struct


def _reset(struct: int) -> None:
    words = _words(struct)
    words[:] = [0] * at.POOL_WORDS
    words[at.SPINS] = _SPINS
    number = _FUTEX_NUMBERS.get(os.uname().machine) if sys.platform == "linux" else None
    if number is not None:
        words[at.SYSCALL] = ctypes.cast(ctypes.CDLL(None).syscall, ctypes.c_void_p).value or 0
        words[at.FUTEX] = number


def _words(struct: int) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * at.POOL_WORDS).from_address(struct)


def _stop() -> None:
    """Lets all workers return, so that the interpreter shuts down without threads in flight."""
    global _closed
    with _lock:
        _closed = True
        _started.clear()
        for struct in _structs.values():
            words = _words(struct)
            words[at.STOP] = 1
            _wake(words)
    deadline = time.monotonic() + _JOIN_SECONDS
    for thread in _threads:
        thread.join(max(deadline - time.monotonic(), 0.0))


def _wake(words: ctypes.Array[ctypes.c_int64]) -> None:
    # A worker about to sleep compares the generation: a value that no job gives keeps it awake.
    words[at.GENERATION] += 1 << 20
    if words[at.SYSCALL]:
        place = ctypes.c_void_p(ctypes.addressof(words) + at.GENERATION * at.WORD)
        ctypes.CDLL(None).syscall(ctypes.c_long(words[at.FUTEX]), place, 129, 0x7FFFFFFF, None)


def _forget_threads() -> None:
    """Puts a child of fork in order: it has the structs of its parent, but none of the threads."""
    global _lock
    _lock = threading.Lock()
    _started.clear()
    _threads.clear()
    for struct in _structs.values():
        _reset(struct)


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
