"""The register tile of a weight's gradient: dot products of a few rows with a few other rows.

Vectors run along the positions that are summed over, so that neither operand need be transposed.
Each result is the sum of as many chains of fused multiply-adds as a vector has lanes, added up in a
fixed tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_geometry import ONE, ZERO
from symgraph.runtime.kernels.gemm_shape import TileShape

BLOCK_BYTES = 3072  # positions that are summed before the lanes are: rows of a tile then fit in L1
ROW_BYTES = BLOCK_BYTES + 64  # so that rows do not compete for the same places in the cache


@dataclass(frozen=True)
class DotShape:
    """The tile on one machine.

    Attributes:
        shape: Register tile of the matrix product.
    """

    shape: TileShape

    @property
    def rows(self) -> int:
        """Return the rows of the left operand."""
        return 4 if self.shape.registers >= 32 else 3

    @property
    def columns(self) -> int:
        """Return the rows of the right operand."""
        return 6 if self.shape.registers >= 32 else 3

    @property
    def positions(self) -> int:
        """Return the positions of a block."""
        return BLOCK_BYTES // self.shape.item_bytes


class DotArguments(NamedTuple):
    """The arguments of the tile function, in order.

    The rows of both operands lie `ROW_BYTES` apart and are whole vectors; all of a tile may be
    read, of which `rows` x `columns` results are added to what lies at `c`.
    """

    left: ir.Value
    right: ir.Value
    vectors: ir.Value
    c: ir.Value
    c_row: ir.Value
    rows: ir.Value
    columns: ir.Value


def define_dots(module: ir.Module, tile: DotShape, dtype: str) -> ir.Function:
    """Define the internal function of `DotArguments`."""
    pointer, integer = emit.BYTE_POINTER, emit.INT64
    types = DotArguments(pointer, pointer, integer, pointer, integer, integer, integer)
    builder, function = emit.internal_function(module, "convolution_dots", types)
    args = DotArguments(*function.args)
    shape = tile.shape
    kind = ir.VectorType(emit.ELEMENT_TYPES[dtype], shape.lanes)
    totals = _emit_products(builder, tile, kind, args)
    for index in range(tile.rows):
        with builder.if_then(builder.icmp_signed("<", emit.int64(index), args.rows)):
            c = emit.offset(builder, args.c, builder.mul(emit.int64(index), args.c_row))
            sums = _sum_lanes(builder, totals[index], shape.lanes)
            for number, value in enumerate(sums):
                left = builder.sub(args.columns, emit.int64(number * shape.lanes))
                mask = emit.first_lanes(builder, left, shape.lanes)
                place = emit.offset(builder, c, emit.int64(number * shape.vector_bytes))
                before = emit.masked_load(builder, place, mask, kind, shape.item_bytes)
                total = emit.add(builder, before, value)
                emit.masked_store(builder, total, place, mask, shape.item_bytes)
    builder.ret_void()
    return function


def _emit_products(
    builder: ir.IRBuilder, tile: DotShape, kind: ir.VectorType, args: DotArguments
) -> list[list[ir.Value]]:
    """Emit the loop over vectors of positions; return the sums of each lane."""
    size = tile.shape.vector_bytes
    before = builder.block
    head = builder.append_basic_block("dots.head")
    body = builder.append_basic_block("dots.body")
    after = builder.append_basic_block("dots.after")
    builder.branch(head)
    builder.position_at_end(head)

    def carried(start: ir.Value) -> ir.Value:
        phi = builder.phi(start.type)
        phi.add_incoming(start, before)
        return phi

    left_over, left, right = carried(args.vectors), carried(args.left), carried(args.right)
    sums = [[carried(emit.zero(kind)) for _ in range(tile.columns)] for _ in range(tile.rows)]
    builder.cbranch(builder.icmp_signed("!=", left_over, ZERO), body, after)

    builder.position_at_end(body)

    def read(base: ir.Value, row: int) -> ir.Value:
        place = emit.offset(builder, base, emit.int64(row * ROW_BYTES))
        return emit.load(builder, place, kind, tile.shape.item_bytes)

    factors = [read(right, column) for column in range(tile.columns)]
    updates = []
    for row, totals in enumerate(sums):
        value = read(left, row)
        for factor, total in zip(factors, totals, strict=True):
            updates.append((total, emit.multiply_add(builder, value, factor, total)))
    updates.append((left_over, builder.sub(left_over, ONE)))
    updates.append((left, emit.offset(builder, left, emit.int64(size))))
    updates.append((right, emit.offset(builder, right, emit.int64(size))))
    for phi, value in updates:
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return sums


def _sum_lanes(builder: ir.IRBuilder, vectors: list[ir.Value], lanes: int) -> list[ir.Value]:
    """Return vectors whose lanes are the sums of all lanes of the given ones, in their order.

    Pairs of vectors are folded into one until all lanes are summed: a lane whose number has a bit
    set then belongs to the second of the pair.
    """
    count = 1 << (len(vectors) - 1).bit_length()
    level = [*vectors, *([emit.zero(vectors[0].type)] * (count - len(vectors)))]
    bit = 1
    while bit < lanes:
        firsts, seconds = (level[::2], level[1::2]) if len(level) > 1 else (level, level)
        own = [lane + lanes if lane & bit else lane for lane in range(lanes)]
        other = [lane + lanes - bit if lane & bit else lane + bit for lane in range(lanes)]
        level = [
            emit.add(
                builder,
                emit.permute(builder, first, second, own),
                emit.permute(builder, first, second, other),
            )
            for first, second in zip(firsts, seconds, strict=True)
        ]
        bit *= 2
    return level
