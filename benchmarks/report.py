"""Write the results of a run: a table for the terminal and JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import CaseTimes, PeerTime, Spread

_UNITS = (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1.0))


def times_table(results: Sequence[CaseTimes]) -> str:
    """Return the results of the cases as lines of text.

    Args:
        results: What was measured.

    Returns:
        One block a case, one line a peer: median, interquartile range, ratio to the first peer and,
        where the case sets one, whether the bar is met.
    """
    blocks = []
    for result in results:
        rows = [("peer", "median", "IQR", f"x {result.case.peers[0].name}", "bar")]
        rows += [_peer_row(result, peer_time) for peer_time in result.times]
        rows += [(name, "not installed", "", "", "") for name in result.absent]
        blocks.append(f"{result.case.title}\n{align(rows)}")
    return "\n\n".join(blocks)


def times_record(results: Sequence[CaseTimes]) -> list[dict[str, object]]:
    """Return the results of the cases as JSON can hold them."""
    return [
        {
            "name": result.case.name,
            "title": result.case.title,
            "tolerance": result.case.tolerance,
            "peers": [
                {**asdict(peer_time), "bar": result.case.bars.get(peer_time.peer)}
                for peer_time in result.times
            ],
            "absent": list(result.absent),
        }
        for result in results
    ]


def spreads_table(results: Mapping[str, Spread]) -> str:
    """Return times in nanoseconds as lines of text, by what was timed."""
    rows = [("what", "median", "IQR")]
    rows += [(name, time_text(time.median), range_text(time)) for name, time in results.items()]
    return align(rows)


def ratios_table(results: Mapping[str, Spread]) -> str:
    """Return ratios as lines of text, by what was compared."""
    rows = [("ratio", "median", "IQR")]
    rows += [
        (name, f"{ratio.median:.2f}", f"{ratio.lower:.2f} .. {ratio.upper:.2f}")
        for name, ratio in results.items()
    ]
    return align(rows)


def spreads_record(results: Mapping[str, Spread]) -> dict[str, object]:
    """Return quartiles as JSON can hold them, by what was timed or compared."""
    return {name: asdict(time) for name, time in results.items()}


def write_json(path: Path, record: Mapping[str, object]) -> None:
    """Write a record as indented JSON, making the folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines, the first column left and the others right aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def time_text(nanoseconds: float) -> str:
    """Return a time with three digits and a unit that suits it."""
    fitting = [unit for unit in _UNITS if nanoseconds >= unit[1]]
    unit, size = fitting[0] if fitting else _UNITS[-1]
    return f"{nanoseconds / size:.3g} {unit}"


def range_text(nanoseconds: Spread) -> str:
    """Return the lower and the upper quartile of a time."""
    return f"{time_text(nanoseconds.lower)} .. {time_text(nanoseconds.upper)}"


def machine_text(machine: Mapping[str, object]) -> str:
    """Return the description of a machine, a line each."""
    return "\n".join(
        f"{name}: {_pairs(value) if isinstance(value, Mapping) else value}"
        for name, value in machine.items()
    )


def _peer_row(result: CaseTimes, peer_time: PeerTime) -> tuple[str, str, str, str, str]:
    bar = result.case.bars.get(peer_time.peer)
    nanoseconds = Spread(*(value * 1e3 for value in asdict(peer_time.microseconds).values()))
    verdict = ""
    if bar is not None:
        verdict = f"{'met' if peer_time.ratio.median >= bar else 'MISSED'} (>= {bar:g})"
    return (
        peer_time.peer,
        time_text(nanoseconds.median),
        range_text(nanoseconds),
        f"{peer_time.ratio.median:.2f}",
        verdict,
    )


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
