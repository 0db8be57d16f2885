"""Build a row in every peer, hold their results against each other, and time them in turn."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from benchmarks.case import Settings
from benchmarks.cuda.peers import OURS, REFERENCES, DevicePeer
from benchmarks.cuda.problem import Array, DeviceRun, Problem, Sample
from benchmarks.measure import Spread, spread

CHECK_STEPS = 3
SAMPLE_NANOSECONDS = 20_000_000
REST_SECONDS = 0.005
MOST_SECONDS = 4.0
"""How long all samples of one slow peer may take; it is sampled less often then."""
FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Measured:
    """The times of a peer, in nanoseconds per step.

    Args:
        peer: who.
        device: between device events (by the host's clock where a peer has none).
        wall: by the host's clock, from an idle device to an idle device.
        ratio: to symgraph's in the same round; None where symgraph was not measured.
        first_seconds: from nothing to the result of the first step: built, compiled and run.
        difference: of its results from the reference's, relative.
    """

    peer: str
    device: Spread
    wall: Spread
    ratio: float | None
    first_seconds: float
    difference: float


@dataclass(frozen=True)
class Skipped:
    """Why a peer was not measured."""

    peer: str
    reason: str


Outcome: TypeAlias = Measured | Skipped


@dataclass(frozen=True)
class RowResult:
    """What became of a row; `reference` is the peer that the others' results were held against."""

    problem: Problem
    outcomes: tuple[Outcome, ...]
    reference: str | None = None

    def measured(self, peer: str) -> Measured | None:
        """Return what was measured of a peer."""
        for outcome in self.outcomes:
            if outcome.peer == peer and isinstance(outcome, Measured):
                return outcome
        return None


@dataclass(frozen=True)
class Deadline:
    """When no further peer is begun, by the monotonic clock."""

    moment: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline in so many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def passed(self) -> bool:
        """Say whether it is over."""
        return time.monotonic() >= self.moment


@dataclass
class _Built:
    peer: DevicePeer
    run: DeviceRun
    ends: list[Array]
    first_seconds: float
    difference: float = 0.0


def measure_row(
    problem: Problem,
    peers: Sequence[DevicePeer],
    settings: Settings,
    rounds: int,
    deadline: Deadline,
) -> RowResult:
    """Measure a row; a peer that fails is left out with its reason, and the others go on.

    Args:
        problem: The row.
        peers: Who runs it, in the order of the tables.
        settings: The device of the run.
        rounds: How many samples each peer gives at most.
        deadline: When to begin no further peer.

    Returns:
        The outcome of each peer.
    """
    skipped: dict[str, str] = {}
    built = _build_all(problem, peers, settings, deadline, skipped)
    reference = _refuse_disagreeing(problem, built, skipped)
    samples = _samples(built, rounds, skipped)
    ours = samples.get(OURS)
    outcomes: list[Outcome] = []
    for peer in peers:
        if peer.name in skipped:
            outcomes.append(Skipped(peer.name, skipped[peer.name]))
            continue
        taken, one = samples[peer.name], built[peer.name]
        device = np.array([sample.device for sample in taken])
        ratio = None
        if ours:
            shared = min(len(ours), len(taken))
            first = np.array([sample.device for sample in ours[:shared]])
            ratio = float(np.median(device[:shared] / first))
        wall = spread([sample.wall for sample in taken])
        measured = Measured(
            peer.name, spread(device), wall, ratio, one.first_seconds, one.difference
        )
        outcomes.append(measured)
    return RowResult(problem, tuple(outcomes), reference)


def _build_all(
    problem: Problem,
    peers: Sequence[DevicePeer],
    settings: Settings,
    deadline: Deadline,
    skipped: dict[str, str],
) -> dict[str, _Built]:
    """Build the peers and take the first steps; say of the others why they are left out."""
    built: dict[str, _Built] = {}
    for peer in peers:
        if not peer.installed:
            skipped[peer.name] = f"{peer.module} is not installed"
        elif deadline.passed:
            skipped[peer.name] = "the time of the run was used up"
        elif one := _attempted(peer.name, skipped, partial(_built, problem, peer, settings)):
            built[peer.name] = one
    return built


def _built(problem: Problem, peer: DevicePeer, settings: Settings) -> _Built:
    started = time.perf_counter()
    run = peer.build(problem, settings)
    ends = [run.read(run.step())]
    first_seconds = time.perf_counter() - started
    steps = CHECK_STEPS if problem.rule else 1
    ends += [run.read(run.step()) for _ in range(steps - 1)]
    return _Built(peer, run, ends, first_seconds)


def _attempted(name: str, skipped: dict[str, str], work: Callable[[], Any]) -> Any:
    """Return what some work gives, or None after noting why it failed."""
    try:
        return work()
    except Exception as error:  # A peer may fail in any way; the rest of the run must not suffer.
        traceback.print_exc(file=sys.stderr)
        lines = str(error).strip().splitlines() or [""]
        skipped[name] = f"{type(error).__name__}: {lines[0][:200]}"
        return None


def _refuse_disagreeing(
    problem: Problem, built: dict[str, _Built], skipped: dict[str, str]
) -> str | None:
    """Leave out whose results differ too much, and return whose they were held against."""
    reference = next((name for name in REFERENCES if name in built), None)
    if reference is None:
        reference = next(iter(built), None)
    if reference is None:
        return None
    expected = built[reference].ends
    for name, one in list(built.items()):
        one.difference = _difference(one.ends, expected)
        if not one.difference <= problem.tolerance:
            skipped[name] = (
                f"its results differ from those of {reference} by {one.difference:.2g}; "
                f"allowed is {problem.tolerance:.2g}"
            )
            del built[name]
    for one in built.values():
        one.ends = []  # They may be large, and the host's memory is shared by all rows.
    return reference


def _difference(actual: Sequence[Array], expected: Sequence[Array]) -> float:
    """Return the largest difference in units of the largest expected element."""
    worst = 0.0
    for found, wanted in zip(actual, expected, strict=True):
        if found.shape != wanted.shape:
            return float("inf")
        scale = float(np.abs(wanted).max(initial=0.0)) or 1.0
        error = float(np.abs(found - wanted).max(initial=0.0)) / scale
        if not error <= worst:  # NaN too.
            worst = error
    return worst


def _samples(
    built: dict[str, _Built], rounds: int, skipped: dict[str, str]
) -> dict[str, list[Sample]]:
    """Return samples of each peer, taken in turn; each round begins with another one."""
    calls: dict[str, int] = {}
    limits: dict[str, int] = {}
    for name, one in built.items():
        found = _attempted(name, skipped, partial(_calls_per_sample, one.run))
        if found is not None:
            calls[name], limits[name] = found[0], min(rounds, found[1])
    samples: dict[str, list[Sample]] = {name: [] for name in calls}
    gc.collect()
    for round_number in range(rounds):
        names = [name for name in calls if name not in skipped and round_number < limits[name]]
        start = round_number % max(len(names), 1)
        for name in names[start:] + names[:start]:
            time.sleep(REST_SECONDS)
            run = built[name].run
            if sample := _attempted(name, skipped, partial(_sample, run, calls[name])):
                samples[name].append(sample)
    return samples


def _sample(run: DeviceRun, calls: int) -> Sample:
    run.step()  # Warms it up again.
    return run.clock(run.step, calls)


def _calls_per_sample(run: DeviceRun) -> tuple[int, int]:
    """Return how many calls fill one sample, and how many samples the peer may give."""
    calls = 1
    while (taken := run.clock(run.step, calls).wall * calls) < SAMPLE_NANOSECONDS / 2:
        calls *= 2
    calls = max(1, round(calls * SAMPLE_NANOSECONDS / taken))
    # A sample has one call more than it times.
    whole = max(taken, SAMPLE_NANOSECONDS) * (2 if calls == 1 else 1)
    return calls, max(FEWEST_ROUNDS, int(MOST_SECONDS * 1e9 / whole))
