"""Draw the results of a run: how many times longer than the first peer each other one takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import CaseTimes, PeerTime

_COLOURS = {
    "define_by_run": "#e08e45",
    "numpy": "#7a9e7e",
    "dezero": "#b5525c",
    "torch": "#8067a9",
}
_OTHER_COLOUR = "#888888"
_ROW_INCHES = 0.3


def draw_chart(results: Sequence[CaseTimes], path: Path, caption: str) -> None:
    """Write a bar chart of the ratios, on a logarithmic scale, as a picture.

    Args:
        results: What was measured; all cases have the same first peer, for which the line at 1 is.
        path: Where to write; the suffix says which format. The folder is made where it is missing.
        caption: A line under the chart that names the machine.
    """
    from matplotlib.figure import Figure

    rows = sum(len(result.times) for result in results)
    figure = Figure(figsize=(9.0, 1.6 + _ROW_INCHES * rows), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    tick_places = []
    place = 0.0
    for result in results:
        others = result.times[1:]
        tick_places.append(place + (len(others) - 1) / 2)
        for peer_time in others:
            _draw_bar(axes, place, peer_time)
            place += 1
        place += 1
    axes.set_yticks(tick_places, [result.case.title.replace(": ", ":\n") for result in results])
    _style(axes, results[0].times[0].peer)
    figure.suptitle("One interleaved run: medians, lines show quartiles")
    figure.supxlabel(caption, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _draw_bar(axes: Any, place: float, peer_time: PeerTime) -> None:
    ratio = peer_time.ratio
    # From 1 to the ratio, so that on a logarithmic scale slower and faster point opposite ways.
    axes.barh(
        place,
        abs(ratio.median - 1.0),
        left=min(1.0, ratio.median),
        height=0.8,
        color=_COLOURS.get(peer_time.peer, _OTHER_COLOUR),
    )
    axes.plot([ratio.lower, ratio.upper], [place, place], "k-", linewidth=1)
    axes.annotate(
        f"{peer_time.peer} {ratio.median:.3g}",
        (max(1.0, ratio.upper), place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )


def _style(axes: Any, first_peer: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.margins(x=0.2)  # Room for the labels at the ends of the bars.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", which="major", linewidth=0.4)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"time per call / {first_peer}'s time (log scale)")
