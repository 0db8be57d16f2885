"""The process of one peer and one workload: `python -m benchmarks.suite.worker PEER WORKLOAD N`.

N is the number of threads. It writes one line of JSON when three steps are done, and then one for
each line of JSON that it reads: `{"calls": n}` asks for a sample, `{}` for its end.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

CHECK_STEPS = 3
_PEER_FAILED = 1
_SLOW_NANOSECONDS = 300_000_000
"""A step that takes longer is timed at once: what it would be warmed up for is lost in it."""


def main(arguments: Sequence[str]) -> int:
    """Build, take the first steps, and then answer until there is nothing more to read.

    Args:
        arguments: The name of the peer, the workload, and the number of threads.

    Returns:
        The status of the process.
    """
    # Libraries print what they like; nothing of it may come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        return _serve(arguments, answers)
    except Exception as error:  # A peer may fail in any way, and its reason belongs in the tables.
        lines = str(error).strip().splitlines() or [""]
        _answer(answers, {"error": f"{type(error).__name__}: {lines[0][:200]}"})
        return _PEER_FAILED


def _serve(arguments: Sequence[str], answers: TextIO) -> int:
    from benchmarks.suite.peers import PEERS

    name, text, threads = arguments
    # Some peers ask the system how many threads they may have; this answers all of them.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    (peer,) = (peer for peer in PEERS if peer.name == name)
    started = time.monotonic_ns()
    build = peer.load()
    imported = time.monotonic_ns()
    held = memory("VmRSS")
    from benchmarks.suite.workloads import workload_of

    workload = workload_of(text)
    before = time.monotonic_ns()
    data = workload.data()
    made = time.monotonic_ns()
    built = build(workload, data, int(threads))
    result = built.step()
    built.wait()
    first = time.monotonic_ns()
    values = [_summary(built.read(result))]
    values += [_summary(built.read(built.step())) for _ in range(CHECK_STEPS - 1)]
    hello = {
        "import": imported - started,
        "data": made - before,
        "compile": first - made,
        "first": first,
        "values": values,
    }
    _answer(answers, hello)
    taken = 0.0
    for line in sys.stdin:
        asked = json.loads(line)
        if "calls" not in asked:
            break
        taken = _sample(built, asked["calls"], warmed=taken < _SLOW_NANOSECONDS)
        _answer(answers, {"nanoseconds": taken})
    _answer(answers, {"peak": memory("VmHWM") - held})
    return 0


def _sample(built: Any, calls: int, warmed: bool) -> float:
    """Return the mean time of a call; one that is not timed comes first where asked for."""
    if warmed:
        built.step()
        built.wait()
    started = time.perf_counter_ns()
    for _ in range(calls):
        built.step()
    built.wait()
    return (time.perf_counter_ns() - started) / calls


def _summary(arrays: Sequence[Any]) -> list[float]:
    """Return the loss, and of each gradient the length: what two peers must agree in."""
    import numpy as np

    first, *others = arrays
    return [float(first), *(float(np.linalg.norm(np.asarray(one))) for one in others)]


def memory(which: str) -> int:
    """Return bytes of memory of this process: `VmRSS`, what it holds, or `VmHWM`, its peak."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) * 1024
    return 0


def _answer(answers: TextIO, record: dict[str, Any]) -> None:
    answers.write(json.dumps(record) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
