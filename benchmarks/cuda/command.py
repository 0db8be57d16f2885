"""What `python -m benchmarks run --device cuda` does."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.case import Settings
from benchmarks.cuda.device import (
    NoDeviceError,
    describe_device,
    measure_ceilings,
    release_memory,
    require_device,
)
from benchmarks.cuda.measure import (
    CHECK_STEPS,
    Deadline,
    Measured,
    RowResult,
    Skipped,
    measure_row,
)
from benchmarks.cuda.page import Machine, page, record
from benchmarks.cuda.peers import PEERS, REFERENCES, DevicePeer
from benchmarks.cuda.problem import Problem
from benchmarks.cuda.problems import PROBLEMS
from benchmarks.report import time_text, write_json

PAGE = Path(__file__).parents[1] / "RESULTS-gpu.md"
NO_DEVICE = "no CUDA device was at hand when this page was written"
NO_DEVICE_STATUS = 2
ROUNDS, QUICK_ROUNDS = 25, 7
SECONDS, QUICK_SECONDS = 380.0, 120.0
"""When no further peer is begun; what is under way then still ends."""


def run_on_device(
    options: argparse.Namespace,
    machine: Mapping[str, object],
    problems: Sequence[Problem] = PROBLEMS,
    peers: Sequence[DevicePeer] = PEERS,
) -> int:
    """Measure the rows and write the page, or say that there is no device.

    Args:
        options: The parsed command line.
        machine: The description of the host.
        problems: The rows to choose from.
        peers: Who runs them.

    Returns:
        The status of the process: 0, or 2 where there is no device.
    """
    chosen = select_problems(problems, options.only, options.quick)
    path = options.page or (None if options.only or options.quick else PAGE)
    if options.unmeasured is not None:
        reason = options.unmeasured or NO_DEVICE
        _write(path, unmeasured(problems, peers, reason), None)
        return 0
    try:
        cupy = require_device(options.device)
    except NoDeviceError as error:
        print(f"DeviceError: {error}; nothing was measured", file=sys.stderr)
        return NO_DEVICE_STATUS
    rounds = options.repeats or (QUICK_ROUNDS if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    where = _describe(cupy, options, machine)
    deadline = Deadline.after(seconds)
    settings = Settings(options.threads, options.device)
    results: list[RowResult] = []
    for problem in chosen:
        result = measure_row(problem, peers, settings, rounds, deadline)
        release_memory()
        results.append(result)
        print(_block(result), end="\n\n", flush=True)
        # After every row, so that a run which is ended early leaves what it has found.
        _write(path, [*results, *_left_out(problems, peers, results)], where)
        if options.json:
            write_json(options.json, _record(where, results))
    return 0


def select_problems(
    problems: Sequence[Problem], names: Sequence[str] | None, quick: bool
) -> Sequence[Problem]:
    """Return the rows of these names; without names all, or those of a quick run."""
    if not names:
        return [problem for problem in problems if problem.quick or not quick]
    unknown = sorted(set(names) - {problem.name for problem in problems})
    if unknown:
        known = ", ".join(problem.name for problem in problems)
        sys.exit(f"no row is named {unknown[0]!r}; there are {known}")
    return [problem for problem in problems if problem.name in names]


def unmeasured(
    problems: Sequence[Problem], peers: Sequence[DevicePeer], reason: str
) -> list[RowResult]:
    """Return rows of which nothing was measured, for a reason."""
    return [
        RowResult(problem, tuple(Skipped(peer.name, reason) for peer in peers))
        for problem in problems
    ]


def _left_out(
    problems: Sequence[Problem], peers: Sequence[DevicePeer], results: Sequence[RowResult]
) -> list[RowResult]:
    found = {result.problem.name for result in results}
    rest = [problem for problem in problems if problem.name not in found]
    return unmeasured(rest, peers, "this run did not come to the row, or left it out")


def _describe(cupy: Any, options: argparse.Namespace, machine: Mapping[str, object]) -> Machine:
    described = describe_device(cupy, options.device)
    ceilings = measure_ceilings(cupy)
    release_memory()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Machine({**described, **machine}, ceilings, now)


def _write(path: Path | None, results: Sequence[RowResult], where: Machine | None) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    text = page(results, where, CHECK_STEPS, ", ".join(REFERENCES))
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")


def _record(where: Machine, results: Sequence[RowResult]) -> dict[str, object]:
    ceilings = where.ceilings
    rates = {"bandwidth": ceilings.bandwidth, "operations": ceilings.operations} if ceilings else {}
    machine = {**where.description, **rates, "date": where.date}
    return {"machine": machine, "rows": record(results)}


def _block(result: RowResult) -> str:
    """Return a row for the terminal."""
    lines = [f"{result.problem.name}: {result.problem.title}"]
    for outcome in result.outcomes:
        if not isinstance(outcome, Measured):
            lines.append(f"  {outcome.peer:32} {outcome.reason}")
            continue
        ratio = "" if outcome.ratio is None else f"{outcome.ratio:8.2f} x"
        lines.append(
            f"  {outcome.peer:32} {time_text(outcome.device.median):>10} {ratio} "
            f"(first step {outcome.first_seconds:.2f} s, differs by {outcome.difference:.1e})"
        )
    return "\n".join(lines)
