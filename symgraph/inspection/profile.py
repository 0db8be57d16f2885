"""Where the time of a call goes, instruction by instruction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import FeedError, GraphError
from symgraph.inspection.extents import bind, value_of
from symgraph.inspection.rows import Row, explained_rows
from symgraph.inspection.text import duration, place, table
from symgraph.location import user_location
from symgraph.runtime.frame import ExtentMismatchError
from symgraph.variant import Variant

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ProfileEntry:
    """What one instruction did in one call, on average.

    Args:
        number: its position in the plan.
        title: what it is.
        lines: the user's lines behind it.
        count: how often a call ran it, once for each step of the loops around it.
        seconds: the time a call spent in it.
        share: of the time spent in all instructions.
        bytes: what it moved in all its runs.
        operations: float operations that it did in them.
    """

    number: int
    title: str
    lines: tuple[str, ...]
    count: float
    seconds: float
    share: float
    bytes: int
    operations: int

    @property
    def bandwidth(self) -> float:
        """Return bytes per second."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def speed(self) -> float:
        """Return float operations per second."""
        return self.operations / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, repr=False)
class Profile(Sequence[ProfileEntry]):
    """The instructions of a plan, the slowest first; `str()` gives a table.

    Args:
        entries: one for each kernel call.
        repeats: calls that were measured.
    """

    entries: tuple[ProfileEntry, ...]
    repeats: int

    @property
    def seconds(self) -> float:
        """Return the time that one call spends in kernels."""
        return sum(entry.seconds for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        return self.entries[index]

    def __iter__(self) -> Iterator[ProfileEntry]:
        return iter(self.entries)

    def __repr__(self) -> str:
        calls = "1 kernel call" if len(self) == 1 else f"{len(self)} kernel calls"
        slowest = f", {self.entries[0].share:.0%} in the slowest" if self.entries else ""
        return f"<profile of {calls}: {duration(self.seconds)}{slowest}>"

    def __str__(self) -> str:
        rows = [
            (
                f"#{entry.number}",
                entry.title,
                f"{entry.share:.1%}",
                duration(entry.seconds),
                f"{entry.count:g}",
                f"{entry.bandwidth / 1e9:.2f}",
                f"{entry.speed / 1e9:.2f}",
                ", ".join(map(place, entry.lines[:2])) + (" ..." if len(entry.lines) > 2 else ""),
            )
            for entry in self.entries
        ]
        header = ("", "kernel call", "share", "time", "runs", "GB/s", "GFLOP/s", "from")
        body = table(header, rows, left=(0, 1, 7))
        return f"{body}\n{duration(self.seconds)} in kernels per call, mean of {self.repeats} calls"


def measure(variant: Variant, feeds: tuple[Array, ...], repeats: int) -> Profile:
    """Run a plan `repeats` times and return where its time goes; parameters keep their values.

    Args:
        variant: the compiled graph.
        feeds: dense arrays of the right dtypes and ranks.
        repeats: calls to measure.

    Raises:
        FeedError: extents contradict each other.
        GraphError: `repeats` is no positive number.
        FailedCheckError: a check failed.
    """
    if not isinstance(repeats, int) or repeats < 1:
        raise GraphError(f"repeats is a positive int, not {repeats!r}\n  at {user_location()}")
    before = [parameter.value for parameter in variant.updated]
    try:
        records = variant.executable.profile(feeds, repeats)
    except ExtentMismatchError as error:
        raise FeedError(str(error)) from None
    finally:
        for parameter, value in zip(variant.updated, before, strict=True):
            parameter.value = value
    bound = bind(variant, dict(zip(variant.names, feeds, strict=True)))
    rows = explained_rows(variant)
    called = [row for row in rows if row.is_call]
    total = max(sum(int(records[row.number, 0]) for row in called), 1)
    entries = [_entry(row, records[row.number], total, repeats, bound) for row in called]
    return Profile(tuple(sorted(entries, key=lambda entry: -entry.seconds)), repeats)


def _entry(
    row: Row, record: Array, total: int, repeats: int, bound: dict[str, int]
) -> ProfileEntry:
    nanoseconds, runs = map(int, record)
    count = runs / repeats
    moved = (value_of(row.read, bound) or 0) + (value_of(row.written, bound) or 0)
    return ProfileEntry(
        row.number,
        row.title,
        tuple(dict.fromkeys(line.partition(" (")[0] for line in row.instruction.lines)),
        count,
        nanoseconds / repeats * 1e-9,
        nanoseconds / total,
        round(moved * count),
        round((value_of(row.operations, bound) or 0) * count),
    )
