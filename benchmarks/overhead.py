"""What a call costs before any work is done, and what one instruction of the plan costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Spread, sample_interleaved, spread

_FEEDS = 10
_SHORT, _LONG = 10, 1010


def measure_overhead(repeats: int) -> dict[str, Spread]:
    """Time calls with ten feeds, and the slope of a call's time over the length of its plan.

    Args:
        repeats: How many interleaved rounds.

    Returns:
        Nanoseconds: of a Python call with as many keywords, of a compiled call, and per
        instruction. The last is an upper bound, since each also runs the smallest of kernels.
    """
    samples = sample_interleaved(
        {
            "python": _python_call(),
            "call": _ten_feeds(),
            "short": _instructions(_SHORT),
            "long": _instructions(_LONG),
        },
        repeats,
    )
    slopes = (samples["long"] - samples["short"]) / (_LONG - _SHORT)
    return {
        f"Python call, {_FEEDS} keywords": spread(samples["python"]),
        f"symgraph call, {_FEEDS} feeds": spread(samples["call"]),
        "symgraph, per instruction": spread(slopes),
    }


def _feeds() -> dict[str, np.ndarray[Any, Any]]:
    return {f"x{index}": np.full(1, float(index)) for index in range(_FEEDS)}


def _python_call() -> Callable[[], Any]:
    feeds = _feeds()

    def function(**arrays: np.ndarray[Any, Any]) -> None:
        """Take the feeds and do nothing."""

    return lambda: function(**feeds)


def _ten_feeds() -> Callable[[], Any]:
    """Return a call of a compiled sum of ten vectors with one element each."""
    import symgraph as sg

    feeds = _feeds()
    total: Any = sg.Constant(0.0)
    for name in feeds:
        total = total + sg.Placeholder(name, shape=("N",), dtype="float64")
    function = sg.compile(total, threads=1)
    return lambda: function(**feeds)


def _instructions(length: int) -> Callable[[], Any]:
    """Return a call of a chain of running sums, which no fusion can merge, over one element."""
    import symgraph as sg

    value: Any = sg.Placeholder("x", shape=("N",), dtype="float64")
    for _ in range(length):
        value = sg.cumsum(value, axis=0)
    function = sg.compile(value, threads=1)
    one = np.ones(1)
    return lambda: function(x=one)
