"""The page and the record of the GPU suite, measured or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.cuda.device import Ceilings
from benchmarks.cuda.measure import Measured, RowResult
from benchmarks.cuda.peers import OURS, PEERS
from benchmarks.cuda.problem import Problem
from benchmarks.report import time_text

_METHOD = """\
## How it is taken

```sh
make bench-gpu        # or: python3 -m benchmarks run --device cuda [--quick] [--only ROW]
```

* Every peer has its data on the device, but for *symgraph, NumPy*: its feeds and results are NumPy
  arrays, so it copies and waits at each call. *symgraph* is fed CuPy arrays and returns them. It
  waits for the device only in the rows with labels, because a label may be out of range.
* *CuPy op by op* is the Define-by-Run twin of this suite on CuPy's arrays. PyTorch runs with fused
  optimisers, cuDNN's choice by trial and its own LSTM; in JAX one jitted function is the whole
  step. TF32 is off for all: products have the full precision of float32.
* Before anything is timed, each peer takes {steps} steps from the same start (one where nothing is
  trained), and its losses or outputs must agree with those of the first of these that runs:
  {references}.
  The tolerances, relative to the largest element, are {tolerances}.
* All peers of a row take turns in one process; each round begins with another. A sample is the mean
  over the calls of some 20 ms, after one call that is not timed, by device events around them (JAX
  and *symgraph, NumPy*: by the host's clock, until the results are ready). Shown are medians; a
  number with an x is the time over symgraph's, the median of the ratios of single rounds.
* The floor of a row is the larger of two times: that of its bytes at the rate of a device-to-device
  copy of 1 GiB (each byte read and written), and that of its operations at the rate of a float32
  product of cuBLAS, 8192 x 8192 x 8192.
"""


@dataclass(frozen=True)
class Machine:
    """Where a run took place; nothing of it is known where nothing was measured.

    Args:
        description: names and values.
        ceilings: the rates of the device.
        date: of the run.
    """

    description: Mapping[str, object]
    ceilings: Ceilings | None
    date: str


def page(results: Sequence[RowResult], machine: Machine | None, steps: int, references: str) -> str:
    """Return the page as Markdown.

    Args:
        results: The rows, in order.
        machine: Where they were measured, None where they were not.
        steps: How many steps are compared.
        references: The names of those that are compared with.

    Returns:
        The text, with a line for every row whether it was measured or not.
    """
    notes = _Notes()
    parts = ["# Results on a GPU", _head(machine), _times_table(results, machine, notes)]
    parts += [notes.text(), "## What was asked of it", _targets_table(results, machine)]
    parts += ["## Until the first result", _first_table(results)]
    tolerances = _tolerances([result.problem for result in results])
    parts.append(_METHOD.format(steps=steps, references=references, tolerances=tolerances))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def record(results: Sequence[RowResult]) -> list[dict[str, object]]:
    """Return the rows as JSON can hold them."""
    return [
        {
            "name": result.problem.name,
            "title": result.problem.title,
            "tolerance": result.problem.tolerance,
            "floor": asdict(result.problem.floor),
            "reference": result.reference,
            "peers": [asdict(outcome) for outcome in result.outcomes],
        }
        for result in results
    ]


class _Notes:
    """Numbers the reasons why cells are empty; equal ones share a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        number = self._numbers.setdefault(reason, len(self._numbers) + 1)
        return f"unmeasured [{number}]"

    def text(self) -> str:
        lines = [f"{number}. {reason}" for reason, number in self._numbers.items()]
        return "Why cells are unmeasured:\n\n" + "\n".join(lines) if lines else ""


def _head(machine: Machine | None) -> str:
    if machine is None:
        return (
            "**Nothing here has been measured yet.** The rows stand here with the reason; a run\n"
            "of the suite on a machine with a GPU replaces this page."
        )
    lines = [f"Measured on {machine.date}.", ""]
    lines += [f"* {name}: {_plain(value)}" for name, value in machine.description.items()]
    if machine.ceilings:
        bandwidth, operations = machine.ceilings.bandwidth, machine.ceilings.operations
        lines.append(f"* copy from device memory to device memory: {bandwidth / 1e12:.2f} TB/s")
        lines.append(f"* float32 product of cuBLAS: {operations / 1e12:.1f} TFLOP/s")
    return "\n".join(lines)


def _times_table(results: Sequence[RowResult], machine: Machine | None, notes: _Notes) -> str:
    names = [peer.name for peer in PEERS]
    rows = [["row", *names, "floor", "symgraph over the floor"]]
    for result in results:
        cells = {outcome.peer: _cell(outcome, notes) for outcome in result.outcomes}
        floor, over = _floor_cells(result, machine)
        shown = [cells.get(name, "") for name in names]
        rows.append([f"`{result.problem.name}`: {result.problem.title}", *shown, floor, over])
    return _table(rows)


def _cell(outcome: object, notes: _Notes) -> str:
    if not isinstance(outcome, Measured):
        return notes.mark(str(getattr(outcome, "reason", "")))
    text = time_text(outcome.device.median)
    if outcome.ratio is not None and outcome.peer != OURS:
        text += f", {outcome.ratio:.2f}x"
    if outcome.wall.median > 1.5 * outcome.device.median:
        # Then something ran behind the event's back, and the events cannot be believed.
        text += f" (by the host's clock {time_text(outcome.wall.median)})"
    return text


def _floor_cells(result: RowResult, machine: Machine | None) -> tuple[str, str]:
    floor = result.problem.floor
    counted = f"{floor.bytes / 1e6:.3g} MB, {floor.operations / 1e9:.3g} GFLOP"
    if machine is None or machine.ceilings is None:
        return counted, ""
    least = machine.ceilings.nanoseconds(floor.bytes, floor.operations)
    ours = result.measured(OURS)
    over = f"{ours.device.median / least:.2f}x" if ours else ""
    return f"{counted}: {time_text(least)}", over


def _targets_table(results: Sequence[RowResult], machine: Machine | None) -> str:
    rows = [["row", "asked", "found", "verdict"]]
    for result in results:
        rows += _target_rows(result.problem, result, machine)
    return _table(rows)


def _target_rows(
    problem: Problem, result: RowResult, machine: Machine | None
) -> Iterator[list[str]]:
    for peer, least in problem.least.items():
        asked = f"at most {1 / least:.2g} times as long as {peer}"
        found = result.measured(peer)
        ratio = found.ratio if found else None
        text = "unmeasured" if ratio is None else f"{ratio:.2f}x"
        yield [f"`{problem.name}`", asked, text, _verdict(ratio, least)]
    if problem.least_bandwidth is not None:
        part = _bandwidth_part(problem, result, machine)
        text = "unmeasured" if part is None else f"{part:.0%}"
        asked = f"at least {problem.least_bandwidth:.0%} of the measured bandwidth"
        yield [f"`{problem.name}`", asked, text, _verdict(part, problem.least_bandwidth)]


def _bandwidth_part(problem: Problem, result: RowResult, machine: Machine | None) -> float | None:
    ours = result.measured(OURS)
    if ours is None or machine is None or machine.ceilings is None:
        return None
    reached = problem.floor.bytes / (ours.device.median / 1e9)
    return reached / machine.ceilings.bandwidth


def _verdict(found: float | None, least: float) -> str:
    if found is None:
        return "open"
    return "met" if found >= least else "MISSED"


def _first_table(results: Sequence[RowResult]) -> str:
    """Return how long each peer took to build and compile a row and to run its first step."""
    names = [peer.name for peer in PEERS]
    rows = [["row", *names]]
    for result in results:
        found = [result.measured(name) for name in names]
        cells = [f"{one.first_seconds:.2f} s" if one else "" for one in found]
        if any(cells):
            rows.append([f"`{result.problem.name}`", *cells])
    return _table(rows) if len(rows) > 1 else "Unmeasured: building, compiling and the first step."


def _tolerances(problems: Sequence[Problem]) -> str:
    """Return the rows of each tolerance, as text."""
    named: dict[float, list[str]] = {}
    for problem in problems:
        named.setdefault(problem.tolerance, []).append(f"`{problem.name}`")
    most = max(named, key=lambda tolerance: len(named[tolerance]))
    others = [
        f"{value:g} for {' and '.join(names)}" for value, names in named.items() if value != most
    ]
    return ", ".join([*others, f"{most:g} for {'the others' if others else 'all'}"])


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *others = rows
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in others]
    return "\n".join(lines)


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return str(value)
