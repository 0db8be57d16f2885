"""The blocks of a weight's gradient: dot products of the result's gradient with all windows.

The positions (n, a, b) are cut into blocks of a fixed size, and these into as many parts as the
weight asks for. Each task sums one part for some of the rows (channels and taps), block after
block, so that neither the number of threads nor the slicing changes an order of additions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_dot import (
    ROW_BYTES,
    DotArguments,
    DotShape,
    define_dots,
)
from symgraph.runtime.kernels.convolution_geometry import (
    ONE,
    ZERO,
    Arguments,
    Patches,
    Placement,
    Problem,
    emit_problem,
    reserve,
    write_words,
)
from symgraph.runtime.kernels.convolution_patches import define_pack_patches
from symgraph.runtime.kernels.convolution_shape import PATCH_ROWS, SUM_BLOCK
from symgraph.runtime.kernels.convolution_tiles import TileArguments, define_copy_tile
from symgraph.runtime.kernels.convolution_walk import PatchArguments
from symgraph.runtime.kernels.gemm_block import reserve_bytes
from symgraph.runtime.kernels.gemm_shape import TileShape
from symgraph.runtime.kernels.vectors import ArgumentReader, elements

GRADIENT_ROWS = 32  # rows of the result's gradient that are packed together


@dataclass(frozen=True)
class _Functions:
    """The internal functions that a task calls."""

    dots: ir.Function
    pack_runs: ir.Function
    pack_elements: ir.Function
    stage: ir.Function


def emit_weight_gradient(
    builder: ir.IRBuilder, shape: TileShape, dtype: str, args: ir.Value, lo: ir.Value, hi: ir.Value
) -> None:
    """Emit the tasks [lo, hi) of a weight's gradient."""
    task = _define_task(builder.module, shape, dtype)
    args = builder.bitcast(args, emit.BYTE_POINTER)
    with emit.counted_loop(builder, lo, hi, ONE) as number:
        builder.call(task, [args, number])


def _define_task(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the function (args, number) that computes one task."""
    tile = DotShape(shape)
    functions = _Functions(
        dots=define_dots(module, tile, dtype),
        pack_runs=define_pack_patches(module, shape, dtype, contiguous=True),
        pack_elements=define_pack_patches(module, shape, dtype, contiguous=False),
        stage=define_copy_tile(module, dtype, to_images=False),
    )
    builder, function = emit.internal_function(
        module, "convolution_weight_task", [emit.BYTE_POINTER, emit.INT64], small=True
    )
    args, number = function.args
    emitter = _TaskEmitter(builder, tile, dtype, functions)
    emitter.emit(Arguments(builder, args), number)
    builder.ret_void()
    return function


class _Task(NamedTuple):
    """Rows [first, first + count) of the windows, and where their sums go."""

    problem: Problem
    first: ir.Value
    count: ir.Value
    outputs: ir.Value
    c: ir.Value
    c_row: ir.Value


class _TaskEmitter:
    """Emits one task."""

    def __init__(
        self, builder: ir.IRBuilder, tile: DotShape, dtype: str, functions: _Functions
    ) -> None:
        """Allocate scratch memory where the builder stands, in an entry block."""
        self.builder = builder
        self.tile = tile
        self.dtype = dtype
        self.functions = functions
        self.item = emit.int64(tile.shape.item_bytes)
        self.windows = reserve_bytes(builder, ROW_BYTES * PATCH_ROWS)
        self.gradient = reserve_bytes(builder, ROW_BYTES * GRADIENT_ROWS)
        self.patches = reserve(builder, len(Patches._fields))
        self.placement = reserve(builder, len(Placement._fields))

    def emit(self, arguments: Arguments, number: ir.Value) -> None:
        """Emit the loop over the blocks of positions of one part."""
        builder = self.builder
        taps = builder.mul(arguments.kernel_height, arguments.kernel_width)
        rows = builder.mul(arguments.inputs, taps)
        blocks = emit.ceiling_divide(builder, rows, PATCH_ROWS)
        first = builder.mul(builder.urem(number, blocks), emit.int64(PATCH_ROWS))
        rest = builder.udiv(number, blocks)
        group = builder.urem(rest, arguments.groups)
        part = builder.udiv(rest, arguments.groups)
        problem = emit_problem(builder, arguments, group, self.item, forward=True)
        write_words(builder, self.patches, problem.patches)
        write_words(builder, self.placement, problem.placement)
        c_row = builder.mul(rows, self.item)
        group_bytes = builder.mul(arguments.outputs, c_row)
        matrix = builder.add(builder.mul(part, arguments.groups), group)
        address = builder.add(arguments.weight, builder.mul(matrix, group_bytes))
        address = builder.add(address, builder.mul(first, self.item))
        task = _Task(
            problem=problem,
            first=first,
            count=emit.minimum(builder, builder.sub(rows, first), emit.int64(PATCH_ROWS)),
            outputs=arguments.outputs,
            c=builder.inttoptr(address, emit.BYTE_POINTER),
            c_row=c_row,
        )
        self._emit_clear(task)
        positions = emit.ceiling_divide(builder, problem.columns, self.tile.positions)
        parts = arguments.variant
        begin = builder.udiv(builder.mul(part, positions), parts)
        end = builder.udiv(builder.mul(builder.add(part, ONE), positions), parts)
        with emit.counted_loop(builder, begin, end, ONE) as block:
            self._emit_block(task, builder.mul(block, emit.int64(self.tile.positions)))

    def _emit_clear(self, task: _Task) -> None:
        """Emit the zeros that the sums begin with."""
        builder = self.builder
        access = elements(builder, self.dtype)
        nothing = access.hidden_zero()
        with emit.counted_loop(builder, ZERO, task.outputs, ONE) as row:
            line = emit.offset(builder, task.c, builder.mul(row, task.c_row))
            access.for_each_vector(
                task.count,
                lambda start, mask: access.store(nothing, access.place(line, start), mask),
            )

    def _emit_block(self, task: _Task, column: ir.Value) -> None:
        """Emit the sums over one block of positions."""
        builder = self.builder
        left = builder.sub(task.problem.columns, column)
        columns = emit.minimum(builder, left, emit.int64(self.tile.positions))
        vectors = emit.ceiling_divide(builder, columns, self.tile.shape.lanes)
        self._emit_windows(task, column, columns, vectors)
        step = emit.int64(GRADIENT_ROWS)
        with emit.counted_loop(builder, ZERO, task.outputs, step) as row:
            rows = emit.minimum(builder, builder.sub(task.outputs, row), step)
            self._emit_gradient(row, rows, column, columns, vectors)
            self._emit_tiles(task, row, rows, vectors)

    def _emit_windows(
        self, task: _Task, column: ir.Value, columns: ir.Value, vectors: ir.Value
    ) -> None:
        builder = self.builder
        args = PatchArguments(
            patches=self.patches,
            column=column,
            columns=columns,
            padded=builder.mul(vectors, emit.int64(self.tile.shape.lanes)),
            first_row=task.first,
            rows=task.count,
            target=self.windows,
            target_row=emit.int64(ROW_BYTES),
        )
        stride = task.problem.patches.stride_width
        with builder.if_else(builder.icmp_signed("==", stride, ONE)) as (then, otherwise):
            with then:
                builder.call(self.functions.pack_runs, list(args))
            with otherwise:
                builder.call(self.functions.pack_elements, list(args))

    def _emit_gradient(
        self, row: ir.Value, rows: ir.Value, column: ir.Value, columns: ir.Value, vectors: ir.Value
    ) -> None:
        """Emit the copy of some rows of the gradient, zero after the last position."""
        builder, size = self.builder, self.tile.shape.vector_bytes
        kind = ir.VectorType(emit.ELEMENT_TYPES[self.dtype], self.tile.shape.lanes)
        last = builder.mul(builder.sub(vectors, ONE), emit.int64(size))
        with emit.counted_loop(builder, ZERO, rows, ONE) as index:
            line = emit.offset(builder, self.gradient, builder.mul(index, emit.int64(ROW_BYTES)))
            emit.store(builder, emit.zero(kind), emit.offset(builder, line, last), 8)
        tile = TileArguments(
            self.placement, row, rows, column, columns, self.gradient, emit.int64(ROW_BYTES)
        )
        builder.call(self.functions.stage, list(tile))

    def _emit_tiles(self, task: _Task, first: ir.Value, rows: ir.Value, vectors: ir.Value) -> None:
        """Emit the loops over register tiles."""
        builder, tile = self.builder, self.tile
        base = emit.offset(builder, task.c, builder.mul(first, task.c_row))
        across, down = emit.int64(tile.columns), emit.int64(tile.rows)
        with emit.counted_loop(builder, ZERO, task.count, across) as column:
            right = builder.mul(column, emit.int64(ROW_BYTES))
            near = emit.offset(builder, base, builder.mul(column, self.item))
            with emit.counted_loop(builder, ZERO, rows, down) as row:
                left = builder.mul(row, emit.int64(ROW_BYTES))
                arguments = DotArguments(
                    left=emit.offset(builder, self.gradient, left),
                    right=emit.offset(builder, self.windows, right),
                    vectors=vectors,
                    c=emit.offset(builder, near, builder.mul(row, task.c_row)),
                    c_row=task.c_row,
                    rows=builder.sub(rows, row),
                    columns=emit.minimum(builder, builder.sub(task.count, column), across),
                )
                builder.call(self.functions.dots, list(arguments))


def emit_sum_of_parts(
    builder: ir.IRBuilder, dtype: str, args: ir.Value, lo: ir.Value, hi: ir.Value
) -> None:
    """Emit the blocks [lo, hi) of out[i] = parts[0, i] + parts[1, i] + ..., added in this order."""
    reader = ArgumentReader(builder, args)
    parts, out, count, size = reader.pointer(), reader.pointer(), reader.integer(), reader.integer()
    access = elements(builder, dtype)
    with emit.counted_loop(builder, lo, hi, ONE) as block:
        first = builder.mul(block, emit.int64(SUM_BLOCK))
        left = emit.minimum(builder, builder.sub(size, first), emit.int64(SUM_BLOCK))
        source, target = access.place(parts, first), access.place(out, first)

        def move(start: ir.Value, mask: ir.Value | None) -> None:
            total = access.load(access.place(source, start), mask)
            before = builder.block
            head = builder.append_basic_block("parts.head")
            body = builder.append_basic_block("parts.body")
            after = builder.append_basic_block("parts.after")
            builder.branch(head)
            builder.position_at_end(head)
            part, running = builder.phi(emit.INT64), builder.phi(access.kind)
            part.add_incoming(ONE, before)
            running.add_incoming(total, before)
            builder.cbranch(builder.icmp_signed("<", part, count), body, after)
            builder.position_at_end(body)
            place = access.place(source, builder.add(start, builder.mul(part, size)))
            running.add_incoming(
                emit.add(builder, running, access.load(place, mask)), builder.block
            )
            part.add_incoming(builder.add(part, ONE), builder.block)
            builder.branch(head)
            builder.position_at_end(after)
            access.store(running, access.place(target, start), mask)

        access.for_each_vector(left, move)
