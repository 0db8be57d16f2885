"""The results of a run, and how JSON holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.measure import Spread
from benchmarks.suite.measure import Entry, Row
from benchmarks.suite.peaks import Peaks
from benchmarks.suite.peers import OURS
from benchmarks.suite.workloads import workload_of


@dataclass(frozen=True)
class Results:
    """What a run measured.

    Args:
        machine: its description, with the date of the run.
        peaks: what the machine can do at most.
        rows: one a workload.
    """

    machine: Mapping[str, Any]
    peaks: Peaks
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Verdict:
    """How symgraph compares with the best of some peers.

    Args:
        best: the fastest peer.
        ratio: its time over symgraph's.
    """

    best: Entry
    ratio: float


def best_peer(entries: Sequence[Entry], kept: bool) -> Entry | None:
    """Return the fastest peer whose times count.

    Args:
        entries: The entries of a row.
        kept: Whether to look among those whose C library keeps freed memory, or the others.

    Returns:
        The fastest, None where there is no other peer.
    """
    peers = [e for e in entries if e.peer != OURS and e.kept == kept and e.void is None]
    return min(peers, key=lambda entry: entry.step.median, default=None)


def verdict(row: Row, kept: bool) -> Verdict | None:
    """Compare symgraph with the best peer of a row.

    Args:
        row: The row.
        kept: As in `best_peer`.

    Returns:
        The comparison, None where there is nothing to compare.
    """
    ours = [entry for entry in row.entries if entry.peer == OURS and entry.void is None]
    best = best_peer(row.entries, kept)
    if not ours or best is None:
        return None
    return Verdict(best, best.step.median / ours[0].step.median)


def record_of(results: Results) -> dict[str, Any]:
    """Return results as JSON can hold them."""
    rows = [
        {
            "workload": row.workload.name,
            "title": row.workload.title,
            "goal": row.workload.goal,
            "floor": asdict(row.workload.floor()),
            "entries": [asdict(entry) for entry in row.entries],
            "skipped": dict(row.skipped),
            "busy": row.busy,
        }
        for row in results.rows
    ]
    return {"machine": dict(results.machine), "peaks": asdict(results.peaks), "rows": rows}


def results_of(record: Mapping[str, Any]) -> Results:
    """Return the results that a record holds; the inverse of `record_of`."""
    rows = tuple(
        Row(
            workload_of(row["workload"]),
            tuple(Entry(**{**one, "step": Spread(**one["step"])}) for one in row["entries"]),
            row["skipped"],
            row["busy"],
        )
        for row in record["rows"]
    )
    return Results(record["machine"], Peaks(**record["peaks"]), rows)
