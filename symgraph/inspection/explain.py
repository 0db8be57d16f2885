"""The report behind `Function.explain`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.inspection.extents import bind, extent_names, symbolic_extents
from symgraph.inspection.figures import loop_text, moved, moved_in_all, totals
from symgraph.inspection.nesting import loop_at
from symgraph.inspection.reasons import boundary_reason, find_levels, find_producers
from symgraph.inspection.rows import Row, explained_rows
from symgraph.inspection.sharing import sharing
from symgraph.inspection.text import code_of, duration, formula, place, scaled
from symgraph.location import SourceLoc
from symgraph.node import Node
from symgraph.printer import printable
from symgraph.runtime import cache
from symgraph.runtime.cuda.decisions import host_decisions
from symgraph.runtime.cuda.limits import MOST_RECORDED
from symgraph.runtime.jit import statistics
from symgraph.runtime.plan import Instruction, KernelSource, Opcode
from symgraph.runtime.pool import available_cpus
from symgraph.variant import Variant

_WIDTH = 96
_INDENT = "    "
Bound = Mapping[str, int]


def explain(variant: Variant, dims: Mapping[str, Any], threads: int | None) -> str:
    """Return what the plan does, instruction by instruction, in terms of the user's lines.

    Args:
        variant: the compiled graph.
        dims: extents for which bytes and operations are also given as numbers.
        threads: how many threads a call may use, None for all.
    """
    bound, names = bind(variant, dims), extent_names(variant)
    rows = explained_rows(variant)
    uses = Counter(row.instruction.kernel for row in rows if row.is_call)
    workers = threads or available_cpus()
    producers = find_producers(rows)
    report = _Report(variant, producers, find_levels(producers), uses, bound, names, workers)
    heading = "\n".join([_heading(variant, rows, workers), totals(rows, bound, names)])
    return "\n\n".join([heading, *map(report.block, rows)])


def _heading(variant: Variant, rows: Sequence[Row], threads: int) -> str:
    calls = sum(row.is_call for row in rows)
    takes = ", ".join(
        f"{printable(name)}: {declared}"
        for name, declared in zip(variant.names, variant.feeds, strict=True)
    )
    count = len(variant.plan.outputs)
    lines = [f"function of ({takes}), {count} output{'s' if count != 1 else ''}"]
    if variant.updated:
        labels = [printable(parameter.name or "unnamed") for parameter in variant.updated]
        lines[0] += f"; updates {', '.join(labels[:8])}{' ...' if len(labels) > 8 else ''}"
    by = f"by up to {threads} threads" if variant.device == "cpu" else f"on {variant.device}"
    lines.append(f"{calls} kernel calls of {len(variant.plan.kernels)} kernels, {by}")
    if variant.device != "cpu":
        lines.append(_replay_text(variant))
    build = variant.build
    lines.append(
        f"compiled in {duration(build.seconds)}: {build.compiled} kernels made by the back end in "
        f"{duration(build.compile_seconds)}, {build.from_disk} found in the disk cache, "
        f"{build.from_memory} in memory"
    )
    return "\n".join([*lines, *_cache_lines()])


def _replay_text(variant: Variant) -> str:
    """Return whether calls are replayed as a graph, or where the host has to decide."""
    decisions = host_decisions(variant.plan)
    if not decisions:
        return (
            "from the second call on for the same arrays, replayed as one CUDA graph (of no more "
            f"than {MOST_RECORDED:,} kernels)"
        )
    listed = ", ".join(f"#{number}" for number in decisions[:8])
    more = " ..." if len(decisions) > 8 else ""
    return (
        f"started kernel by kernel: at {listed}{more} the host waits for the device, to read a "
        "condition or a number of steps"
    )


def _cache_lines() -> list[str]:
    """Return what the caches did since the process began."""
    made, disk = statistics(), cache.stats()
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(disk.misses.items()))
    state = f"{disk.entries} entries, {scaled(disk.size, 'B')}" if disk.enabled else "switched off"
    return [
        f"this process: {made.memory_hits} kernels from memory, {made.disk_hits} from disk, "
        f"{made.compiled} compiled in {duration(made.seconds)}",
        f"disk cache: {state}; {disk.hits} hits, misses: {reasons or 'none'}",
    ]


@dataclass(frozen=True)
class _Report:
    """Writes one block for each instruction.

    Args:
        variant: the compiled graph.
        producers: for each instruction those that it reads from.
        levels: how many calls each instruction waits for.
        uses: how often each kernel is called.
        bound: the extents whose values are known.
        names: what open extents are called.
        threads: how many may share a call.
    """

    variant: Variant
    producers: Sequence[Sequence[Row]]
    levels: Sequence[int]
    uses: Counter[int]
    bound: Bound
    names: dict[str, str]
    threads: int

    def block(self, row: Row) -> str:
        """Return what one instruction does; what loops repeat is indented."""
        lines = self._call_lines(row) if row.is_call else self._jump_lines(row)
        margin = _INDENT * len(row.around)
        return "\n".join([f"{margin}{lines[0]}", *(f"{margin}      {line}" for line in lines[1:])])

    def _jump_lines(self, row: Row) -> list[str]:
        text = _jump_text(row)
        if row.instruction.opcode is Opcode.LOOP:
            loop = loop_at(self.variant.plan, symbolic_extents(self.variant), row.number)
            text = loop_text(loop, self.names)
        return [f"{_number(row)} {row.title}: {text}", *_lines_of(row.instruction)]

    def _call_lines(self, row: Row) -> list[str]:
        lines = [f"{_number(row)} {self._call_text(row)}", *_user_lines(row.members)]
        if not row.members:
            lines += _lines_of(row.instruction)
        lines.append("moves    " + moved(row, self.bound, self.names))
        if row.around:
            lines.append("steps    " + moved_in_all(row, self.bound, self.names))
        if self.variant.device == "cpu":
            lines.append("threads  " + sharing(row, self.bound, self.names, self.threads))
        producers = self.producers[row.number]
        for producer in producers:
            reason = boundary_reason(producer, row, producers, self.levels, self.names)
            lines.append(f"apart from #{producer.number} ({producer.title}): {reason}")
        return lines

    def _call_text(self, row: Row) -> str:
        region, number = row.region, row.instruction.kernel
        text = row.title
        if region is not None:
            loops = [
                f"{formula(extent, self.names)}{' (reduced)' if axis in region.reduced else ''}"
                for axis, extent in enumerate(region.domain)
            ]
            text += f" over {' x '.join(loops) or 'one element'}, {_ops(len(row.members))}"
        elif row.node is not None:
            text += f" giving {row.node.type}"
        shared = f", called {self.uses[number]} times" if self.uses[number] > 1 else ""
        kernel = self.variant.plan.kernels[number]
        lanes = re.search(r"\blanes=(\d+)", kernel.key_text)
        native = isinstance(kernel, KernelSource)
        width = f", {lanes[1]} lanes" if native and lanes and lanes[1] != "1" else ""
        return f"{text}  [kernel {number}{width}{shared}]"


def _number(row: Row) -> str:
    return f"#{row.number:<4}"


def _jump_text(row: Row) -> str:
    target = row.instruction.target
    meanings = {
        Opcode.COMMIT: "all checks have passed; from here on parameters change",
        Opcode.HALT: "the end",
        Opcode.JUMP: f"go on at #{target}",
        Opcode.JUMP_IF_FALSE: f"if the condition is false, go on at #{target}",
        Opcode.NEXT: f"back to #{target}, if there is one",
    }
    return meanings.get(row.instruction.opcode, f"go on at #{target}")


def _ops(count: int) -> str:
    return "1 op" if count == 1 else f"{count} ops"


def _user_lines(members: Iterable[Node]) -> list[str]:
    """Return for each of the user's lines its text and the ops that stem from it."""
    by_line: dict[tuple[str, int], dict[str, list[str]]] = {}
    for node in members:
        loc = node.loc
        by_line.setdefault((loc.file, loc.line), {}).setdefault(loc.derived, []).append(
            node.op.name
        )
    lines = []
    for (file, line), derived in by_line.items():
        loc = SourceLoc(file, line)
        lines.append(f"{place(loc)}  {code_of(loc)}".rstrip())
        for origin, ops in derived.items():
            label = f"{origin}: " if origin else ""
            lines.append("    " + label + _listed(ops))
    return lines


def _listed(ops: Sequence[str]) -> str:
    text = ""
    for name, count in Counter(ops).items():
        item = name if count == 1 else f"{name} x{count}"
        if len(text) + len(item) > _WIDTH:
            return f"{text} ..."
        text = f"{text} {item}".strip()
    return text


def _lines_of(instruction: Instruction) -> list[str]:
    """Return the user's lines that an instruction is there for, with their text."""
    locs = dict.fromkeys(line.partition(" (")[0] for line in instruction.lines)
    found = []
    for text in locs:
        file, _, line = text.rpartition(":")
        found.append(f"{place(text)}  {code_of(SourceLoc(file, int(line)))}".rstrip())
    return found
