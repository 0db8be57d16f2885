"""Defines the memory layouts shared with native code, and hands out the native functions.

Every block is an array of int64 words; the constants are word indices. The code itself is in
`native_code`, which needs numba and is imported only when the object-code cache has no entry.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from symgraph.runtime.jit import CompiledObject, compile_ir, get_native

WORD = 8

# Instruction rows: 8 words each.
ROW_WORDS = 8
OPCODE, FUNCTION, ARGUMENTS, EXTENT, GRAIN, TARGET, RECORD = range(7)
CALL, JUMP, JUMP_IF_FALSE, COMMIT, HALT, LOOP, NEXT = range(7)

# Loop records, to which RECORD points.
LOOP_WORDS = 8
LOOP_LIMIT = 0  # steps at most
LOOP_LEFT = 1  # steps left, the current one included; managed by native code
LOOP_REVERSE = 2  # 1 if windows start at the last row
LOOP_COUNTED = 3  # 1 if the first argument of LOOP points to the number of steps
LOOP_STATUS = 4  # the status if the limit is reached, 0 if that is how the loop ends
MOVES, MOVE_COUNT = 5, 6  # address and number of the move rows

# Move rows: *word = *origin + first * row at the start, *word += step behind each step of a loop.
MOVE_WORDS = 4
MOVE_WORD, MOVE_ORIGIN, MOVE_ROW, MOVE_STEP = range(4)

# The frame: one execution of one plan.
TABLE = 0  # address of the instruction rows
COUNT = 1  # number of rows
STATUS = 2  # address of the status word: 0, or the positive code of a failed check
POOL = 3  # address of a thread pool, 0 for serial execution
COMMITTED = 4  # 1 after COMMIT; managed by native code
SLICE = 5  # nanoseconds after which `run` comes back
CLOCK = 6  # address of clock_gettime, 0 where there is none
PROFILE = 7  # address of (nanoseconds, count) pairs per instruction, 0 when off
PATCHES = 8  # address of patch rows
PATCH_COUNT = 9
BASES = 10  # address of the base pointers that patches refer to
FEEDS = 11  # address of feed rows
FEED_COUNT = 12
ARRAY_TYPE = 13  # address of the type object of numpy.ndarray
SCRATCH = 14  # two words: a timespec
FRAME_WORDS = 16

# Third argument of `run` in place of the address of feeds: start with what is bound, or go on.
BOUND, RESUME = -1, 0

# Patch rows: *slot = bases[base] + offset, before the first instruction.
PATCH_WORDS = 3
PATCH_SLOT, PATCH_BASE, PATCH_OFFSET = range(3)

# Feed rows: what the k-th array must be, and where its data pointer goes.
FEED_WORDS = 4
FEED_DTYPE = 0  # address of the canonical numpy.dtype object
FEED_RANK = 1
FEED_DIMS = 2  # address of the extents, int64 each
FEED_BASE = 3  # index into the bases

# What `run` returns besides the program counter (>= 0) at which it was sliced.
HALTED = -1
# A failed check with status s gives HALTED - s. A damaged table gives:
BAD_TABLE = -(2**61)
# The k-th feed is not as expected: MISMATCH - k. Nothing has run.
MISMATCH = -(2**62)

# A thread pool. Words that different threads write are a cache line (8 words) apart.
GENERATION = 0  # counts jobs; idle workers wait for it to change
SLEEPERS = 1  # workers that may have to be woken
MEMBERSHIP = 8  # 1 while a job is open + 2 for each worker inside
WAITING = 9  # the caller sleeps until the last worker has left
NEXT_CHUNK = 16
JOB_FUNCTION, JOB_ARGUMENTS, JOB_EXTENT, JOB_GRAIN = range(24, 28)
BUSY = 32  # somebody runs a job
STOP = 40  # workers shall return
SYSCALL = 41  # address of syscall(2), 0 where futexes are not available
FUTEX = 42  # number of the futex system call
SPINS = 43  # pauses before a worker or a waiting caller goes to sleep
POOL_WORDS = 48

# What `work` returns.
WORK_STOPPED, WORK_IDLE = 1, 0

# PyArrayObject and PyTupleObject of CPython on 64-bit machines, in bytes; verified before use.
OBJECT_TYPE = 8
ARRAY_DATA, ARRAY_RANK, ARRAY_DIMS, ARRAY_DTYPE, ARRAY_FLAGS = 16, 24, 32, 56, 64
TUPLE_ITEMS = 24
# NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
REQUIRED_FLAGS = 0x0001 | 0x0100


_ARITIES = {"run": 3, "bind": 2, "work": 1}


@functools.cache
def address(name: str) -> int:
    """Returns the address of a native function of the runtime.

    Args:
        name: "run", "bind" or "work"; int64 in and out, see `native_code`.

    Returns:
        Its address.
    """
    return get_native(f"runtime:{name}\n{_source_text()}", lambda: _compile(name))


@functools.cache
def _source_text() -> str:
    files = ("native.py", "native_code.py", "translate.py", "primitives.py")
    return "\n".join(map(_read, files))


def _read(name: str) -> str:
    # Not pathlib: importing it takes longer than loading all native functions.
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


def _compile(name: str) -> CompiledObject:
    from numba import types

    from symgraph.runtime import native_code
    from symgraph.runtime.translate import translate

    source = _read("native_code.py")

    def build(builder: Any, *values: Any) -> Any:
        function = translate(source, vars(native_code), name, builder.module)
        return builder.call(function, values)

    return compile_ir(build, types.int64(*[types.int64] * _ARITIES[name]))
