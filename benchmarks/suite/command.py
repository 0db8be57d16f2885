"""The commands of the suite: `run`, `growth` and `page`."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import align, time_text, write_json
from benchmarks.suite.charts import draw_growth, draw_ratios
from benchmarks.suite.idle import BUSY_CORES, busy_cores
from benchmarks.suite.measure import REST_SECONDS, Plan, Row, measure_row
from benchmarks.suite.page import write_page
from benchmarks.suite.peaks import Peaks, measure_peaks
from benchmarks.suite.peers import PEERS, Peer
from benchmarks.suite.results import Results, record_of, results_of
from benchmarks.suite.tables import row_text, summary_cells
from benchmarks.suite.workload import Workload
from benchmarks.suite.workloads import BATCHES, STEPS, WORKLOADS, workload_of

FOLDER = Path(__file__).parents[1]
_ROUNDS, _QUICK_ROUNDS = 20, 5
_SECONDS, _QUICK_SECONDS = 1.0, 0.5
_QUICK_PEERS = ("symgraph", "define_by_run", "torch", "jax")
_GROWTH_PEERS = ("symgraph", "define_by_run", "torch", "torch.compile", "jax", "pytensor")
_GROWTH = {
    "mlp_mnist, by batch": ("mlp_mnist", BATCHES),
    "lstm_sine, by steps of the sequence": ("lstm_sine", STEPS),
}
_LOOK_SECONDS = 1.0

Measure = Callable[[Workload, Sequence[Peer], Plan], Row]


def run_suite(
    options: argparse.Namespace,
    machine: Mapping[str, Any],
    measure: Measure = measure_row,
    peaks_of: Callable[[int], Peaks] = measure_peaks,
) -> int:
    """Measure the workloads; write record, chart and page unless only a part was asked for.

    Args:
        options: The parsed command line.
        machine: The description of the machine.
        measure: Measures a workload.
        peaks_of: Measures what the machine can do.

    Returns:
        The status of the process.
    """
    part = bool(options.workloads or options.peers or options.quick)
    workloads = _chosen(WORKLOADS, options.workloads, "workload")
    if options.quick and not options.workloads:
        workloads = [workload for workload in workloads if workload.quick]
    names = options.peers or (_QUICK_PEERS if options.quick else None)
    peers = _chosen(PEERS, names, "peer")
    _warn_if_busy()
    peaks = peaks_of(options.threads)
    print(f"peaks: {peaks.operations / 1e9:.0f} GF/s, {peaks.bytes / 1e9:.1f} GB/s\n", flush=True)
    plan = Plan(
        options.threads,
        options.repeats or (_QUICK_ROUNDS if options.quick else _ROUNDS),
        _QUICK_SECONDS if options.quick else _SECONDS,
        kept=not (options.quick or options.plain),
    )
    rows: list[Row] = []
    for workload in workloads:
        rows.append(measure(workload, peers, plan))
        print(row_text(rows[-1], peaks), end="\n\n", flush=True)
    results = Results({**machine, "date": _today(), "rest": REST_SECONDS}, peaks, tuple(rows))
    print(align(summary_cells(results)))
    # The record of some workloads must not replace that of all.
    _write(options.json or (None if part else FOLDER / "results" / "suite.json"), results)
    if path := options.png or (None if part else FOLDER / "results" / "suite.png"):
        draw_ratios(results, path)
        print(f"wrote {path}")
    if not part:
        run_page(options, machine)
    return 0


def run_growth(
    options: argparse.Namespace, machine: Mapping[str, Any], measure: Measure = measure_row
) -> int:
    """Measure how cost grows with batch and sequence; write a record, a chart and the page."""
    peers = _chosen(PEERS, options.peers or _GROWTH_PEERS, "peer")
    _warn_if_busy()
    plan = Plan(options.threads, options.repeats or 5, 0.3, kept=False, cold=False)
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for title, (name, sizes) in _GROWTH.items():
        curves[title] = {peer.name: [] for peer in peers}
        for size in sizes:
            row = measure(workload_of(f"{name}@{size}"), peers, plan)
            for entry in (entry for entry in row.entries if entry.void is None):
                curves[title][entry.peer].append([size, entry.step.median])
        print(title)
        print(align(_growth_cells(curves[title], sizes)), end="\n\n", flush=True)
    record = {"machine": {**machine, "date": _today()}, "curves": curves}
    part = bool(options.peers)
    if path := options.json or (None if part else FOLDER / "results" / "growth.json"):
        write_json(path, record)
        print(f"wrote {path}")
    if path := options.png or (None if part else FOLDER / "results" / "growth.png"):
        draw_growth(record, path)
        print(f"wrote {path}")
    if not part:
        run_page(options, machine)
    return 0


def run_page(options: argparse.Namespace, machine: Mapping[str, Any]) -> int:
    """Write the page again from the records."""
    record, growth = (_read(FOLDER / "results" / f"{name}.json") for name in ("suite", "growth"))
    results = results_of(record) if record else None
    write_page(FOLDER / "RESULTS.md", results, growth, FOLDER / "results" / "cases.md")
    print(f"wrote {FOLDER / 'RESULTS.md'}")
    return 0


def _write(path: Path | None, results: Results) -> None:
    if path:
        write_json(path, record_of(results))
        print(f"wrote {path}")


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _growth_cells(
    peers: Mapping[str, Sequence[Sequence[float]]], sizes: Sequence[int]
) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [("peer", *(str(size) for size in sizes))]
    for peer, points in peers.items():
        found = {size: time for size, time in points}
        cells = [time_text(found[size]) if size in found else "" for size in sizes]
        lines.append((peer, *cells))
    return lines


def _warn_if_busy() -> None:
    if (busy := busy_cores(_LOOK_SECONDS)) > BUSY_CORES:
        print(f"WARNING: {busy:.2f} cores are busy with something else\n", flush=True)


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _chosen(every: Sequence[Any], names: Sequence[str] | None, what: str) -> list[Any]:
    """Return those of these names, or all; in the order of the suite."""
    known = [one.name for one in every]
    for name in names or ():
        if name not in known:
            sys.exit(f"no {what} is named {name!r}; there are {', '.join(known)}")
    return [one for one in every if not names or one.name in names]
