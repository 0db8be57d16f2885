"""Row reductions: the lanes of a row read packs that lie side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from symgraph.compiler.cuda.region_code import RegionCode
from symgraph.compiler.cuda.region_flat import decomposed
from symgraph.compiler.cuda.region_reduce import Reducing
from symgraph.compiler.cuda.region_step import Step
from symgraph.compiler.cuda.scalar import C_TYPE
from symgraph.compiler.region import accumulator_dtype
from symgraph.node import Node
from symgraph.runtime.plan import Launch

MOST_LANES = 512
WARP = 32
BLOCK = 256
"""Threads of a block whose rows need fewer."""


class Rows(Reducing):
    """The reduced loops end with the vector loop; a block has one row or several."""

    def __init__(self, code: RegionCode) -> None:
        """Prepare for a kernel; the rows of a chunked region are its chunks."""
        super().__init__(code)
        self._chunked = code.nest.region.chunk is not None
        self._single = len(code.nest.loops) == 1
        if self._chunked:
            self.starts[0] = "start"
            self.lengths[0] = "length"

    def begin(self) -> None:
        """Write what finds this thread's row."""
        note = self.builder.note
        note("const int lane = threadIdx.x, lanes = blockDim.x;")
        note("const int number = threadIdx.y * blockDim.x + threadIdx.x;")
        if self._chunked:
            chunk, extent = self.code.word(("chunk", 0)), self.code.extent(0)
            note("const bool there = threadIdx.y == 0;")
            note(f"const Word start = (Word)blockIdx.x * {chunk};")
            note(f"const Word length = {extent} - start < {chunk} ? {extent} - start : {chunk};")
            return
        if not self.kept:
            note("const bool there = threadIdx.y == 0;")
            return
        extents = [self.code.extent(loop) for loop in self.kept]
        note(f"const Word rows = {' * '.join(extents)};")
        note("Word row = (Word)blockIdx.x * blockDim.y + threadIdx.y;")
        note("const bool there = row < rows;")
        note("if (!there) row = rows - 1;")
        for line in decomposed("row", self.kept, extents):
            note(line)

    def walk(self, step: Step, totals: dict[Node, str]) -> None:
        """Write one loop over packs and, for rows that packs do not fill, one over elements."""
        width = self.code.width
        if width == 1:
            self._block("", step, totals, 1)
            return
        filled = self._filled(width)
        self._block(f"if ({filled})" if filled else "", step, totals, width)
        if filled:
            self._block("else", step, totals, 1)

    def _block(self, head: str, step: Step, totals: dict[Node, str], width: int) -> None:
        self.builder.open(head)
        if width > 1:
            self.builder.note(f"const bool aligned = {self.code.aligned(width)};")
        self.loop(step, totals, width, "aligned")
        self.builder.close()

    def _filled(self, width: int) -> str:
        """Return the condition under which a row is whole packs; it tells of extents alone."""
        if self._chunked and self._single:
            return f"{self.code.word(('chunk', 0))} % {width} == 0"
        return "" if self._single else f"{self.code.extent(self.code.nest.vector)} % {width} == 0"

    def unrolled(self, step: Step, width: int) -> int:
        """Return how many packs a thread has under way: more where few rows must do."""
        most, few = super().unrolled(step, width), not self.kept or len(self.reduced) > 1
        return 2 * most if few and not step.writes else most

    def across(self, node: Node, total: str) -> None:
        """Combine over the lanes of a warp, then over the warps of a row."""
        kind = C_TYPE[accumulator_dtype(node)]
        builder = self.builder
        self._exchange(node, total, "lanes")
        parts = builder.name("parts")
        builder.open("if (lanes > 32)")
        builder.note(f"__shared__ {kind} {parts}[{MOST_LANES // WARP}];")
        builder.note(f"if (number % 32 == 0) {parts}[number / 32] = {total};")
        builder.note("__syncthreads();")
        builder.note("const int warps = lanes / 32;")
        builder.note(f"{total} = {parts}[(number / 32 & -warps) + (number & warps - 1)];")
        self._exchange(node, total, "warps")
        builder.close()

    def _exchange(self, node: Node, total: str, lanes: str) -> None:
        """Combine over so many neighbours, a power of two; all of them get the same bits."""
        builder, kind = self.builder, C_TYPE[accumulator_dtype(node)]
        exchanged = "int" if kind == "bool" else kind
        builder.note("#pragma unroll")
        builder.open("for (int apart = 16; apart > 0; apart /= 2)")
        builder.open(f"if (apart < {lanes})")
        value = f"__shfl_xor_sync(0xffffffffu, ({exchanged}){total}, apart)"
        builder.note(f"const {kind} other = {value};")
        builder.note("const bool above = number & apart;")
        pair = f"above ? other : {total}", f"above ? {total} : other"
        builder.note(f"{total} = {self.code.combined(node, *pair)};")
        builder.close()
        builder.close()


@dataclass(frozen=True, slots=True)
class RowLaunch:
    """How row reductions are started.

    Args:
        kept: the kept loops.
        reduced: the reduced ones.
        vector: the loop along which packs lie.
        width: elements of a pack.
        chunk: the word that holds the rows of a chunk; -1 if the region is not chunked.
    """

    kept: tuple[int, ...]
    reduced: tuple[int, ...]
    vector: int
    width: int
    chunk: int

    def __call__(self, words: Sequence[int]) -> Launch:
        """Return the launch; how many lanes share a row depends on its length alone."""
        extents = {loop: words[loop] for loop in self.reduced}
        rows = prod(words[loop] for loop in self.kept)
        if self.chunk >= 0:
            rows = -(-words[0] // words[self.chunk])
            extents[0] = words[self.chunk]
        lanes = lanes_for(self._positions(extents))
        if self.chunk >= 0 or not self.kept:
            return Launch((rows, 1, 1), (lanes, max(1, WARP // lanes), 1))
        threads = BLOCK if rows * lanes > BLOCK * 256 else BLOCK // 4
        together = max(1, threads // lanes)
        return Launch((-(-rows // together), 1, 1), (lanes, together, 1))

    def _positions(self, extents: dict[int, int]) -> int:
        outer = prod(extent for loop, extent in extents.items() if loop != self.vector)
        length = extents[self.vector]
        single = len(self.kept) + len(self.reduced) == 1 and self.chunk < 0
        packed = single or length % self.width == 0
        return outer * (-(-length // self.width) if packed else length)


def lanes_for(positions: int) -> int:
    """Return how many lanes share a row: a power of two; in long rows each has two or more."""
    if positions <= WARP:
        return 1 << max(positions - 1, 0).bit_length()
    return max(WARP, min(1 << (positions // 2).bit_length() - 1, MOST_LANES))


def row_region(code: RegionCode) -> RowLaunch:
    """Write the body of a row reduction; return its launch rule."""
    rows = Rows(code)
    rows.emit()
    chunked = code.nest.region.chunk is not None
    chunk = code.signature.index(("chunk", 0)) if chunked else -1
    return RowLaunch(tuple(rows.kept), tuple(rows.reduced), code.nest.vector, code.width, chunk)
