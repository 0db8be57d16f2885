"""What the loop nest of the matrix product passes around: operands and rectangles of C."""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.gemm_shape import GemmArgument


class Span(NamedTuple):
    """A rectangle of C, in elements, half open."""

    row_begin: ir.Value
    row_end: ir.Value
    column_begin: ir.Value
    column_end: ir.Value


class Operands(NamedTuple):
    """Pointers to the matrices of one batch index and their strides in bytes."""

    a: ir.Value
    b: ir.Value
    c: ir.Value
    bias: ir.Value
    a_row: ir.Value
    a_column: ir.Value
    b_row: ir.Value
    b_column: ir.Value
    c_row: ir.Value
    depth: ir.Value
    accumulate: ir.Value


def load_argument(builder: ir.IRBuilder, args: ir.Value, which: GemmArgument) -> ir.Value:
    """Load one entry of the argument block."""
    place = emit.offset(builder, args, emit.int64(8 * which))
    return emit.load(builder, place, emit.INT64, 8)


def load_operands(
    builder: ir.IRBuilder, args: ir.Value, batch: ir.Value, item_bytes: int
) -> Operands:
    """Load the argument block and move to one batch index."""
    item = emit.int64(item_bytes)

    def value(which: GemmArgument) -> ir.Value:
        return load_argument(builder, args, which)

    def in_bytes(which: GemmArgument) -> ir.Value:
        return builder.mul(value(which), item)

    def matrix(pointer: GemmArgument, stride: GemmArgument) -> ir.Value:
        start = builder.inttoptr(value(pointer), emit.BYTE_POINTER)
        return emit.offset(builder, start, builder.mul(batch, in_bytes(stride)))

    return Operands(
        a=matrix(GemmArgument.A, GemmArgument.A_BATCH_STRIDE),
        b=matrix(GemmArgument.B, GemmArgument.B_BATCH_STRIDE),
        c=matrix(GemmArgument.C, GemmArgument.C_BATCH_STRIDE),
        bias=builder.inttoptr(value(GemmArgument.BIAS), emit.BYTE_POINTER),
        a_row=in_bytes(GemmArgument.A_ROW_STRIDE),
        a_column=in_bytes(GemmArgument.A_COLUMN_STRIDE),
        b_row=in_bytes(GemmArgument.B_ROW_STRIDE),
        b_column=in_bytes(GemmArgument.B_COLUMN_STRIDE),
        c_row=in_bytes(GemmArgument.C_ROW_STRIDE),
        depth=value(GemmArgument.DEPTH),
        accumulate=builder.icmp_signed("!=", value(GemmArgument.ACCUMULATE), emit.int64(0)),
    )


def swap_column(
    builder: ir.IRBuilder, operands: Operands, span: Span, single: ir.Value, item_bytes: int
) -> tuple[Operands, Span]:
    """Exchange A and B if C is one contiguous column and A is contiguous along it.

    C.T = B.T @ A.T has one row, so vectors run along it. The order of each sum stays the same.

    Args:
        builder: Where to emit.
        operands: The operands as given.
        span: The rectangle of C as given.
        single: Whether C has one column.
        item_bytes: Size of one element.

    Returns:
        The operands and the rectangle to go on with.
    """
    item = emit.int64(item_bytes)
    unit_a = builder.icmp_signed("==", operands.a_row, item)
    unit_c = builder.icmp_signed("==", operands.c_row, item)
    swap = builder.and_(single, builder.and_(unit_a, unit_c))

    def choose(swapped: ir.Value, ordinary: ir.Value) -> ir.Value:
        return builder.select(swap, swapped, ordinary)

    exchanged = operands._replace(
        a=choose(operands.b, operands.a),
        b=choose(operands.a, operands.b),
        a_column=choose(operands.b_row, operands.a_column),
        b_row=choose(operands.a_column, operands.b_row),
    )
    bounds = Span(
        choose(emit.int64(0), span.row_begin),
        choose(emit.int64(1), span.row_end),
        choose(span.row_begin, span.column_begin),
        choose(span.row_end, span.column_end),
    )
    return exchanged, bounds
