"""The report behind `Function.explain`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from symgraph.dims import Extent, symbols
from symgraph.inspection.extents import bind, extent_names, value_of
from symgraph.inspection.reasons import boundary_reason, producers_of, row_levels
from symgraph.inspection.rows import Row, explained_rows
from symgraph.inspection.text import code_of, duration, formula, place, scaled
from symgraph.location import SourceLoc
from symgraph.node import Node
from symgraph.runtime import cache
from symgraph.runtime.frame import GRAIN_WORK, grain_of
from symgraph.runtime.pool import available_cpus
from symgraph.runtime.jit import statistics
from symgraph.runtime.plan import Opcode
from symgraph.variant import Variant

_MANY_ROWS = 1 << 40
_WIDTH = 96
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
    parts = [_heading(variant, rows, threads)]
    levels = row_levels(rows)
    parts += [_block(variant, row, rows, uses, levels, bound, names) for row in rows]
    return "\n\n".join(parts)


def _heading(variant: Variant, rows: Sequence[Row], threads: int | None) -> str:
    calls = sum(row.is_call for row in rows)
    takes = ", ".join(
        f"{name}: {declared}" for name, declared in zip(variant.names, variant.feeds, strict=True)
    )
    count = len(variant.plan.outputs)
    lines = [f"function of ({takes}), {count} output{'s' if count != 1 else ''}"]
    if variant.updated:
        labels = [parameter.name or "unnamed" for parameter in variant.updated]
        lines[0] += f"; updates {', '.join(labels[:8])}{' ...' if len(labels) > 8 else ''}"
    lines.append(f"{calls} kernel calls of {len(variant.plan.kernels)} kernels; " + _threads(threads))
    build = variant.build
    lines.append(
        f"compiled in {duration(build.seconds)}: {build.compiled} kernels made by the back end in "
        f"{duration(build.compile_seconds)}, {build.from_disk} found in the disk cache, "
        f"{build.from_memory} in memory"
    )
    return "\n".join([*lines, *_cache_lines()])


def _threads(threads: int | None) -> str:
    return "any number of threads" if threads is None else f"at most {threads} threads"


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


def _block(
    variant: Variant,
    row: Row,
    rows: Sequence[Row],
    uses: Counter[int],
    levels: dict[int, int],
    bound: Bound,
    names: dict[str, str],
) -> str:
    lines = [_title(variant, row, uses, names)]
    if not row.is_call:
        return lines[0]
    lines += _user_lines(row.members)
    lines.append("moves    " + _moved(row, bound, names))
    lines.append("threads  " + _threading(row, bound, names))
    producers = producers_of(row, rows)
    for producer in producers:
        reason = boundary_reason(producer, row, producers, levels, names)
        lines.append(f"apart from #{producer.number} ({producer.title}): {reason}")
    return "\n      ".join(lines)


def _title(variant: Variant, row: Row, uses: Counter[int], names: dict[str, str]) -> str:
    text = f"#{row.number:<4} {row.title}"
    if not row.is_call:
        meanings = {
            Opcode.COMMIT: "all checks have passed; from here on parameters change",
            Opcode.HALT: "the end",
            Opcode.JUMP: f"go on at #{row.instruction.target}",
            Opcode.JUMP_IF_FALSE: f"if false, go on at #{row.instruction.target}",
        }
        return f"{text}: {meanings[row.instruction.opcode]}"
    region = row.region
    if region is not None:
        loops = [
            f"{formula(extent, names)}{' (reduced)' if axis in region.reduced else ''}"
            for axis, extent in enumerate(region.domain)
        ]
        text += f" over {' x '.join(loops) or 'one element'}, {_ops(len(row.members))}"
    elif row.node is not None:
        text += f" giving {row.node.type}"
    number = row.instruction.kernel
    shared = f", called {uses[number]} times" if uses[number] > 1 else ""
    lanes = re.search(r"\blanes=(\d+)", variant.plan.kernels[number].key_text)
    width = f", {lanes[1]} lanes" if lanes and lanes[1] != "1" else ""
    return f"{text}  [kernel {number}{width}{shared}]"


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


def _moved(row: Row, bound: Bound, names: dict[str, str]) -> str:
    def figure(extent: Extent, unit: str) -> str:
        text = formula(extent, names)
        value = value_of(extent, bound)
        if isinstance(extent, int) or value is None:
            return scaled(extent, unit) if isinstance(extent, int) else f"{text} {unit}"
        return f"{text} {unit} = {scaled(value, unit)}"

    parts = [f"reads {figure(row.read, 'B')}", f"writes {figure(row.written, 'B')}"]
    if row.operations != 0:
        parts.append(f"computes {figure(row.operations, 'FLOP')}")
    return ", ".join(parts)


def _threading(row: Row, bound: Bound, names: dict[str, str]) -> str:
    """Return whether threads share the call, and in which pieces."""
    extent, work = value_of(row.parallel, bound), value_of(row.work, bound)
    if row.parallel == 1:
        return "one: there is no loop to share"
    if extent is not None and work is not None:
        grain = grain_of(extent, work, max(available_cpus(), 2))
        if not grain:
            return "one: the work is too small to share"
        return f"shared: {-(-extent // grain)} pieces of {grain} of {extent} iterations"
    shared = f"the {formula(row.parallel, names)} iterations of its outermost loop"
    threshold = _threshold(row)
    if threshold is None:
        return f"share {shared} where it pays (work {formula(row.work, names)} > {2 * GRAIN_WORK})"
    name, least = threshold
    if least >= _MANY_ROWS:
        return "one"
    return f"share {shared} from {names.get(name, name)} = {least} on"


def _threshold(row: Row) -> tuple[str, int] | None:
    """Return the one extent that decides about threads and the least that brings them in."""
    involved = {*symbols(row.work), *symbols(row.parallel)}
    if len(involved) != 1:
        return None
    (name,) = involved
    low, high = 0, _MANY_ROWS

    def pays(value: int) -> bool:
        extent, work = value_of(row.parallel, {name: value}), value_of(row.work, {name: value})
        return extent is not None and work is not None and grain_of(extent, work, max(available_cpus(), 2)) > 0

    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle + 1, high)
    return name, low
