"""What the commands of the suite do: measure, print, and write the record and the chart."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from benchmarks.case import Case, Settings
from benchmarks.cases import CASES
from benchmarks.chart import draw_chart
from benchmarks.compile_length import measure_compile_length
from benchmarks.measure import CaseTimes, Spread, measure_case
from benchmarks.overhead import measure_overhead
from benchmarks.report import (
    ratios_table,
    spreads_record,
    spreads_table,
    times_record,
    times_table,
    write_json,
)
from benchmarks.startup import measure_startup

RESULTS = Path(__file__).with_name("results")


def run_cases(
    options: argparse.Namespace, machine: Mapping[str, object], cases: Sequence[Case] = CASES
) -> None:
    """Time the cases; write `cases.json` and `cases.png` unless only a part was asked for.

    Args:
        options: The parsed command line.
        machine: The description of the machine.
        cases: The cases to choose from.
    """
    chosen = select_cases(cases, options.only)
    settings = Settings(options.threads, options.device)
    results: list[CaseTimes] = []
    for case in chosen:
        result = measure_case(case, settings, options.repeats)
        print(times_table([result]), end="\n\n", flush=True)
        results.append(result)
    # The record of some cases must not replace that of all.
    json_path = options.json or (None if options.only else RESULTS / "cases.json")
    png_path = options.png or (None if options.only else RESULTS / "cases.png")
    if json_path:
        record = {"machine": machine, "repeats": options.repeats, "cases": times_record(results)}
        write_json(json_path, record)
        print(f"wrote {json_path}")
    if png_path:
        caption = f"{machine['processor']}, {machine['threads']} threads, {options.device}"
        draw_chart(results, png_path, caption)
        print(f"wrote {png_path}")


def run_overhead(options: argparse.Namespace, machine: Mapping[str, object]) -> None:
    """Time calls and instructions; write `overhead.json`."""
    results = measure_overhead(options.repeats)
    _report(results, options.json or RESULTS / "overhead.json", options, machine)


def run_startup(options: argparse.Namespace, machine: Mapping[str, object]) -> None:
    """Time fresh processes; write `startup.json` unless only a part was asked for."""
    results: dict[str, Spread] = {}
    ratios: dict[str, Spread] = {}
    if not options.tasks or "first_result" in options.tasks:
        results.update(measure_startup(options.repeats))
    if not options.tasks or "compile_length" in options.tasks:
        times, ratios = measure_compile_length(options.repeats)
        results.update(times)
    # The record of some tasks must not replace that of all.
    path = options.json or (None if options.tasks else RESULTS / "startup.json")
    _report(results, path, options, machine, ratios)


def select_cases(cases: Sequence[Case], names: Sequence[str] | None) -> Sequence[Case]:
    """Return the cases of these names, or all.

    Args:
        cases: What to choose from.
        names: The names, or None for all.

    Returns:
        The chosen cases, in the order of the suite.
    """
    if not names:
        return cases
    unknown = sorted(set(names) - {case.name for case in cases})
    if unknown:
        known = ", ".join(case.name for case in cases)
        sys.exit(f"no case is named {unknown[0]!r}; there are {known}")
    return [case for case in cases if case.name in names]


def _report(
    results: Mapping[str, Spread],
    path: Path | None,
    options: argparse.Namespace,
    machine: Mapping[str, object],
    ratios: Mapping[str, Spread] = MappingProxyType({}),
) -> None:
    print(spreads_table(results))
    record = {"machine": machine, "repeats": options.repeats}
    record["nanoseconds"] = spreads_record(results)
    if ratios:
        print(f"\n{ratios_table(ratios)}")
        record["ratios"] = spreads_record(ratios)
    if path:
        write_json(path, record)
        print(f"wrote {path}")
