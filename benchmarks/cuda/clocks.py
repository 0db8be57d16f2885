"""How calls are timed: device events around them, and the clock of the host from idle to idle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.cuda.problem import Clock, Sample


def wall_clock(wait: Callable[[Any], Any] = lambda result: None) -> Clock:
    """Return a clock for what offers no events.

    Args:
        wait: returns when the device has finished the call that gave this result.
    """

    def timed(step: Callable[[], Any], calls: int) -> Sample:
        result = None
        started = time.perf_counter_ns()
        for _ in range(calls):
            result = step()
        wait(result)
        taken = (time.perf_counter_ns() - started) / calls
        return Sample(taken, taken)

    return timed


def cupy_clock(cupy: Any) -> Clock:
    """Return a clock of events in CuPy's current stream."""
    first, last = cupy.cuda.Event(), cupy.cuda.Event()

    def milliseconds() -> float:
        return float(cupy.cuda.get_elapsed_time(first, last))

    return _event_clock(
        first.record, last.record, cupy.cuda.Device().synchronize, last.synchronize, milliseconds
    )


def torch_clock(torch: Any) -> Clock:
    """Return a clock of events in PyTorch's current stream."""
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def milliseconds() -> float:
        return float(first.elapsed_time(last))

    return _event_clock(
        first.record, last.record, torch.cuda.synchronize, last.synchronize, milliseconds
    )


def _event_clock(
    begin: Callable[[], Any],
    end: Callable[[], Any],
    wait_for_all: Callable[[], Any],
    wait_for_end: Callable[[], Any],
    milliseconds: Callable[[], float],
) -> Clock:
    def timed(step: Callable[[], Any], calls: int) -> Sample:
        wait_for_all()
        started = time.perf_counter_ns()
        begin()
        for _ in range(calls):
            step()
        end()
        wait_for_end()
        wall = (time.perf_counter_ns() - started) / calls
        return Sample(milliseconds() * 1e6 / calls, wall)

    return timed
