"""The native executor, feed reader and pool worker.

Python restricted to int64 values, for `translate` to compile. Memory is addressed by integers:
`peek(address, index)` reads the index-th word; `native` names the indices.
"""

from __future__ import annotations

from symgraph.runtime import native as at
from symgraph.runtime.memory import (
    atomic_add,
    atomic_load,
    atomic_store,
    call_clock,
    call_futex,
    call_kernel,
    compare_and_swap,
    pause,
    peek,
    peek_byte,
    peek_int32,
    poke,
)

# One instruction costs this much of the work budget besides its extent.
_STEP_COST = 1024
# The clock is read when the budget is used up: after 16 instructions or one large one...
_FULL_BUDGET = 16 * _STEP_COST
# ...or after every instruction, once a budget has lasted for this many nanoseconds.
_COARSE_NANOSECONDS = 2_000_000

_ROW_BYTES = at.ROW_WORDS * at.WORD
_MONOTONIC = 1
_FUTEX_WAIT, _FUTEX_WAKE, _EVERYBODY = 128, 129, 0x7FFFFFFF


# --- feeds --------------------------------------------------------------------------------------


def feed_fits(array: int, row: int, array_type: int) -> int:
    """Tells whether an object is an ndarray of the expected dtype, extents and layout."""
    if peek(array + at.OBJECT_TYPE, 0) != array_type:
        return 0
    if peek(array + at.ARRAY_DTYPE, 0) != peek(row, at.FEED_DTYPE):
        return 0
    rank = peek(row, at.FEED_RANK)
    if peek_int32(array + at.ARRAY_RANK) != rank:
        return 0
    flags = peek_int32(array + at.ARRAY_FLAGS)
    if (flags & at.REQUIRED_FLAGS) != at.REQUIRED_FLAGS:
        return 0
    dims = peek(array + at.ARRAY_DIMS, 0)
    expected = peek(row, at.FEED_DIMS)
    for axis in range(rank):
        if peek(dims, axis) != peek(expected, axis):
            return 0
    return 1


def bind(frame: int, objects: int) -> int:
    """Reads the feeds: -1 when all fit, else the index of the first that does not."""
    rows = peek(frame, at.FEEDS)
    bases = peek(frame, at.BASES)
    array_type = peek(frame, at.ARRAY_TYPE)
    for index in range(peek(frame, at.FEED_COUNT)):
        array = peek(objects, index)
        row = rows + index * at.FEED_WORDS * at.WORD
        if not feed_fits(array, row, array_type):
            return index
        poke(bases, peek(row, at.FEED_BASE), peek(array + at.ARRAY_DATA, 0))
    return -1


# --- pool ---------------------------------------------------------------------------------------


def claim_chunks(pool: int) -> None:
    """Runs chunks of the open job until none is left."""
    function = peek(pool, at.JOB_FUNCTION)
    arguments = peek(pool, at.JOB_ARGUMENTS)
    extent = peek(pool, at.JOB_EXTENT)
    grain = peek(pool, at.JOB_GRAIN)
    while True:
        low = atomic_add(pool, at.NEXT_CHUNK, 1) * grain
        if low >= extent:
            return
        # Written so that low + grain cannot overflow.
        high = extent if extent - low < grain else low + grain
        call_kernel(function, arguments, low, high)


def wait_for_stragglers(pool: int) -> None:
    """Returns when no worker is inside the job that the caller has just closed."""
    spins = 0
    while atomic_load(pool, at.MEMBERSHIP) != 0:
        pause()
        spins += 1
        if spins > peek(pool, at.SPINS) and peek(pool, at.SYSCALL) != 0:
            atomic_store(pool, at.WAITING, 1)
            inside = atomic_load(pool, at.MEMBERSHIP)
            if inside != 0:
                futex(pool, at.MEMBERSHIP, _FUTEX_WAIT, inside)
            atomic_store(pool, at.WAITING, 0)


def futex(pool: int, word: int, operation: int, value: int) -> None:
    """Waits on a word of the pool while it holds the value, or wakes those who wait."""
    call_futex(peek(pool, at.SYSCALL), peek(pool, at.FUTEX), pool + word * 8, operation, value)


def run_pooled(pool: int, function: int, arguments: int, extent: int, grain: int) -> None:
    """Runs one kernel over [0, extent) with the pool's workers, or alone when it is busy."""
    if not compare_and_swap(pool, at.BUSY, 0, 1):
        call_kernel(function, arguments, 0, extent)
        return
    poke(pool, at.JOB_FUNCTION, function)
    poke(pool, at.JOB_ARGUMENTS, arguments)
    poke(pool, at.JOB_EXTENT, extent)
    poke(pool, at.JOB_GRAIN, grain)
    atomic_store(pool, at.NEXT_CHUNK, 0)
    # Opening publishes the job. A worker joins by adding 2 and reading the open bit in one step,
    # so it either sees a complete job and is waited for, or sees no job at all.
    atomic_add(pool, at.MEMBERSHIP, 1)
    atomic_add(pool, at.GENERATION, 1)
    if atomic_load(pool, at.SLEEPERS) > 0:
        futex(pool, at.GENERATION, _FUTEX_WAKE, _EVERYBODY)
    claim_chunks(pool)
    atomic_add(pool, at.MEMBERSHIP, -1)
    wait_for_stragglers(pool)
    atomic_store(pool, at.BUSY, 0)


def work(pool: int) -> int:
    """Serves jobs until told to stop (1), or until idle where no futex can be waited on (0)."""
    seen = atomic_load(pool, at.GENERATION)
    spins = 0
    while True:
        if atomic_load(pool, at.STOP) != 0:
            return at.WORK_STOPPED
        generation = atomic_load(pool, at.GENERATION)
        if generation != seen:
            seen = generation
            spins = 0
            if atomic_add(pool, at.MEMBERSHIP, 2) & 1:
                claim_chunks(pool)
            if atomic_add(pool, at.MEMBERSHIP, -2) == 2 and atomic_load(pool, at.WAITING) != 0:
                futex(pool, at.MEMBERSHIP, _FUTEX_WAKE, _EVERYBODY)
            continue
        pause()
        spins += 1
        if spins > peek(pool, at.SPINS):
            if peek(pool, at.SYSCALL) == 0:
                return at.WORK_IDLE
            atomic_add(pool, at.SLEEPERS, 1)
            # Sleeps only if no job was opened since `seen` was read: the kernel compares.
            futex(pool, at.GENERATION, _FUTEX_WAIT, seen)
            atomic_add(pool, at.SLEEPERS, -1)
            spins = 0


# --- executor -----------------------------------------------------------------------------------


def read_clock(frame: int) -> int:
    """Returns monotonic nanoseconds, or 0 where there is no clock."""
    clock = peek(frame, at.CLOCK)
    if clock == 0:
        return 0
    call_clock(clock, _MONOTONIC, frame + at.SCRATCH * 8)
    return peek(frame, at.SCRATCH) * 1_000_000_000 + peek(frame, at.SCRATCH + 1)


def start(frame: int) -> None:
    """Writes the pointers of this call into the argument blocks and clears the status."""
    patches = peek(frame, at.PATCHES)
    bases = peek(frame, at.BASES)
    for index in range(peek(frame, at.PATCH_COUNT)):
        row = patches + index * at.PATCH_WORDS * at.WORD
        base = peek(bases, peek(row, at.PATCH_BASE))
        poke(peek(row, at.PATCH_SLOT), 0, base + peek(row, at.PATCH_OFFSET))
    poke(peek(frame, at.STATUS), 0, 0)
    poke(frame, at.COMMITTED, 0)


def finish(frame: int) -> int:
    """Ends a run: HALTED, or the failure that the status word holds."""
    return at.HALTED - peek(peek(frame, at.STATUS), 0)


def run_call(frame: int, row: int, extent: int) -> None:
    """Runs one kernel, with the pool where its grain allows."""
    grain = peek(row, at.GRAIN)
    pool = peek(frame, at.POOL)
    function = peek(row, at.FUNCTION)
    arguments = peek(row, at.ARGUMENTS)
    if pool != 0 and grain > 0 and extent > grain:
        run_pooled(pool, function, arguments, extent, grain)
    else:
        call_kernel(function, arguments, 0, extent)


def run_profiled(frame: int, row: int, extent: int, pc: int) -> None:
    """Runs one kernel and adds to its profile."""
    started = read_clock(frame)
    run_call(frame, row, extent)
    record = peek(frame, at.PROFILE) + pc * 16
    poke(record, 0, peek(record, 0) + read_clock(frame) - started)
    poke(record, 1, peek(record, 1) + 1)


def enter_loop(row: int, pc: int) -> int:
    """Puts the windows of a loop at their first rows; where to go on."""
    loop = peek(row, at.RECORD)
    steps = peek(loop, at.LOOP_LIMIT)
    if peek(loop, at.LOOP_COUNTED) != 0:
        counted = peek(peek(peek(row, at.ARGUMENTS), 0), 0)
        if counted < steps:
            steps = counted
    if steps <= 0:
        return peek(row, at.TARGET)
    poke(loop, at.LOOP_LEFT, steps)
    first = steps - 1 if peek(loop, at.LOOP_REVERSE) != 0 else 0
    moves = peek(loop, at.MOVES)
    for index in range(peek(loop, at.MOVE_COUNT)):
        move = moves + index * at.MOVE_WORDS * at.WORD
        origin = peek(peek(move, at.MOVE_ORIGIN), 0)
        poke(peek(move, at.MOVE_WORD), 0, origin + first * peek(move, at.MOVE_ROW))
    return pc


def next_step(frame: int, row: int, pc: int) -> int:
    """Moves the windows of a loop on; where to go on, or -1 if the run has failed.

    It has if a kernel reported a problem, after which the loop might never end, or if the loop
    takes too many steps.
    """
    status = peek(frame, at.STATUS)
    if peek(status, 0) != 0:
        return -1
    loop = peek(row, at.RECORD)
    left = peek(loop, at.LOOP_LEFT) - 1
    poke(loop, at.LOOP_LEFT, left)
    if left <= 0:
        failure = peek(loop, at.LOOP_STATUS)
        if failure == 0:
            return pc
        poke(status, 0, failure)
        return -1
    moves = peek(loop, at.MOVES)
    for index in range(peek(loop, at.MOVE_COUNT)):
        move = moves + index * at.MOVE_WORDS * at.WORD
        word = peek(move, at.MOVE_WORD)
        poke(word, 0, peek(word, 0) + peek(move, at.MOVE_STEP))
    return peek(row, at.TARGET)


def walk(frame: int, pc: int) -> int:
    """Runs instructions from pc on until the slice, or all, is over."""
    table = peek(frame, at.TABLE)
    count = peek(frame, at.COUNT)
    profile = peek(frame, at.PROFILE)
    budget = _FULL_BUDGET
    looked = read_clock(frame)
    deadline = looked + peek(frame, at.SLICE)
    while 0 <= pc < count:
        if budget <= 0 and peek(frame, at.COMMITTED) == 0:
            now = read_clock(frame)
            if now >= deadline:
                return pc
            budget = _FULL_BUDGET if now - looked < _COARSE_NANOSECONDS else 0
            looked = now
        row = table + pc * _ROW_BYTES
        opcode = peek(row, at.OPCODE)
        budget -= _STEP_COST
        pc += 1
        if opcode == at.CALL:
            extent = peek(row, at.EXTENT)
            if extent > 0:
                budget -= extent
                if profile != 0:
                    run_profiled(frame, row, extent, pc - 1)
                else:
                    run_call(frame, row, extent)
        elif opcode == at.JUMP:
            pc = peek(row, at.TARGET)
        elif opcode == at.JUMP_IF_FALSE:
            if peek_byte(peek(peek(row, at.ARGUMENTS), 0)) == 0:
                pc = peek(row, at.TARGET)
        elif opcode == at.LOOP:
            pc = enter_loop(row, pc)
        elif opcode == at.NEXT:
            pc = next_step(frame, row, pc)
            if pc < 0:
                return finish(frame)
        elif opcode == at.COMMIT:
            if peek(peek(frame, at.STATUS), 0) != 0:
                return finish(frame)
            poke(frame, at.COMMITTED, 1)
        elif opcode == at.HALT:
            return finish(frame)
        else:
            break
    return at.BAD_TABLE


def run(frame: int, pc: int, objects: int) -> int:
    """Starts or resumes a frame: the pc at which it was sliced, HALTED, or a failure.

    `objects` is the address of the feeds (pointers to objects) to bind before a start, or BOUND to
    start without, or RESUME to go on after a slice.
    """
    if objects != at.RESUME:
        if objects != at.BOUND:
            mismatch = bind(frame, objects)
            if mismatch >= 0:
                return at.MISMATCH - mismatch
        start(frame)
    return walk(frame, pc)
