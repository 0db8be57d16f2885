"""The kernels of a compiled function in brief: rows for tables, titles for pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from symgraph.dims import Extent
from symgraph.inspection.extents import bind, extent_names, value_of
from symgraph.inspection.rows import Row, explained_rows
from symgraph.inspection.text import formula, place, scaled
from symgraph.node import Node
from symgraph.printer import printable
from symgraph.variant import Variant

_LISTED_OPS = 6


def kernel_rows(variant: Variant, dims: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row of text for each kernel call; what it moves and computes is that of one run.

    Args:
        variant: the compiled graph.
        dims: extents for which formulas become numbers.
    """
    bound, names = bind(variant, dims), extent_names(variant)

    def figure(extent: Extent, unit: str) -> str:
        value = value_of(extent, bound)
        return f"{formula(extent, names)} {unit}" if value is None else scaled(value, unit)

    return [
        {
            "call": f"#{row.number}",
            "kernel": str(row.instruction.kernel),
            "what": _title(row, names),
            "runs": _runs(row, bound, names),
            "ops": _ops(row),
            "moves": figure(row.read + row.written, "B"),
            "computes": figure(row.operations, "FLOP"),
            "from": ", ".join(_lines(row)),
        }
        for row in explained_rows(variant)
        if row.is_call
    ]


def kernel_titles(variant: Variant) -> dict[Node, str]:
    """Return a title for each fused or library node of the last stage."""
    names = extent_names(variant)
    titles: dict[Node, str] = {}
    for row in explained_rows(variant):
        if row.is_call and row.node is not None:
            titles.setdefault(row.node, f"#{row.number} {_title(row, names)}")
    return titles


def output_titles(variant: Variant) -> list[str]:
    """Return a title for each output of the last stage."""
    count = len(variant.plan.outputs)
    outputs = ["output"] if count == 1 else [f"output {number}" for number in range(count)]
    return outputs + [
        f"new {printable(parameter.name or 'parameter')}" for parameter in variant.updated
    ]


def _title(row: Row, names: dict[str, str]) -> str:
    region = row.region
    if region is None:
        return row.title
    loops = " x ".join(formula(extent, names) for extent in region.domain)
    return f"{row.title} over {loops}" if loops else row.title


def _runs(row: Row, bound: Mapping[str, int], names: dict[str, str]) -> str:
    """Return how often a call runs a kernel."""
    count = row.repetitions
    if count is None:
        return "each step"
    value = value_of(count, bound)
    return formula(count, names) if value is None else str(value)


def _ops(row: Row) -> str:
    counted = Counter(node.op.name for node in row.members)
    shown = [name if count == 1 else f"{name} x{count}" for name, count in counted.items()]
    more = " ..." if len(shown) > _LISTED_OPS else ""
    return ", ".join(shown[:_LISTED_OPS]) + more


def _lines(row: Row) -> list[str]:
    return list(dict.fromkeys(place(line.partition(" (")[0]) for line in row.instruction.lines))[:3]
