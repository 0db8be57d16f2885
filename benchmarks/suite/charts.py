"""The pictures of the suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.suite.peers import OURS
from benchmarks.suite.results import Results
from benchmarks.suite.tables import name_of

_COLOURS = {
    "define_by_run": "#e08e45",
    "dezero": "#b5525c",
    "torch": "#8067a9",
    "torch.compile": "#4b3a78",
    "jax": "#3f88a5",
    "pytensor": "#7a9e7e",
    OURS: "#222222",
}


def draw_ratios(results: Results, path: Path) -> None:
    """Draw how many times longer than symgraph each peer takes, on a logarithmic scale.

    Args:
        results: What was measured.
        path: Where to write the picture; the folder is made where it is missing.
    """
    from matplotlib.figure import Figure

    bars: list[tuple[float, str, str, float]] = []
    ticks: list[tuple[float, str]] = []
    place = 0.0
    for row in results.rows:
        valid = [entry for entry in row.entries if entry.void is None]
        ours = [entry.step.median for entry in valid if entry.peer == OURS]
        others = [entry for entry in valid if entry.peer != OURS]
        if not ours or not others:
            continue
        ticks.append((place + (len(others) - 1) / 2, row.workload.name))
        for entry in others:
            bars.append((place, entry.peer, name_of(entry), entry.step.median / ours[0]))
            place += 1
        place += 1
    figure = Figure(figsize=(9.0, 1.6 + 0.24 * place), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    for place, peer, name, ratio in bars:
        axes.barh(place, abs(ratio - 1), left=min(1.0, ratio), height=0.8, color=_COLOURS.get(peer))
        text = f"{name} {ratio:.3g}"
        where = (max(1.0, ratio), place)
        axes.annotate(
            text, where, xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks([where for where, _ in ticks], [name for _, name in ticks])
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_xlabel("time per step / symgraph's time (log scale)")
    _save(figure, path)


def draw_growth(record: Mapping[str, Any], path: Path) -> None:
    """Draw how the time of a step grows, a curve for each peer.

    Args:
        record: `curves`: by title, by peer, pairs of a size and nanoseconds.
        path: Where to write the picture.
    """
    from matplotlib.figure import Figure

    curves = record["curves"]
    figure = Figure(figsize=(5.5 * len(curves), 4.5), layout="constrained")
    every = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (title, peers) in zip(every, curves.items(), strict=True):
        for peer, points in peers.items():
            sizes, times = zip(*points, strict=True) if points else ((), ())
            milliseconds = [time / 1e6 for time in times]
            axes.loglog(sizes, milliseconds, "o-", label=peer, color=_COLOURS.get(peer))
        axes.set_title(title)
        axes.set_ylabel("ms per step")
        axes.grid(linewidth=0.4)
        axes.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
