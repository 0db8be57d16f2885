"""Column reductions: neighbouring threads have neighbouring columns, and lanes share the rows.

A column belongs to one block. Matrices of a few columns and very many rows therefore occupy only a
part of a large device: as many blocks as there are pairs of columns.
"""

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

MOST_THREADS = 512
COLUMNS = 32
SECTOR_COLUMNS = 8
"""As many float32 as one sector of memory holds: with fewer, several blocks read each sector."""
FEWEST_COLUMNS = 2
ENOUGH_BLOCKS = 256
FEW_BLOCKS = 64
"""So many at least are worth reading sectors more than once, of which caches take care."""
ROWS_EACH = 8
"""Rows from which a lane is worth its part of the combination."""


class Columns(Reducing):
    """A block has some columns (x) and, for each, several lanes (y)."""

    def begin(self) -> None:
        """Write what finds this thread's column."""
        note, vector = self.builder.note, self.code.nest.vector
        outer = [loop for loop in self.kept if loop != vector]
        extent = self.code.extent(vector)
        note("const int lane = threadIdx.y, lanes = blockDim.y;")
        note(f"__shared__ Word parts[{MOST_THREADS}];")
        if outer:
            note(f"const Word across = ({extent} + blockDim.x - 1) / blockDim.x;")
            note("Word above, block;")
            note("split(blockIdx.x, across, above, block);")
            for line in decomposed("above", outer, [self.code.extent(loop) for loop in outer]):
                note(line)
        else:
            note("const Word block = blockIdx.x;")
        note(f"Word i{vector} = block * blockDim.x + threadIdx.x;")
        note(f"const bool there = i{vector} < {extent};")
        note(f"if (!there) i{vector} = {extent} - 1;")

    def walk(self, step: Step, totals: dict[Node, str]) -> None:
        """Write the loop over this lane's rows."""
        self.builder.open("")
        self.loop(step, totals, 1, "false")
        self.builder.close()

    def unrolled(self, step: Step, width: int) -> int:
        """Return how many rows a thread has under way: its columns are single elements."""
        most = super().unrolled(step, width)
        return most if step.writes else 2 * most

    def across(self, node: Node, total: str) -> None:
        """Combine over the lanes of each column, the upper half into the lower one each time."""
        kind, builder = C_TYPE[accumulator_dtype(node)], self.builder
        builder.open("if (lanes > 1)")
        builder.note(f"{kind}* column = ({kind}*)(parts + threadIdx.x);")
        # One word a thread, whatever the dtype.
        pitch = f"(int)blockDim.x * (int)(sizeof(Word) / sizeof({kind}))"
        builder.note(f"const int pitch = {pitch};")
        builder.note("__syncthreads();")
        builder.note(f"column[lane * pitch] = {total};")
        builder.note("__syncthreads();")
        builder.open("for (int half = lanes / 2; half > 0; half /= 2)")
        pair = "column[lane * pitch]", "column[(lane + half) * pitch]"
        builder.note(f"if (lane < half) {pair[0]} = {self.code.combined(node, *pair)};")
        builder.note("__syncthreads();")
        builder.close()
        builder.note(f"{total} = column[0];")
        builder.close()


@dataclass(frozen=True, slots=True)
class ColumnLaunch:
    """How column reductions are started.

    Args:
        kept: the kept loops.
        reduced: the reduced ones.
        vector: the loop of the columns.
    """

    kept: tuple[int, ...]
    reduced: tuple[int, ...]
    vector: int

    def __call__(self, words: Sequence[int]) -> Launch:
        """Return the launch, a function of extents alone."""
        width = words[self.vector]
        outer = prod(words[loop] for loop in self.kept if loop != self.vector)
        rows = prod(words[loop] for loop in self.reduced)
        columns = min(COLUMNS, _power_of_two(width))
        for fewest, enough in ((SECTOR_COLUMNS, ENOUGH_BLOCKS), (FEWEST_COLUMNS, FEW_BLOCKS)):
            while (
                columns > fewest
                and outer * -(-width // columns) < enough
                and rows > ROWS_EACH * MOST_THREADS // columns
            ):
                columns //= 2
        lanes = min(MOST_THREADS // columns, _power_of_two(-(-rows // ROWS_EACH)))
        while columns * lanes < 128 and columns < width:
            columns *= 2
        return Launch((outer * -(-width // columns), 1, 1), (columns, lanes, 1))


def _power_of_two(number: int) -> int:
    """Return the least power of two that is not smaller."""
    return 1 << max(number - 1, 0).bit_length()


def column_region(code: RegionCode) -> ColumnLaunch:
    """Write the body of a column reduction; return its launch rule."""
    columns = Columns(code)
    columns.emit()
    return ColumnLaunch(tuple(columns.kept), tuple(columns.reduced), code.nest.vector)
