"""Measure a workload: start every peer in processes of its own, then let them take turns."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.measure import Spread, spread
from benchmarks.suite.idle import busy_cores
from benchmarks.suite.peers import Peer
from benchmarks.suite.process import KEEPING, PeerError, Process, Start, caches_in
from benchmarks.suite.workload import Workload

REFERENCE = "define_by_run"
"""Whose first steps the others are held against, where it is among them."""
TOLERANCE = 1e-3
SAMPLE_NANOSECONDS = 20_000_000
REST_SECONDS = 0.25
"""Pause before a turn: the threads of the one before spin on, those of OpenMP for up to 0.2 s."""
_FEWEST_ROUNDS = 3
_LOOK_SECONDS = 0.3
_WARM_STARTS, _WARM_SECONDS = 3, 2.0
_MORE_CALLS = 8


@dataclass(frozen=True)
class Plan:
    """How a run is made.

    Args:
        threads: of every peer.
        rounds: samples of every peer at most.
        seconds: how long all samples of one peer of a workload may take; fewer then.
        kept: whether peers are timed again with a C library that keeps freed memory.
        cold: whether starts with an empty cache are timed.
    """

    threads: int
    rounds: int
    seconds: float
    kept: bool = True
    cold: bool = True


@dataclass(frozen=True)
class Entry:
    """What one peer took for a workload; times in nanoseconds, memory in bytes.

    Args:
        peer: who.
        kept: whether its C library kept freed memory.
        step: a step.
        compiled: building and the first step with an empty cache.
        warm: from the start of a process with a filled cache to the first result.
        imported: importing the peer.
        peak: of a process with a filled cache, above what it held after its imports.
        void: why the times mean nothing, or None.
    """

    peer: str
    kept: bool
    step: Spread
    compiled: float | None
    warm: float
    imported: float
    peak: int
    void: str | None = None


@dataclass(frozen=True)
class Row:
    """What became of a workload.

    Args:
        workload: what was timed.
        entries: who was timed.
        skipped: why others were not, by name.
        busy: cores that were busy before anything was started.
    """

    workload: Workload
    entries: tuple[Entry, ...]
    skipped: Mapping[str, str]
    busy: float


Starter = Callable[[Peer, str, int, Mapping[str, str]], Process]


def start_worker(
    peer: Peer, workload: str, threads: int, environment: Mapping[str, str]
) -> Process:
    """Start the process of a peer and a workload."""
    return Process((peer.name, workload, str(threads)), environment)


@dataclass
class _Running:
    peer: Peer
    kept: bool
    process: Process
    starts: list[Start]
    compiled: float | None
    calls: int = 1
    samples: list[float] = field(default_factory=list)


def measure_row(
    workload: Workload, peers: Sequence[Peer], plan: Plan, start: Starter = start_worker
) -> Row:
    """Measure a workload; a peer that fails is left out with its reason, and the others go on.

    Args:
        workload: What to time.
        peers: Who runs it.
        plan: How.
        start: Starts the process of a peer.

    Returns:
        The times of those that ran, and why others did not.
    """
    busy = busy_cores(_LOOK_SECONDS)
    skipped: dict[str, str] = {}
    running: list[_Running] = []
    folder = Path(tempfile.mkdtemp(prefix="benchmarks-"))
    try:
        for peer in peers:
            if not peer.installed:
                skipped[peer.name] = f"{peer.module} is not installed"
                continue
            try:
                running += _started(workload, peer, plan, folder / peer.name, start)
            except PeerError as error:
                skipped[peer.name] = str(error)
        _take_turns(running, plan, skipped)
        entries = _finished(running, skipped)
    finally:
        for one in running:
            one.process.close()
        shutil.rmtree(folder, ignore_errors=True)
    return Row(workload, entries, skipped, busy)


def _started(
    workload: Workload, peer: Peer, plan: Plan, folder: Path, start: Starter
) -> list[_Running]:
    """Start a peer with an empty cache, then with what that left; the last processes stay."""
    compiled = None

    def started(extra: Mapping[str, str]) -> Process:
        return start(peer, workload.name, plan.threads, {**caches_in(folder), **extra})

    if plan.cold:
        cold = started({})
        compiled = cold.start.compiled
        cold.close()
    process = started({})
    starts = [process.start]
    if plan.cold:
        while len(starts) < _WARM_STARTS and sum(s.total for s in starts) < _WARM_SECONDS * 1e9:
            process.close()
            process = started({})
            starts.append(process.start)
    running = [_Running(peer, False, process, starts, compiled)]
    if plan.kept and peer.kept:
        again = started(KEEPING)
        running.append(_Running(peer, True, again, [again.start], None))
    return running


def _take_turns(running: Sequence[_Running], plan: Plan, skipped: dict[str, str]) -> None:
    """Let each take a sample in every round; each round begins with another one."""
    limits: dict[int, int] = {}
    for one in running:
        try:
            limits[id(one)] = _calibrate(one, plan)
        except PeerError as error:
            skipped[one.peer.name] = str(error)
    for number in range(plan.rounds):
        active = [one for one in running if number < limits.get(id(one), 0)]
        first = number % max(len(active), 1)
        for one in active[first:] + active[:first]:
            time.sleep(REST_SECONDS)
            try:
                one.samples.append(one.process.sample(one.calls))
            except PeerError as error:
                limits[id(one)] = 0
                skipped[one.peer.name] = str(error)


def _calibrate(one: _Running, plan: Plan) -> int:
    """Set how many calls fill a sample, and return how many samples there may be."""
    taken = one.process.sample(1)
    while taken * one.calls < SAMPLE_NANOSECONDS / 2:
        one.calls *= _MORE_CALLS
        taken = one.process.sample(one.calls)
    one.calls = max(1, round(SAMPLE_NANOSECONDS / max(1.0, taken)))
    # A sample has one call more than it times.
    whole = max(1.0, taken * (one.calls + 1))
    return max(_FEWEST_ROUNDS, min(plan.rounds, int(plan.seconds * 1e9 / whole)))


def _finished(running: Sequence[_Running], skipped: dict[str, str]) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    if not running:
        return ()
    # The twin does as little as can be wrong.
    judge = next((one for one in running if one.peer.name == REFERENCE), running[0])
    for one in running:
        if not one.samples or one.peer.name in skipped:
            continue
        last = one.starts[-1]
        entries.append(
            Entry(
                one.peer.name,
                one.kept,
                spread(one.samples),
                one.compiled,
                float(np.median([start.total for start in one.starts])),
                float(np.median([start.imported for start in one.starts])),
                one.process.finish(),
                _void(last.values, judge.starts[0].values, judge.peer.name),
            )
        )
    return tuple(entries)


def _void(
    values: Sequence[Sequence[float]], reference: Sequence[Sequence[float]], name: str
) -> str | None:
    """Say how the first steps differ from those of the first peer, if they do by too much."""
    found, wanted = np.array(values), np.array(reference)
    if found.shape != wanted.shape:
        return f"its results are not those of {name}"
    scale = np.maximum(np.abs(wanted), np.finfo(np.float32).tiny)
    worst = float((np.abs(found - wanted) / scale).max())
    if worst <= TOLERANCE:
        return None
    return f"its first steps differ from those of {name} by {worst:.2g}"
