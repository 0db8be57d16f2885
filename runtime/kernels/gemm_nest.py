"""The outer loops of the matrix product: ranges of tasks, joined to rectangles of C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.gemm_block import BlockEmitter, define_functions
from symgraph.runtime.kernels.gemm_dot import DotArguments, define_dot
from symgraph.runtime.kernels.gemm_operands import (
    Operands,
    Span,
    load_argument,
    load_operands,
    swap_column,
)
from symgraph.runtime.kernels.gemm_shape import ROWS_PER_TASK, Epilogue, GemmArgument, TileShape


def define_rectangle(
    module: ir.Module, shape: TileShape, dtype: str, epilogue: Epilogue
) -> ir.Function:
    """Define the function (args, batch, *Span) that computes a rectangle of one matrix of C."""
    functions = define_functions(module, shape, dtype, epilogue)
    dot = define_dot(module, shape, dtype, epilogue)
    types = [emit.BYTE_POINTER] + [emit.INT64] * 5
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "gemm_rectangle")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    blocks = BlockEmitter(builder, shape, functions)
    args, batch, *bounds = function.args
    span = Span(*bounds)
    operands = load_operands(builder, args, batch, shape.item_bytes)
    item = emit.int64(shape.item_bytes)
    columns = load_argument(builder, args, GemmArgument.COLUMNS)
    single = builder.icmp_signed("==", columns, emit.int64(1))
    unit_a = builder.icmp_signed("==", operands.a_column, item)
    unit_b = builder.icmp_signed("==", operands.b_row, item)
    along_depth = builder.and_(single, builder.and_(unit_a, unit_b))
    with builder.if_else(along_depth) as (then, otherwise):
        with then:
            builder.call(dot, list(_dot_arguments(builder, operands, span)))
        with otherwise:
            # The stride of an axis of extent 1 means nothing, so it must not ask for packing.
            b_column = builder.select(single, item, operands.b_column)
            operands = operands._replace(b_column=b_column)
            if epilogue == "none":
                operands, span = swap_column(builder, operands, span, single, shape.item_bytes)
            blocks.emit_blocks(operands, span)
    builder.ret_void()
    return function


def _dot_arguments(builder: ir.IRBuilder, operands: Operands, span: Span) -> DotArguments:
    """Return the arguments for a single column whose operands are contiguous along k."""

    def at_row(start: ir.Value, stride: ir.Value) -> ir.Value:
        return emit.offset(builder, start, builder.mul(span.row_begin, stride))

    return DotArguments(
        a=at_row(operands.a, operands.a_row),
        a_row=operands.a_row,
        b=operands.b,
        c=at_row(operands.c, operands.c_row),
        c_row=operands.c_row,
        rows=builder.sub(span.row_end, span.row_begin),
        depth=operands.depth,
        bias=operands.bias,
        accumulate=operands.accumulate,
    )


def emit_tasks(
    builder: ir.IRBuilder,
    shape: TileShape,
    rectangle: ir.Function,
    args: ir.Value,
    lo: ir.Value,
    hi: ir.Value,
) -> None:
    """Emit the loop over a range of tasks of a matrix product.

    Args:
        builder: Where to emit.
        shape: Register tile of the machine.
        rectangle: What `define_rectangle` returned.
        args: The argument block.
        lo: First task.
        hi: End of the tasks.
    """
    args = builder.bitcast(args, emit.BYTE_POINTER)
    rows = load_argument(builder, args, GemmArgument.ROWS)
    columns = load_argument(builder, args, GemmArgument.COLUMNS)
    with task_rectangles(builder, shape, (rows, columns), lo, hi) as (batch, span):
        builder.call(rectangle, [args, batch, *span])


@contextmanager
def task_rectangles(
    builder: ir.IRBuilder,
    shape: TileShape,
    extents: tuple[ir.Value, ir.Value],
    lo: ir.Value,
    hi: ir.Value,
) -> Iterator[tuple[ir.Value, Span]]:
    """Emit the loop over a range of tasks, joined to rectangles as large as the range allows.

    Tasks are ordered by batch, then panel of columns, then block of rows.

    Args:
        builder: Where to emit.
        shape: Register tile of the machine.
        extents: Rows and columns of each matrix of C.
        lo: First task.
        hi: End of the tasks.

    Yields:
        The number of a matrix and a rectangle of it.
    """
    rows, columns = extents
    height, width = emit.int64(ROWS_PER_TASK), emit.int64(shape.columns)
    blocks = emit.ceiling_divide(builder, rows, ROWS_PER_TASK)
    grid = builder.mul(blocks, emit.ceiling_divide(builder, columns, shape.columns))
    with emit.advancing_loop(builder, lo, hi) as (task, advance):
        first = builder.urem(task, grid)
        panel, block = builder.udiv(first, blocks), builder.urem(first, blocks)
        left = emit.minimum(builder, builder.sub(grid, first), builder.sub(hi, task))
        at_top = builder.icmp_signed("==", block, emit.int64(0))
        whole = builder.and_(at_top, builder.icmp_signed(">=", left, blocks))
        panels = builder.select(whole, builder.udiv(left, blocks), emit.int64(1))
        block_end = emit.minimum(builder, blocks, builder.add(block, left))
        row_end = builder.mul(block_end, height)
        column_end = builder.mul(builder.add(panel, panels), width)
        span = Span(
            row_begin=builder.mul(block, height),
            row_end=emit.minimum(builder, row_end, rows),
            column_begin=builder.mul(panel, width),
            column_end=emit.minimum(builder, column_end, columns),
        )
        yield builder.udiv(task, grid), span
        advance(builder.add(task, builder.mul(panels, builder.sub(block_end, block))))
