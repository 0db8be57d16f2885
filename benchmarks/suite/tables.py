"""Results as tables, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report import align, range_text, time_text
from benchmarks.suite.idle import BUSY_CORES
from benchmarks.suite.measure import Entry, Row
from benchmarks.suite.peaks import Peaks
from benchmarks.suite.results import Results, best_peer, verdict

HEAD = (
    "peer",
    "step",
    "quartiles",
    "x best",
    "cold compile",
    "warm start",
    "import",
    "peak MB",
    "GF/s",
    "GB/s",
)


def row_text(row: Row, peaks: Peaks) -> str:
    """Return a row for a terminal: a title, the table, and what is to be said about it."""
    cells = [HEAD, *row_cells(row, peaks)]
    return "\n".join([row.workload.title, align(cells), *row_remarks(row)])


def row_page(row: Row, peaks: Peaks) -> str:
    """Return a row for a page, as Markdown."""
    lines = [f"### {row.workload.name}: {row.workload.title}", "", markdown(HEAD)]
    lines.append(markdown(["---", *["---:"] * (len(HEAD) - 1)]))
    lines += [markdown(cells) for cells in row_cells(row, peaks)]
    return "\n".join([*lines, "", *[f"* {remark}" for remark in row_remarks(row)], ""])


def markdown(cells: Sequence[str]) -> str:
    """Return cells as a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def row_cells(row: Row, peaks: Peaks) -> list[tuple[str, ...]]:
    """Return the cells of a row, a line for each peer.

    Args:
        row: What was measured.
        peaks: What the machine can do; rates are given in parts of it too.

    Returns:
        As many cells a line as `HEAD` has. A void entry has its reason among the remarks.
    """
    best = best_peer(row.entries, kept=False)
    lines = [_entry_cells(entry, row, best, peaks) for entry in row.entries]
    blanks = ("",) * (len(HEAD) - 2)
    return lines + [(name, "not run", *blanks) for name in row.skipped]


def _entry_cells(entry: Entry, row: Row, best: Entry | None, peaks: Peaks) -> tuple[str, ...]:
    seconds = entry.step.median / 1e9
    floor = row.workload.floor()
    counts = entry.void is None
    return (
        name_of(entry),
        time_text(entry.step.median) if counts else "void",
        range_text(entry.step) if counts else "",
        f"{entry.step.median / best.step.median:.2f}" if best and counts else "",
        time_text(entry.compiled) if entry.compiled is not None else "",
        time_text(entry.warm),
        time_text(entry.imported),
        f"{entry.peak / 1e6:.0f}",
        _rate(floor.operations / seconds, peaks.operations) if counts else "",
        _rate(floor.bytes / seconds, peaks.bytes) if counts else "",
    )


def name_of(entry: Entry) -> str:
    """Return what the tables call an entry."""
    return f"{entry.peer}, memory kept" if entry.kept else entry.peer


def _rate(rate: float, peak: float) -> str:
    """Return billions a second, and how much of the most that there is."""
    return f"{rate / 1e9:.3g} ({rate / peak:.0%})" if rate else ""


def row_remarks(row: Row) -> list[str]:
    """Return what is to be said about a row: the goal, what is void, missing or doubtful."""
    remarks = []
    if found := verdict(row, kept=False):
        said = "met" if found.ratio >= row.workload.goal else "MISSED"
        remarks.append(
            f"symgraph is {found.ratio:.2f} times as fast as {found.best.peer}, the best peer "
            f"(goal {row.workload.goal:g}: {said})"
        )
    if found := verdict(row, kept=True):
        said = "" if found.ratio >= 1 else ": BEHIND"
        remarks.append(f"{found.ratio:.2f} times as fast as {name_of(found.best)}{said}")
    remarks += [f"{name_of(e)} is void: {e.void}" for e in row.entries if e.void is not None]
    remarks += [f"{name}: {reason}" for name, reason in row.skipped.items()]
    if row.busy > BUSY_CORES:
        remarks.append(
            f"WARNING: {row.busy:.2f} cores were busy with something else before this row"
        )
    return remarks


def summary_cells(results: Results) -> list[tuple[str, ...]]:
    """Return a line for each row: symgraph's time, the best peer, the ratios and the goal."""
    lines: list[tuple[str, ...]] = [
        ("workload", "symgraph", "best peer", "ratio", "goal", "best with memory kept", "ratio")
    ]
    for row in results.rows:
        plain, kept = verdict(row, kept=False), verdict(row, kept=True)
        ours = [e.step.median for e in row.entries if e.peer == "symgraph" and e.void is None]
        lines.append(
            (
                row.workload.name,
                time_text(ours[0]) if ours else "void",
                *(_best_cells(plain.best, plain.ratio) if plain else ("", "")),
                f"{row.workload.goal:g}",
                *(_best_cells(kept.best, kept.ratio) if kept else ("", "")),
            )
        )
    return lines


def _best_cells(best: Entry, ratio: float) -> tuple[str, str]:
    return f"{best.peer} {time_text(best.step.median)}", f"{ratio:.2f}"
