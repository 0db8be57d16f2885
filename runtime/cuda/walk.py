"""Walking the instructions of a plan: the host starts kernels, jumps, and moves windows.

Between two instructions there is Python, so Ctrl-C is heard, also in a loop that never ends. What
repeats is recorded into a graph and needs no walking any more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from symgraph.runtime.cuda.device import Device
from symgraph.runtime.cuda.rows import LoopState, Row, Rows
from symgraph.runtime.interrupts import postponed_interrupts
from symgraph.runtime.plan import Opcode

Observer = Callable[[int, Callable[[], None]], None]


class FailedRun(Exception):  # becomes a FailedCheckError of the executable
    """Says with which status a run has failed as far as the host knows."""

    def __init__(self, status: int) -> None:
        """Keep the status."""
        super().__init__(status)
        self.status = status


def walk(rows: Rows, device: Device, observe: Observer | None = None) -> None:
    """Start everything that a run does, in order; the device may still be at work afterwards.

    Args:
        rows: the instructions; their words point to what is fed.
        device: where they run; the caller holds `using()`.
        observe: is given the number of each call of a kernel and what makes that call.

    Raises:
        FailedRun: the host found that the run has failed. Nothing has been committed.
        KeyboardInterrupt: Ctrl-C before the commit; nothing has been committed.
    """
    position = 0
    while rows.rows[position].opcode not in (Opcode.COMMIT, Opcode.HALT):
        position = _step(rows, device, position, 0, observe)
    if rows.rows[position].opcode is Opcode.HALT:
        return
    # Parameters change together: once the first update has begun, the last one is begun too.
    with nullcontext() if observe else postponed_interrupts():
        position += 1
        guard = rows.status if rows.may_fail else 0
        while rows.rows[position].opcode is not Opcode.HALT:
            position = _step(rows, device, position, guard, observe)


def _step(rows: Rows, device: Device, position: int, guard: int, observe: Observer | None) -> int:
    """Do one instruction and return the position of the next."""
    row = rows.rows[position]
    following = position + 1
    match row.opcode:
        case Opcode.CALL:
            if row.start is not None:
                _call(row, guard, position, observe)
        case Opcode.JUMP:
            return row.target
        case Opcode.JUMP_IF_FALSE:
            return following if device.read(row.words[0], "uint8") else row.target
        case Opcode.LOOP:
            return following if _enter(rows, row, device) else row.target
        case Opcode.NEXT:
            return row.target if _advance(rows, row, device) else following
        case _:
            raise AssertionError(f"{row.opcode.name} is handled by the caller")
    return following


def _call(row: Row, guard: int, position: int, observe: Observer | None) -> None:
    assert row.start is not None, "there is something to do"
    if observe is None:
        row.start(row.words, guard)
    else:
        start = row.start
        observe(position, lambda: start(row.words, guard))


def _enter(rows: Rows, row: Row, device: Device) -> bool:
    """Begin a loop; False if it takes no step."""
    loop = rows.loops[row.loop]
    loop.steps = _UNLIMITED if loop.limit is None else loop.limit
    if row.counted:
        loop.steps = min(loop.steps, device.read(row.words[0], "int64"))
    loop.step = 0
    if loop.steps <= 0:
        return False
    loop.place()
    return True


def _advance(rows: Rows, row: Row, device: Device) -> bool:
    """Go on to the next step of a loop; False if there is none.

    Raises:
        FailedRun: a kernel has reported a problem, after which the loop might never end, or the
            loop takes more steps than can be kept.
    """
    loop: LoopState = rows.loops[row.loop]
    if loop.watched and rows.may_fail:
        status = device.read(rows.status, "int64")
        if status:
            raise FailedRun(status)
    loop.step += 1
    if loop.step >= loop.steps:
        if loop.status:
            raise FailedRun(loop.status)
        return False
    loop.place()
    return True


def recorded(rows: Rows, device: Device) -> Any:
    """Return a graph that holds all that a run does; nothing is run."""
    return device.record(lambda: walk(rows, device))


_UNLIMITED = 1 << 62
