"""Progress of an epoch, as a bar or as lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

REFRESH_SECONDS = 0.1
"""How often a bar shows new numbers; without a terminal a hundred times less often."""


class Progress:
    """Shows how an epoch goes: loss, metrics, steps per second, and the time that is left.

    Args:
        verbose: 0 for nothing, 1 for a bar, 2 for one line at the end of each epoch.
        title: what begins the line, such as `epoch 3/5`.
        total: the number of steps, None if it is not known.
        done: how many of them were made before.
    """

    def __init__(self, verbose: int, title: str, total: int | None, done: int = 0) -> None:
        """Show the bar."""
        self._verbose, self._title = verbose, title
        self._started = time.perf_counter()
        self._shown = self._started
        self._interval = REFRESH_SECONDS * (1 if sys.stderr.isatty() else 100)
        self._steps = done
        self._bar = _bar(title, total, done, self._interval) if verbose == 1 else None

    def step(self, means: Callable[[], Mapping[str, float]]) -> None:
        """Count a step.

        Args:
            means: returns what to show, and is only called when it is time to.
        """
        self._steps += 1
        if self._bar is None:
            return
        now = time.perf_counter()
        if now - self._shown >= self._interval:
            self._shown = now
            self._bar.set_postfix_str(listed(means()), refresh=False)
        self._bar.update()

    def finish(self, means: Mapping[str, float]) -> None:
        """Show the numbers of the whole epoch."""
        if self._bar is not None:
            self._bar.set_postfix_str(listed(means))
        elif self._verbose == 2:
            seconds = time.perf_counter() - self._started
            print(f"{self._title}: {listed(means)} ({self._steps} steps, {seconds:.1f} s)")

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def listed(numbers: Mapping[str, float]) -> str:
    """Return numbers with their names, short enough for one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())


def _bar(title: str, total: int | None, done: int, interval: float) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
        # No thread that looks after bars: it would be in the way of a fork.
        monitor_interval = 0

    return Bar(
        total=total,
        initial=done,
        desc=title,
        unit="step",
        mininterval=interval,
        dynamic_ncols=True,
        file=sys.stderr,
    )
