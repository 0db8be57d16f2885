"""The generated kernels in readable form, behind `Function.source`."""

from __future__ import annotations

import re

from symgraph.compiler.codegen.nest import build_nest
from symgraph.compiler.codegen.region_kernel import region_source
from symgraph.compiler.codegen.region_listing import region_listing
from symgraph.compiler.codegen.signature import Kind
from symgraph.inspection.extents import extent_names
from symgraph.inspection.rows import Row, explained_rows
from symgraph.inspection.text import code_of, formula, place
from symgraph.location import SourceLoc
from symgraph.node import Node
from symgraph.variant import Variant


def source_text(variant: Variant) -> str:
    """Return each kernel of a plan once: its calls, the user's lines behind it, and its loops.

    Kernels do not depend on extents; the formulas are those of the first call.
    """
    rows = explained_rows(variant)
    names = extent_names(variant)
    parts = []
    for number, kernel in enumerate(variant.plan.kernels):
        calls = [row for row in rows if row.is_call and row.instruction.kernel == number]
        listing = next(
            (found for row in calls if (found := _listing(row, kernel.key_text, names))),
            kernel.listing or kernel.key_text,
        )
        parts.append("\n".join([*_header(number, calls), listing]))
    return "\n\n\n".join(parts) + "\n"


def _header(number: int, calls: list[Row]) -> list[str]:
    numbers = ", ".join(f"#{row.number}" for row in calls)
    title = calls[0].title if calls else "unused"
    lines = [f"# kernel {number}: {title}, called in {numbers}"]
    locs = dict.fromkeys(
        SourceLoc(node.loc.file, node.loc.line) for row in calls for node in row.members
    )
    lines += [f"#   {place(loc)}  {code_of(loc)}".rstrip() for loc in locs]
    return lines


def _listing(row: Row, key_text: str, names: dict[str, str]) -> str | None:
    """Return the loops of a fused kernel, None if `row` calls no fused kernel of that key."""
    region = row.region
    if region is None or row.node is None:
        return None
    nest = build_nest(region)
    kinds = tuple(map(_kind, row.node.inputs))
    if region_source(nest, kinds)[0].key_text != key_text:
        return None
    lanes = re.search(r"\blanes=(\d+)", key_text)
    inputs = [
        base.attrs["value"] if kind == "extent" else kind
        for base, kind in zip(row.node.inputs, kinds, strict=True)
    ]
    return region_listing(
        nest,
        inputs,
        int(lanes[1]) if lanes else 1,
        _comment,
        lambda extent: formula(extent, names),
    )


def _kind(node: Node) -> Kind:
    if node.op.name == "affine_index":
        return "index"
    return "extent" if node.op.name == "extent" else "memory"


def _comment(node: Node) -> str:
    derived = f", {node.loc.derived}" if node.loc.derived else ""
    return f"{node.op.name}  {place(node.loc)}{derived}"
