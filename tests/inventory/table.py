"""Finds the tests of each row, runs them, and prints the table row -> test -> result."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.inventory.row import Row, covers, file_of, function_of
from tests.inventory.rows import ROWS

MARKER = "inventory"
# A row with several tests is as good as the worst of them.
WORST_FIRST = ("fail", "pass", "skip", "not run")


def found_for(items: Iterable[Any], rows: Mapping[str, Row]) -> dict[str, list[str]]:
    """Return the names of the collected tests of each row, by its own list and by their markers."""
    by_file = defaultdict(list)
    for row in rows.values():
        for pattern in row.patterns:
            by_file[file_of(pattern)].append((pattern, row.number))
    found: dict[str, list[str]] = {number: [] for number in rows}
    for item in items:
        numbers = {n for mark in item.iter_markers(MARKER) for n in mark.args}
        numbers.update(
            number
            for pattern, number in by_file.get(file_of(item.nodeid), ())
            if covers(pattern, item.nodeid)
        )
        for number in numbers:
            found.setdefault(number, []).append(item.nodeid)
    return found


def stale_patterns(tests: Iterable[str], rows: Mapping[str, Row]) -> list[str]:
    """Return what rows call tests although there is no such test."""
    by_file = defaultdict(list)
    for test in tests:
        by_file[file_of(test)].append(test)
    return [
        f"{row.number}: {pattern}"
        for row in rows.values()
        for pattern in row.patterns
        if not any(covers(pattern, test) for test in by_file[file_of(pattern)])
    ]


def chosen(prefixes: Sequence[str]) -> dict[str, Row]:
    """Return the rows of some sections (`A`, `D.step`) or of some numbers, or all of them."""
    if not prefixes:
        return dict(ROWS)
    return {
        number: row
        for number, row in ROWS.items()
        if any(number == p or (number.startswith(p) and _ends_word(number, p)) for p in prefixes)
    }


def _ends_word(number: str, prefix: str) -> bool:
    """Return whether `prefix` is no half number: A1 is not the beginning of A12."""
    return not (prefix[-1].isdigit() and number[len(prefix)].isdigit())


@dataclass(eq=False)
class Recorder:
    """A plugin of pytest: keeps the tests of some rows, and how they went."""

    rows: Mapping[str, Row]
    tests: dict[str, list[str]] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        """Run the tests of the rows and no others."""
        self.stale = stale_patterns((item.nodeid for item in items), self.rows)
        found = found_for(items, self.rows)
        self.stale += [f"{n}: no such row, but a test names it" for n in found if n not in ROWS]
        self.tests = {number: found[number] for number in self.rows}
        wanted = {test for tests in self.tests.values() for test in tests}
        config.hook.pytest_deselected(items=[i for i in items if i.nodeid not in wanted])
        items[:] = [item for item in items if item.nodeid in wanted]

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note the worst of a test's three phases."""
        if report.failed:
            self.results[report.nodeid] = "fail"
        elif report.skipped:
            self.results[report.nodeid] = "skip"
        elif report.when == "call":
            self.results.setdefault(report.nodeid, "pass")


def result_of(tests: Sequence[str], results: Mapping[str, str]) -> str:
    """Return how a row fares: missing, or as the worst of its tests that ran."""
    if not tests:
        return "missing"
    outcomes = {results.get(test, "fail") for test in tests}
    return next(outcome for outcome in WORST_FIRST if outcome in outcomes)


def lines_of(row: Row, tests: Sequence[str], results: Mapping[str, str]) -> list[str]:
    """Return the lines of one row: a test function each, with the number of its cases."""
    cases = defaultdict(list)
    for test in tests:
        cases[function_of(test)].append(test)
    state = result_of(tests, results)
    if state == "skip":
        state = f"skipped, needs {row.needs}" if row.needs else "fail: every test was skipped"
    lines = [f"{row.number:<18} {state:<8} {row.what}  ->  {row.value}"]
    for function, names in cases.items():
        shown = names[0] if len(names) == 1 else f"{function} ({len(names)} cases)"
        lines.append(f"{'':<18} {'':<8}   {result_of(names, results)}: {shown}")
    return lines


def report(recorder: Recorder, executed: bool) -> int:
    """Print the table; return how many rows have no test, or one that does not pass."""
    counts: dict[str, int] = defaultdict(int)
    for number, row in recorder.rows.items():
        tests = recorder.tests.get(number, [])
        results = recorder.results if executed else dict.fromkeys(tests, "not run")
        state = result_of(tests, results)
        counts["fail" if state == "skip" and not row.needs else state] += 1
        print("\n".join(lines_of(row, tests, results)))
    for name in recorder.stale:
        print(f"stale: {name}")
    shown = ("pass", "fail", "missing", "skip") if executed else ("not run", "missing")
    kinds = [f"{counts[kind]} {kind}" for kind in shown]
    note = "" if executed else " (tests are only listed; leave --list out to run them)"
    print(f"\n{len(recorder.rows)} rows: {', '.join(kinds)}, {len(recorder.stale)} stale{note}")
    return counts["fail"] + counts["missing"] + len(recorder.stale)


def main(arguments: Sequence[str], paths: Sequence[str] = ("tests",)) -> int:
    """Run the tests of the rows named in the arguments, all by default, and print the table.

    Args:
        arguments: sections or numbers of rows; `--list` shows the tests without running them.
        paths: where to look for tests.

    Returns:
        0 if every row has a test and all pass, 1 if not, 2 if pytest could not run.
    """
    executed = "--list" not in arguments
    prefixes = [argument for argument in arguments if argument != "--list"]
    recorder = Recorder(chosen(prefixes))
    if not recorder.rows:
        print(f"no row is called {' or '.join(prefixes)}", file=sys.stderr)
        return 2
    options = ["-q", "--no-header", *paths]
    if not executed:
        options += ["--collect-only", "-qq"]
    status = pytest.main(options, plugins=[recorder])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print(f"pytest ended with {status!r}", file=sys.stderr)
        return 2
    return 1 if report(recorder, executed) else 0
