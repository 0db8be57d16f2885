"""The blocks of a convolution: those of the matrix product, with windows packed panel by panel.

The matrix product is C = A @ B with the weights as A, the matrix of all windows as B, and C spread
over the images of the result. A panel of C that lies in one image is computed in place; others go
through a tile of scratch memory. Every element is one chain of fused multiply-adds over channels
and taps in ascending order, wherever it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
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
from symgraph.runtime.kernels.convolution_tiles import TileArguments, define_copy_tile, find_run
from symgraph.runtime.kernels.convolution_walk import PatchArguments
from symgraph.runtime.kernels.convolution_weights import define_pack_weights
from symgraph.runtime.kernels.gemm_block import (
    CLASH_BYTES,
    PACK_A_PANELS,
    even_block,
    merge,
    reserve_bytes,
)
from symgraph.runtime.kernels.gemm_nest import task_rectangles
from symgraph.runtime.kernels.gemm_operands import Span
from symgraph.runtime.kernels.gemm_pack import define_pack_columns
from symgraph.runtime.kernels.gemm_shape import ROW_GROUP, TileShape
from symgraph.runtime.kernels.gemm_tile import PanelArguments, define_panel

BLOCK_PANELS = 64  # panels of C that share one packing of the weights


@dataclass(frozen=True)
class _Functions:
    """The internal functions that the blocks call, panels by their width in vectors."""

    panels: dict[int, ir.Function]
    pack_runs: ir.Function
    pack_elements: ir.Function
    pack_columns: ir.Function
    pack_weights: ir.Function
    stage: ir.Function
    unstage: ir.Function


def _define_functions(module: ir.Module, shape: TileShape, dtype: str) -> _Functions:
    widths = (shape.vectors, 1)
    return _Functions(
        panels={width: define_panel(module, shape, dtype, width, "none") for width in widths},
        pack_runs=define_pack_patches(module, shape, dtype, contiguous=True),
        pack_elements=define_pack_patches(module, shape, dtype, contiguous=False),
        pack_columns=define_pack_columns(module, shape, dtype),
        pack_weights=define_pack_weights(module, shape, dtype),
        stage=define_copy_tile(module, dtype, to_images=False),
        unstage=define_copy_tile(module, dtype, to_images=True),
    )


def emit_convolution(
    builder: ir.IRBuilder, shape: TileShape, dtype: str, args: ir.Value, lo: ir.Value, hi: ir.Value
) -> None:
    """Emit the tasks [lo, hi) of a convolution or of its transpose."""
    rectangle = _define_rectangle(builder.module, shape, dtype)
    args = builder.bitcast(args, emit.BYTE_POINTER)
    arguments = Arguments(builder, args)
    problem = emit_problem(builder, arguments, ZERO, emit.int64(shape.item_bytes))
    # The first residues have the most elements, and every batch is given as many tasks.
    extents = (problem.rows, problem.columns)
    with task_rectangles(builder, shape, extents, lo, hi) as (batch, span):
        builder.call(rectangle, [args, batch, *span])


def _define_rectangle(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the function (args, batch, *Span) that computes a rectangle of one matrix C."""
    functions = _define_functions(module, shape, dtype)
    types = [emit.BYTE_POINTER] + [emit.INT64] * 5
    builder, function = emit.internal_function(module, "convolution_rectangle", types, small=True)
    args, batch, *bounds = function.args
    item = emit.int64(shape.item_bytes)
    blocks = _Blocks(builder, shape, functions)
    problem = emit_problem(builder, Arguments(builder, args), batch, item)
    span = Span(*bounds)
    span = span._replace(column_end=emit.minimum(builder, span.column_end, problem.columns))
    with builder.if_then(builder.icmp_signed("<", span.column_begin, span.column_end)):
        blocks.emit_blocks(problem, span)
    builder.ret_void()
    return function


class _Block(NamedTuple):
    """One block of rows, columns and k."""

    problem: Problem
    span: Span
    k: ir.Value
    depth: ir.Value

    def rows(self, builder: ir.IRBuilder) -> ir.Value:
        """Return the number of rows."""
        return builder.sub(self.span.row_end, self.span.row_begin)


class _Blocks:
    """Emits the loops over blocks."""

    def __init__(self, builder: ir.IRBuilder, shape: TileShape, functions: _Functions) -> None:
        """Allocate scratch memory where the builder stands, in an entry block."""
        self.builder = builder
        self.shape = shape
        self.functions = functions
        self.item = emit.int64(shape.item_bytes)
        depth = shape.depth * shape.item_bytes
        self.windows = reserve_bytes(builder, depth * shape.columns)
        self.weights = reserve_bytes(builder, depth * shape.block_rows)
        self.stage = reserve_bytes(builder, shape.columns * shape.item_bytes * shape.block_rows)
        self.patches = reserve(builder, len(Patches._fields))
        self.placement = reserve(builder, len(Placement._fields))

    def emit_blocks(self, problem: Problem, span: Span) -> None:
        """Emit the loops over blocks of columns, of rows and, inside, of k."""
        builder, shape = self.builder, self.shape
        write_words(builder, self.patches, problem.patches)
        write_words(builder, self.placement, problem.placement)
        # A sum over no k at all still stores zeros.
        depth_end = emit.maximum(builder, problem.depth, ONE)
        step = even_block(builder, problem.depth, shape.depth, 4)
        rows = builder.sub(span.row_end, span.row_begin)
        height = even_block(builder, rows, shape.block_rows, 2 * ROW_GROUP)
        columns = builder.sub(span.column_end, span.column_begin)
        width = even_block(builder, columns, BLOCK_PANELS * shape.columns, shape.columns)
        with emit.counted_loop(builder, span.column_begin, span.column_end, width) as column:
            end = emit.minimum(builder, builder.add(column, width), span.column_end)
            part = span._replace(column_begin=column, column_end=end)
            with emit.counted_loop(builder, span.row_begin, span.row_end, height) as row:
                end = emit.minimum(builder, builder.add(row, height), span.row_end)
                part = part._replace(row_begin=row, row_end=end)
                with emit.counted_loop(builder, ZERO, depth_end, step) as k:
                    k_end = emit.minimum(builder, builder.add(k, step), problem.depth)
                    self._emit_panels(_Block(problem, part, k, builder.sub(k_end, k)))

    def _emit_panels(self, block: _Block) -> None:
        """Emit the loop over the panels of one block."""
        builder = self.builder
        weights = self._emit_weights(block)
        begin, end = block.span.column_begin, block.span.column_end
        with emit.advancing_loop(builder, begin, end) as (column, advance):
            left = builder.sub(end, column)
            # Two vectors are better served as two tall narrow panels than as one with a third
            # unused.
            is_wide = builder.icmp_signed(">", left, emit.int64(2 * self.shape.lanes))
            widest, lanes = emit.int64(self.shape.columns), emit.int64(self.shape.lanes)
            step = builder.select(is_wide, widest, lanes)
            columns = emit.minimum(builder, left, step)
            self._emit_windows(block, column, columns, step)
            with builder.if_else(is_wide) as (then, otherwise):
                with then:
                    self._emit_panel(block, weights, column, columns, self.shape.vectors)
                with otherwise:
                    self._emit_panel(block, weights, column, columns, 1)
            advance(builder.add(column, step))

    def _emit_windows(
        self, block: _Block, column: ir.Value, columns: ir.Value, padded: ir.Value
    ) -> None:
        """Emit the packing of the windows of one panel."""
        builder = self.builder
        args = PatchArguments(
            patches=self.patches,
            column=column,
            columns=columns,
            padded=padded,
            first_row=block.k,
            rows=block.depth,
            target=self.windows,
            target_row=builder.mul(padded, self.item),
        )
        some = builder.icmp_signed(">", block.depth, ZERO)
        stride = block.problem.patches.stride_width
        with builder.if_then(some):
            with builder.if_else(builder.icmp_signed("==", stride, ONE)) as (then, otherwise):
                with then:
                    builder.call(self.functions.pack_runs, list(args))
                with otherwise:
                    builder.call(self.functions.pack_elements, list(args))

    def _emit_panel(
        self,
        block: _Block,
        weights: list[ir.Value],
        column: ir.Value,
        columns: ir.Value,
        vectors: int,
    ) -> None:
        """Emit one panel, in place where its columns follow each other, else through the stage."""
        builder, problem, span = self.builder, block.problem, block.span
        placement = problem.placement
        address, ahead = find_run(builder, placement, column)
        dense = builder.icmp_signed("==", placement.element, self.item)
        in_place = builder.and_(dense, builder.icmp_signed("<=", columns, ahead))
        address = builder.add(address, builder.mul(span.row_begin, placement.row))
        direct = builder.inttoptr(address, emit.BYTE_POINTER)
        staged_row = emit.int64(vectors * self.shape.vector_bytes)
        c = builder.select(in_place, direct, self.stage)
        c_row = builder.select(in_place, placement.row, staged_row)
        tile = TileArguments(
            self.placement, span.row_begin, block.rows(builder), column, columns,
            self.stage, staged_row,
        )  # fmt: skip
        staged = builder.not_(in_place)
        further = builder.icmp_signed(">", block.k, ZERO)
        with builder.if_then(builder.and_(staged, further)):
            builder.call(self.functions.stage, list(tile))
        arguments = self._panel_arguments(block, weights, (c, c_row), columns, vectors)
        builder.call(self.functions.panels[vectors], list(arguments))
        with builder.if_then(staged):
            builder.call(self.functions.unstage, list(tile))

    def _panel_arguments(
        self,
        block: _Block,
        weights: list[ir.Value],
        target: tuple[ir.Value, ir.Value],
        columns: ir.Value,
        vectors: int,
    ) -> PanelArguments:
        builder = self.builder
        a, a_row, a_group, a_column = weights
        c, c_row = target
        return PanelArguments(
            a=a,
            a_row=a_row,
            a_group=a_group,
            a_column=a_column,
            b=self.windows,
            b_row=emit.int64(vectors * self.shape.vector_bytes),
            c=c,
            c_row=c_row,
            rows=block.rows(builder),
            depth=block.depth,
            columns=columns,
            bias=self.windows,
            load_c=builder.icmp_signed(">", block.k, ZERO),
            finish=ir.Constant(emit.INT1, 0),
            ahead=self.windows,
            ahead_stride=ZERO,
            ahead_rows=ZERO,
        )

    def _emit_weights(self, block: _Block) -> list[ir.Value]:
        """Emit the packing of a block of the weights, as [group of rows][k][ROW_GROUP].

        Weights whose channels and taps follow each other are read in place, unless their rows
        compete for the same places in the cache.

        Returns:
            Where the weights are then read, and their strides of rows, of groups of rows and of k.
        """
        builder, weights = self.builder, block.problem.weights
        source = builder.add(weights.start, builder.mul(block.span.row_begin, weights.row))
        near = builder.add(source, builder.mul(block.k, self.item))
        unpacked = [
            builder.inttoptr(near, emit.BYTE_POINTER),
            weights.row,
            builder.mul(weights.row, emit.int64(ROW_GROUP)),
            self.item,
        ]
        group = emit.int64(ROW_GROUP * self.shape.item_bytes)
        packed = [self.weights, self.item, builder.mul(block.depth, group), group]
        uniform = self._is_uniform(block.problem)
        in_place = builder.and_(uniform, builder.not_(self._pays_to_pack(block)))
        before = builder.block
        with builder.if_then(builder.not_(in_place)):
            some = builder.icmp_signed(">", block.depth, ZERO)
            rows = builder.select(some, block.rows(builder), ZERO)
            with builder.if_else(uniform) as (then, otherwise):
                with then:
                    self._emit_pack_uniform(block, unpacked[0], rows, group)
                with otherwise, builder.if_then(some):
                    patches = block.problem.patches
                    taps = [patches.taps_height, patches.taps_width]
                    moved = weights._replace(start=source)
                    arguments = [*moved, *taps, rows, block.k, block.depth, self.weights]
                    builder.call(self.functions.pack_weights, arguments)
            packed_block = builder.block
        return merge(builder, (before, unpacked), (packed_block, packed))

    def _emit_pack_uniform(
        self, block: _Block, source: ir.Value, rows: ir.Value, group: ir.Value
    ) -> None:
        """Emit the packing of rows along which channels and taps follow each other."""
        builder, row = self.builder, block.problem.weights.row
        with emit.counted_loop(builder, ZERO, rows, emit.int64(ROW_GROUP)) as first:
            own = emit.minimum(builder, builder.sub(rows, first), emit.int64(ROW_GROUP))
            target = builder.mul(builder.mul(first, block.depth), self.item)
            target = emit.offset(builder, self.weights, target)
            place = emit.offset(builder, source, builder.mul(first, row))
            builder.call(
                self.functions.pack_columns,
                [place, self.item, row, target, group, block.depth, own, own],
            )

    def _is_uniform(self, problem: Problem) -> ir.Value:
        """Return whether channels and taps of the weights follow each other as one axis."""
        builder, weights, patches = self.builder, problem.weights, problem.patches
        line = builder.mul(patches.taps_width, self.item)
        tile = builder.mul(patches.taps_height, line)
        result = builder.icmp_signed("==", weights.tap_width, self.item)
        for found, wanted in ((weights.tap_height, line), (weights.channel, tile)):
            result = builder.and_(result, builder.icmp_signed("==", found, wanted))
        return result

    def _pays_to_pack(self, block: _Block) -> ir.Value:
        """Return whether rows that clash in the cache are read often enough to be copied."""
        builder, span = self.builder, block.span
        clashing = builder.and_(block.problem.weights.row, emit.int64(CLASH_BYTES - 1))
        clashing = builder.icmp_signed("==", clashing, ZERO)
        columns = builder.sub(span.column_end, span.column_begin)
        often = builder.icmp_signed(">=", columns, emit.int64(PACK_A_PANELS * self.shape.columns))
        many = builder.icmp_signed(">=", block.rows(builder), emit.int64(ROW_GROUP))
        return builder.and_(builder.and_(clashing, often), many)
