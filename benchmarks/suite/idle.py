"""Whether anything else computes on the machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

BUSY_CORES = 0.15
"""Above this the tables warn: a busy core slows peers whose threads wait for each other."""


def busy_cores(seconds: float) -> float:
    """Return how many cores were busy on average, while this process only waits.

    Args:
        seconds: How long to look.

    Returns:
        The number; 0 where the system does not say.
    """
    before = _busy_ticks()
    time.sleep(seconds)
    return (_busy_ticks() - before) / (seconds * os.sysconf("SC_CLK_TCK"))


def _busy_ticks() -> int:
    try:
        first, _, _ = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")
    except OSError:  # Another system than Linux.
        return 0
    user, nice, system, _idle, _waiting, *others = (int(part) for part in first.split()[1:])
    return user + nice + system + sum(others[:3])
