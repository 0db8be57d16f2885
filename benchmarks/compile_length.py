"""How long a loop takes to compile with an empty cache, by how many steps it will take."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import Spread, spread
from benchmarks.startup import run_probe

_PROBE = Path(__file__).with_name("compile_length_probe.py")
_SHORT, _LONG = 10, 1000


def measure_compile_length(
    repeats: int, probe: Path = _PROBE
) -> tuple[dict[str, Spread], dict[str, Spread]]:
    """Compile the training step of an LSTM for a short and a long sequence, in fresh processes.

    Args:
        repeats: How many rounds; in each both lengths have a process and an empty cache of their
            own, and the next round starts with the other one.
        probe: The program to run.

    Returns:
        Nanoseconds by length, and the ratio of the long one to the short one in the same round.
    """
    samples: dict[int, list[float]] = {_SHORT: [], _LONG: []}
    for round_number in range(repeats):
        lengths = (_SHORT, _LONG) if round_number % 2 == 0 else (_LONG, _SHORT)
        for length in lengths:
            with tempfile.TemporaryDirectory(prefix="symgraph-compile-") as folder:
                times = run_probe(probe, str(length), folder)
            samples[length].append(times["compile"])
    names = {length: f"empty cache: compile an LSTM step of {length} steps" for length in samples}
    ratios = np.array(samples[_LONG]) / np.array(samples[_SHORT])
    return (
        {names[length]: spread(taken) for length, taken in samples.items()},
        {f"compile time, {_LONG} steps to {_SHORT}": spread(ratios)},
    )
