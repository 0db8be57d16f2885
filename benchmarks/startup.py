"""How long a fresh process takes to its first result, with an empty cache and with a filled one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Spread, spread

_PROBE = Path(__file__).with_name("startup_probe.py")
_ROOT = Path(__file__).parents[1]


def measure_startup(repeats: int, probe: Path = _PROBE) -> dict[str, Spread]:
    """Start processes that compile and take one training step of an MLP.

    Args:
        repeats: How many rounds; each has a floor, a cold and a warm process, in this order.
        probe: The program to run.

    Returns:
        Nanoseconds: of compiling with an empty cache, and from the start of the process to its
        first result for NumPy alone, with an empty cache, and in the process after that.
    """
    floor, compiling, cold, warm = [], [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="symgraph-startup-") as folder:
            floor.append(run_probe(probe, "numpy", folder)["total"])
            first = run_probe(probe, "symgraph", folder)
            compiling.append(first["compile"])
            cold.append(first["total"])
            warm.append(run_probe(probe, "symgraph", folder)["total"])
    return {
        "NumPy alone: process start to first result": spread(floor),
        "empty cache: compile and first step": spread(compiling),
        "empty cache: process start to first result": spread(cold),
        "second process: start to first result": spread(warm),
    }


def run_probe(probe: Path, argument: str, cache: str) -> dict[str, float]:
    """Run a probe in a fresh process.

    Args:
        probe: The program to run; it prints its times as JSON, and when it was done as `finished`.
        argument: What it is given.
        cache: The folder of its kernel cache.

    Returns:
        What it printed, and as `total` the nanoseconds from before the process was made.
    """
    # The probe must use the symgraph of this tree, as its parent does.
    environment = {**os.environ, "SYMGRAPH_CACHE_DIR": cache, "PYTHONPATH": str(_ROOT)}
    # The monotonic clock is one for all processes, so the probe's reading of it can be compared.
    started = time.monotonic_ns()
    finished = subprocess.run(
        [sys.executable, str(probe), argument],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    times: dict[str, float] = json.loads(finished.stdout)
    return {**times, "total": times["finished"] - started}
