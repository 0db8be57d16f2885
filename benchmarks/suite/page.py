"""The page of results."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, fsum, log
from pathlib import Path
from typing import Any

from benchmarks.suite.idle import BUSY_CORES
from benchmarks.suite.results import Results, verdict
from benchmarks.suite.tables import markdown, row_page, summary_cells

_HOW = """\
```sh
python -m benchmarks run      # everything, and this page; --quick: some workloads, and no page
python -m benchmarks growth   # how cost grows with batch and sequence
python -m benchmarks page     # this page again from results/*.json
```

How it is taken: every peer runs every workload in a process of its own, with the same number of
threads, the same data and the same initial weights, in float32. The processes of a workload take
turns, round by round; a sample averages the calls that fill some 20 ms behind a call that is not
timed. Times are medians, with quartiles. The losses of the first three steps, and the lengths of
gradients, must agree to 1e-3 with the twin's, or the entry is void. *cold compile* is building and
the first step with an empty cache; *warm start* a new process with a filled cache until its first
step is done, imports included, data excluded; *peak MB* the peak of a warm process above what it
held after its imports. *GF/s* and *GB/s* count what a step cannot do without, over its time, and in
brackets the part of the machine's measured peak. *memory kept* is a second pass with glibc told to
keep freed memory (`GLIBC_TUNABLES`), which spares peers page faults. `OPENBLAS_CORETYPE` is unset
for all.
"""


def page_text(
    results: Results | None, growth: Mapping[str, Any] | None, earlier: str, picture: str
) -> str:
    """Return the page.

    Args:
        results: What was measured, None where nothing was.
        growth: The record of how cost grows, or None.
        earlier: Results of the cases of one process, as Markdown, shown as they were recorded.
        picture: The file of the chart.

    Returns:
        Markdown.
    """
    parts = ["# Results\n", _HOW]
    if results is None:
        parts.append("The workloads have not been measured on an idle machine yet.\n")
    else:
        parts += _measured(results, picture)
    parts.append("## How cost grows\n")
    if growth is None:
        parts.append("Not measured yet: `python -m benchmarks growth`.\n")
    else:
        parts.append(f"{_machine_line(growth['machine'])}\n\n![growth](results/growth.png)\n")
    parts.append(earlier)
    return "\n".join(parts).rstrip() + "\n"


def _measured(results: Results, picture: str) -> list[str]:
    peaks = results.peaks
    parts = ["## Workloads\n", f"{_machine_line(results.machine)}\n"]
    parts.append(
        f"Measured peaks: {peaks.operations / 1e9:.0f} GF/s (float32), "
        f"{peaks.bytes / 1e9:.1f} GB/s.\n"
    )
    busy = max((row.busy for row in results.rows), default=0.0)
    if busy > BUSY_CORES:
        parts.append(f"**WARNING: up to {busy:.2f} cores were busy with something else.**\n")
    head, *lines = summary_cells(results)
    table = [markdown(head), markdown(["---"] * len(head)), *[markdown(line) for line in lines]]
    parts.append("\n".join(table) + "\n")
    ratios = [found.ratio for row in results.rows if (found := verdict(row, kept=False))]
    if ratios:
        mean = exp(fsum(log(ratio) for ratio in ratios) / len(ratios))
        parts.append(f"Geometric mean over the best peers: {mean:.2f} (goal 1.6).\n")
    parts.append(f"![ratios]({picture})\n")
    parts += [row_page(row, peaks) for row in results.rows]
    return parts


def _machine_line(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    rest = f" {machine['rest'] * 1000:.0f} ms of rest between turns." if "rest" in machine else ""
    return (
        f"{machine['date']}; {machine['processor']}, {machine['threads']} threads, "
        f"{machine['system']}, Python {machine['python']}; {versions}.{rest}"
    )


def write_page(
    path: Path, results: Results | None, growth: Mapping[str, Any] | None, earlier: Path
) -> None:
    """Write the page; `earlier` is the file of what stands at its end."""
    said = earlier.read_text(encoding="utf-8") if earlier.exists() else ""
    path.write_text(page_text(results, growth, said, "results/suite.png"), encoding="utf-8")
