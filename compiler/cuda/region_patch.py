"""Regions without reductions that read transposed arrays: a thread takes a small square patch.

What lies dense along the vector loop is loaded row by row, what lies dense along another loop
column by column: all accesses use whole sectors of memory, and the transposition happens in the
thread's registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from symgraph.compiler.costs import cost_of
from symgraph.compiler.cuda.region_code import LONG_BODY, RegionCode
from symgraph.compiler.cuda.region_flat import (
    THREADS,
    decomposed,
    load_fixed,
    packs_of,
)
from symgraph.compiler.cuda.region_walk import Walk
from symgraph.dims import Extent
from symgraph.runtime.plan import Launch

MOST_WIDTH = 4
"""Rows and columns of a patch at most; a thread has all of it in registers."""
SHORT = 16
TILE = 16
"""Patches of a block along each side: a warp has 4 by 8 of them."""


def turned_inputs(code: RegionCode) -> tuple[int, dict[int, int]] | None:
    """Return the loop along which transposed inputs lie dense, and these; None if there are none.

    A long body is not worth it, which would be there for each element of a patch. Nor are a few
    rows or columns, such as the colours of an image: caches make up for those.

    Args:
        code: the kernel.
    """
    nest = code.nest
    if nest.mode != "elementwise" or code.width == 1:
        return None
    if sum(cost_of(node) for node in nest.order) > LONG_BODY:
        return None
    found: dict[int, list[int]] = {}
    for number, operand in enumerate(nest.inputs):
        if code.in_memory(number) and 0 not in operand.strides and not code.is_dense(number):
            for loop, stride in enumerate(operand.strides):
                if stride == 1:
                    found.setdefault(loop, []).append(number)
    if not found:
        return None
    loop = max(found, key=lambda one: len(found[one]))
    if any(_is_short(nest.loops[side].extent) for side in (loop, nest.vector)):
        return None
    return loop, dict.fromkeys(found[loop], loop)


def _is_short(extent: Extent) -> bool:
    return isinstance(extent, int) and extent < SHORT


@dataclass(frozen=True, eq=False)
class PatchWalk(Walk):
    """A walk whose positions are the rows of a patch, and that loads some inputs by columns.

    Args:
        turned: the inputs loaded by columns.
        rows: the loop that they lie dense along.
    """

    turned: frozenset[int]
    rows: int

    def loaded(self) -> list[int]:
        """Return the arrays that are loaded row by row."""
        return [operand for operand in self.moving() if operand not in self.turned]

    def argument(self, operand: int) -> str:
        """Return element `k` of row `u`."""
        if operand not in self.turned:
            return super().argument(operand)
        item = f"x{operand}[k].item[u]"
        return f"{item} != 0" if self.code.operands[operand].dtype == "bool" else item

    def emit_columns(self) -> None:
        """Write the declarations and loads of what is loaded by columns."""
        builder, vector = self.code.builder, self.code.nest.vector
        for operand in sorted(self.turned):
            builder.note(f"{self.pack(operand)} x{operand}[{self.width}];")
        builder.note("#pragma unroll")
        builder.open(f"for (int k = 0; k < {self.width}; ++k)")
        column = f"i{vector} + (k < wide ? k : wide - 1)"
        builder.note(f"const Word column = {column};")
        for operand in sorted(self.turned):
            place = self.code.place(operand, {**self.indices, self.rows: "row", vector: "column"})
            pointer = self.code.pointer(operand, place)
            builder.note(f"load_pack(x{operand}[k], {pointer}, high, aligned);")
        builder.close()


def patch_region(code: RegionCode, turned: tuple[int, dict[int, int]]) -> PatchLaunch:
    """Write the body; return its launch rule.

    Args:
        code: the kernel.
        turned: what `turned_inputs` gives.
    """
    nest, builder, width = code.nest, code.builder, min(code.width, MOST_WIDTH)
    rows, columns = turned[0], nest.vector
    outer = [loop for loop in range(len(nest.loops)) if loop not in (rows, columns)]
    order = [*outer, rows, columns]
    fixed = load_fixed(code, order, {})
    dense = {n: columns for n in range(len(code.operands)) if code.is_dense(n)}
    builder.note(f"const bool aligned = {code.aligned_along({**dense, **turned[1]}, width)};")
    edge = TILE * width
    if outer:
        builder.note(f"const Word down = {packs_of(code.extent(rows), edge)};")
    builder.note(f"const Word across = {packs_of(code.extent(columns), edge)};")
    extents = [*(code.extent(loop) for loop in outer), "down", "across"]
    for line in decomposed("(Word)blockIdx.x", order, extents):
        builder.note(line)
    note = builder.note
    note("const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;")
    note(f"const Word row = i{rows} * {edge} + (warp / 2 * 4 + lane / 8) * {width};")
    note(f"i{columns} = i{columns} * {edge} + (warp % 2 * 8 + lane % 8) * {width};")
    for name, first, loop in (("high", "row", rows), ("wide", f"i{columns}", columns)):
        rest = f"{code.extent(loop)} - {first}"
        note(f"const int {name} = {rest} < {width} ? (int)({rest}) : {width};")
    note("if (high <= 0 || wide <= 0) return;")
    indices = {loop: f"i{loop}" for loop in order} | {rows: "(row + u)"}
    turned_here = frozenset(turned[1])
    walk = PatchWalk(
        code, code.steps[0], width, width, "aligned", indices, {}, fixed, {}, turned_here, rows
    )
    walk.emit_columns()
    walk.emit("if (u < high) left[u] = wide;")
    return PatchLaunch(len(nest.loops), rows, columns, edge)


@dataclass(frozen=True, slots=True)
class PatchLaunch:
    """How such a kernel is started.

    Args:
        loops: how many there are.
        rows: the loop along which transposed inputs lie dense.
        columns: the vector loop.
        edge: elements of a block along each of them.
    """

    loops: int
    rows: int
    columns: int
    edge: int

    def __call__(self, words: Sequence[int]) -> Launch:
        """Return one block for each square of elements."""
        sides = (self.rows, self.columns)
        outer = prod(words[loop] for loop in range(self.loops) if loop not in sides)
        squares = prod(-(-words[loop] // self.edge) for loop in sides)
        return Launch((outer * squares, 1, 1), (THREADS, 1, 1))
