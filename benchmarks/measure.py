"""Time the peers of a case side by side: A B C, A B C, ... in one run."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import Case, Run, Settings, Values

SAMPLE_NANOSECONDS = 20_000_000
REST_SECONDS = 0.02
"""Pause before a peer's turn: the thread pools of other peers spin on for milliseconds after their
last call and would take a core from it."""


class DisagreementError(AssertionError):
    """Two peers of a case computed different numbers, so their times mean nothing."""


@dataclass(frozen=True)
class Spread:
    """The quartiles of some samples."""

    lower: float
    median: float
    upper: float


@dataclass(frozen=True)
class PeerTime:
    """What one peer took: microseconds per call, and the ratio to the first peer's time."""

    peer: str
    microseconds: Spread
    ratio: Spread


@dataclass(frozen=True)
class CaseTimes:
    """The times of a case; `absent` names the peers that are not installed."""

    case: Case
    times: tuple[PeerTime, ...]
    absent: tuple[str, ...]


def spread(samples: NDArray[np.float64] | Sequence[float]) -> Spread:
    """Return the quartiles of samples."""
    lower, median, upper = np.percentile(np.asarray(samples), (25, 50, 75))
    return Spread(float(lower), float(median), float(upper))


def measure_case(case: Case, settings: Settings, repeats: int) -> CaseTimes:
    """Build the installed peers of a case, check that they agree, then time them interleaved.

    Args:
        case: What to time.
        settings: Threads and device.
        repeats: How many rounds; each round takes one sample of every peer.

    Returns:
        The quartiles of each peer's times, and of its ratios to the first peer in the same round.

    Raises:
        DisagreementError: If a peer's result differs from that of the first one.
    """
    present = [peer for peer in case.peers if peer.installed]
    runs = {peer.name: peer.build(settings) for peer in present}
    check_agreement(case, runs)
    samples = sample_interleaved({name: run.step for name, run in runs.items()}, repeats)
    first = samples[present[0].name]
    times = tuple(
        PeerTime(peer.name, spread(samples[peer.name] / 1e3), spread(samples[peer.name] / first))
        for peer in present
    )
    absent = tuple(peer.name for peer in case.peers if peer.name not in runs)
    return CaseTimes(case, times, absent)


def check_agreement(case: Case, runs: Mapping[str, Run]) -> None:
    """Let every peer take the same steps from the same start and compare where they end.

    Args:
        case: The case, for its tolerance and its number of steps.
        runs: What was built, by the name of the peer; the first is the reference.

    Raises:
        DisagreementError: If some value of a peer is further from the reference than the tolerance.
    """
    ends = {name: _values_after(run, case.check_steps) for name, run in runs.items()}
    reference_name = next(iter(ends))
    for name, values in ends.items():
        for key, expected in ends[reference_name].items():
            error = _relative_error(values[key], expected)
            if not error <= case.tolerance:
                raise DisagreementError(
                    f"{case.name}: {key!r} of {name} differs from that of {reference_name} by "
                    f"{error:.3g} after {case.check_steps} steps; allowed is {case.tolerance:.3g}"
                )


def sample_interleaved(
    steps: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, NDArray[np.float64]]:
    """Time several calls in turn, so that whatever slows the machine down slows all of them.

    Args:
        steps: What to call, by name.
        repeats: How many rounds.

    Returns:
        Nanoseconds per call, one sample a round; a sample averages the calls that fill some 20 ms,
        after a rest and a call that is not timed.
    """
    counts = {name: calls_per_sample(step) for name, step in steps.items()}
    names = list(steps)
    samples = {name: np.empty(repeats) for name in names}
    gc.collect()
    for round_number in range(repeats):
        # Each round starts with another peer: none always follows the same neighbour's cold caches.
        start = round_number % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(REST_SECONDS)
            steps[name]()
            samples[name][round_number] = nanoseconds_per_call(steps[name], counts[name])
    return samples


def calls_per_sample(step: Callable[[], Any]) -> int:
    """Return how many calls fill one sample; these calls also warm the peer up."""
    calls = 1
    while (taken := nanoseconds_per_call(step, calls) * calls) < SAMPLE_NANOSECONDS / 2:
        calls *= 2
    return max(1, round(calls * SAMPLE_NANOSECONDS / taken))


def nanoseconds_per_call(step: Callable[[], Any], calls: int) -> float:
    """Return the mean time of a call over several, in nanoseconds."""
    rounds = range(calls)
    started = time.perf_counter_ns()
    for _ in rounds:
        step()
    return (time.perf_counter_ns() - started) / calls


def _values_after(run: Run, steps: int) -> Values:
    for _ in range(steps - 1):
        run.step()
    return {name: np.array(value, dtype=np.float64) for name, value in run.read(run.step()).items()}


def _relative_error(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference in units of the largest expected element."""
    if actual.shape != expected.shape:
        return float("inf")
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    return float(np.abs(actual - expected).max(initial=0.0)) / scale
