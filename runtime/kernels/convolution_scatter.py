"""The transpose of a convolution by products that are added up where the windows lie.

The product of the transposed weights (C KH KW, OC) and the images (OC, N OH OW) is made panel by
panel in scratch memory, and each panel is added to the result at once. A task owns some images and
channels of the result, so the order of additions depends on nothing but extents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_add import define_add_patches
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
from symgraph.runtime.kernels.convolution_tiles import TileArguments, define_copy_tile
from symgraph.runtime.kernels.convolution_walk import PatchArguments
from symgraph.runtime.kernels.gemm_block import even_block, reserve_bytes
from symgraph.runtime.kernels.gemm_operands import Span
from symgraph.runtime.kernels.gemm_pack import define_pack_group
from symgraph.runtime.kernels.gemm_shape import ROW_GROUP, TileShape
from symgraph.runtime.kernels.gemm_tile import PanelArguments, define_panel
from symgraph.runtime.kernels.vectors import elements


@dataclass(frozen=True)
class _Functions:
    """The internal functions that a task calls, panels by their width in vectors."""

    panels: dict[int, ir.Function]
    pack_group: ir.Function
    stage: ir.Function
    add: ir.Function


def emit_scatter(
    builder: ir.IRBuilder, shape: TileShape, dtype: str, args: ir.Value, lo: ir.Value, hi: ir.Value
) -> None:
    """Emit the tasks [lo, hi) of a scattered transpose."""
    task = _define_task(builder.module, shape, dtype)
    args = builder.bitcast(args, emit.BYTE_POINTER)
    with emit.counted_loop(builder, lo, hi, ONE) as number:
        builder.call(task, [args, number])


def _define_task(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the function (args, number) that computes one task."""
    widths = (shape.vectors, 1)
    functions = _Functions(
        panels={width: define_panel(module, shape, dtype, width, "none") for width in widths},
        pack_group=define_pack_group(module, shape, dtype),
        stage=define_copy_tile(module, dtype, to_images=False),
        add=define_add_patches(module, shape, dtype),
    )
    builder, function = emit.internal_function(
        module, "convolution_scatter_task", [emit.BYTE_POINTER, emit.INT64], small=True
    )
    args, number = function.args
    emitter = _TaskEmitter(builder, shape, dtype, functions)
    emitter.emit(Arguments(builder, args), number)
    builder.ret_void()
    return function


class _Block(NamedTuple):
    """Some rows (channels and taps) and some k (channels that are read) of one task."""

    problem: Problem
    span: Span
    k: ir.Value
    depth: ir.Value


class _TaskEmitter:
    """Emits one task."""

    def __init__(
        self, builder: ir.IRBuilder, shape: TileShape, dtype: str, functions: _Functions
    ) -> None:
        """Allocate scratch memory where the builder stands, in an entry block."""
        self.builder = builder
        self.shape = shape
        self.dtype = dtype
        self.functions = functions
        self.item = emit.int64(shape.item_bytes)
        depth = shape.depth * shape.item_bytes
        self.images = reserve_bytes(builder, depth * shape.columns)
        self.weights = reserve_bytes(builder, depth * shape.block_rows)
        self.products = reserve_bytes(builder, shape.columns * shape.item_bytes * shape.block_rows)
        self.patches = reserve(builder, len(Patches._fields))
        self.placement = reserve(builder, len(Placement._fields))

    def emit(self, arguments: Arguments, number: ir.Value) -> None:
        """Emit the loops over blocks of rows and of k."""
        builder, shape = self.builder, self.shape
        inputs, task_inputs = arguments.inputs, arguments.task_inputs
        slices = self._ceiling(inputs, task_inputs)
        first = builder.mul(builder.urem(number, slices), task_inputs)
        rest = builder.udiv(number, slices)
        group = builder.urem(rest, arguments.groups)
        image = builder.mul(builder.udiv(rest, arguments.groups), arguments.variant)
        problem = emit_problem(builder, arguments, group, self.item, forward=True)
        write_words(builder, self.patches, problem.patches)
        write_words(builder, self.placement, problem.placement)
        last = emit.minimum(builder, builder.add(first, task_inputs), inputs)
        end = emit.minimum(builder, builder.add(image, arguments.variant), arguments.batch)
        self._emit_clear(problem.patches, (image, end), (first, last))
        taps = builder.mul(arguments.kernel_height, arguments.kernel_width)
        plane = builder.mul(arguments.output_height, arguments.output_width)
        span = Span(
            *(builder.mul(bound, taps) for bound in (first, last)),
            *(builder.mul(bound, plane) for bound in (image, end)),
        )
        rows = builder.sub(span.row_end, span.row_begin)
        height = even_block(builder, rows, shape.block_rows, 2 * ROW_GROUP)
        step = even_block(builder, arguments.outputs, shape.depth, 4)
        with emit.counted_loop(builder, span.row_begin, span.row_end, height) as row:
            bottom = emit.minimum(builder, builder.add(row, height), span.row_end)
            part = span._replace(row_begin=row, row_end=bottom)
            with emit.counted_loop(builder, ZERO, arguments.outputs, step) as k:
                left = builder.sub(arguments.outputs, k)
                block = _Block(problem, part, k, emit.minimum(builder, left, step))
                self._emit_block(block)

    def _ceiling(self, extent: ir.Value, divisor: ir.Value) -> ir.Value:
        builder = self.builder
        return builder.udiv(builder.add(extent, builder.sub(divisor, ONE)), divisor)

    def _emit_clear(
        self,
        patches: Patches,
        images: tuple[ir.Value, ir.Value],
        channels: tuple[ir.Value, ir.Value],
    ) -> None:
        """Emit the zeros that the sums begin with; the planes of a group follow each other."""
        builder = self.builder
        access = elements(builder, self.dtype)
        nothing = access.hidden_zero()
        plane = builder.mul(patches.height, patches.width)
        count = builder.mul(builder.sub(channels[1], channels[0]), plane)
        start = builder.add(patches.source, builder.mul(channels[0], patches.plane))
        with emit.counted_loop(builder, *images, ONE) as image:
            address = builder.add(start, builder.mul(image, patches.image))
            place = builder.inttoptr(address, emit.BYTE_POINTER)
            access.for_each_vector(
                count,
                lambda first, mask: access.store(nothing, access.place(place, first), mask),
            )

    def _emit_block(self, block: _Block) -> None:
        """Emit the loop over the panels of one block."""
        builder = self.builder
        self._emit_weights(block)
        begin, end = block.span.column_begin, block.span.column_end
        with emit.advancing_loop(builder, begin, end) as (column, advance):
            left = builder.sub(end, column)
            is_wide = builder.icmp_signed(">", left, emit.int64(2 * self.shape.lanes))
            widest, lanes = emit.int64(self.shape.columns), emit.int64(self.shape.lanes)
            step = builder.select(is_wide, widest, lanes)
            columns = emit.minimum(builder, left, step)
            row = builder.mul(step, self.item)
            tile = TileArguments(
                self.placement, block.k, block.depth, column, columns, self.images, row
            )
            builder.call(self.functions.stage, list(tile))
            with builder.if_else(is_wide) as (then, otherwise):
                with then:
                    self._emit_panel(block, columns, self.shape.vectors)
                with otherwise:
                    self._emit_panel(block, columns, 1)
            added = PatchArguments(
                patches=self.patches,
                column=column,
                columns=columns,
                padded=step,
                first_row=block.span.row_begin,
                rows=builder.sub(block.span.row_end, block.span.row_begin),
                target=self.products,
                target_row=row,
            )
            builder.call(self.functions.add, list(added))
            advance(builder.add(column, step))

    def _emit_weights(self, block: _Block) -> None:
        """Emit the packing of the transposed weights, as [group of rows][k][ROW_GROUP]."""
        builder, weights, span = self.builder, block.problem.weights, block.span
        # The rows, channels and taps, follow each other; the channels that are read lie apart.
        start = builder.add(weights.start, builder.mul(span.row_begin, self.item))
        start = builder.add(start, builder.mul(block.k, weights.row))
        source = builder.inttoptr(start, emit.BYTE_POINTER)
        rows = builder.sub(span.row_end, span.row_begin)
        with emit.counted_loop(builder, ZERO, rows, emit.int64(ROW_GROUP)) as first:
            near = emit.offset(builder, source, builder.mul(first, self.item))
            target = builder.mul(builder.mul(first, block.depth), self.item)
            target = emit.offset(builder, self.weights, target)
            left = emit.minimum(builder, builder.sub(rows, first), emit.int64(ROW_GROUP))
            builder.call(self.functions.pack_group, [near, weights.row, target, block.depth, left])

    def _emit_panel(self, block: _Block, columns: ir.Value, vectors: int) -> None:
        """Emit the product of one panel."""
        builder = self.builder
        row = emit.int64(vectors * self.shape.vector_bytes)
        group = emit.int64(ROW_GROUP * self.shape.item_bytes)
        arguments = PanelArguments(
            a=self.weights,
            a_row=self.item,
            a_group=builder.mul(block.depth, group),
            a_column=group,
            b=self.images,
            b_row=row,
            c=self.products,
            c_row=row,
            rows=builder.sub(block.span.row_end, block.span.row_begin),
            depth=block.depth,
            columns=columns,
            bias=self.images,
            load_c=ir.Constant(emit.INT1, 0),
            finish=ir.Constant(emit.INT1, 0),
            ahead=self.images,
            ahead_stride=ZERO,
            ahead_rows=ZERO,
        )
        builder.call(self.functions.panels[vectors], list(arguments))
