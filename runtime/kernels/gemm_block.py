"""The blocks of the matrix product (columns, rows, k), their panels and the packing."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.gemm_operands import Operands, Span
from symgraph.runtime.kernels.gemm_pack import (
    define_pack_columns,
    define_pack_group,
    define_pack_rows,
)
from symgraph.runtime.kernels.gemm_shape import ROW_GROUP, Epilogue, TileShape
from symgraph.runtime.kernels.gemm_tile import PanelArguments, define_panel

BLOCK_PANELS = 16  # panels of C per block of rows: C stays in the cache between blocks of k
STREAM_ROWS = 4  # up to this many rows, B is read once and should be read along its rows
STREAM_DEPTH = 16
PACK_B_ROWS = 48  # rows of A from which copying contiguous rows of B pays
PACK_A_PANELS = 8  # panels of C from which copying contiguous rows of A pays
PACK_A_COLUMN_PANELS = 3  # and contiguous columns of A
CLASH_BYTES = 1024  # rows a multiple of this apart compete for the same places in the cache


@dataclass(frozen=True)
class Functions:
    """The internal functions that the blocks call, some of them by panel width in vectors."""

    panels: dict[int, ir.Function]
    pack_rows: dict[int, ir.Function]
    pack_columns: ir.Function
    pack_group: ir.Function


def define_functions(
    module: ir.Module, shape: TileShape, dtype: str, epilogue: Epilogue
) -> Functions:
    """Define everything that the blocks call."""
    widths = (shape.vectors, 1)
    return Functions(
        panels={width: define_panel(module, shape, dtype, width, epilogue) for width in widths},
        pack_rows={width: define_pack_rows(module, shape, dtype, width) for width in widths},
        pack_columns=define_pack_columns(module, shape, dtype),
        pack_group=define_pack_group(module, shape, dtype),
    )


@dataclass(frozen=True)
class _Block:
    """One block of rows, columns and k while its panels are emitted."""

    operands: Operands
    span: Span
    k: ir.Value
    k_end: ir.Value
    depth: ir.Value
    rows: ir.Value


class BlockEmitter:
    """Emits the loops over blocks."""

    def __init__(self, builder: ir.IRBuilder, shape: TileShape, functions: Functions) -> None:
        """Allocate the packing buffers where the builder stands, in an entry block."""
        self.builder = builder
        self.shape = shape
        self.functions = functions
        self.item = emit.int64(shape.item_bytes)
        block = shape.depth * shape.item_bytes
        self.b_buffer = reserve_bytes(builder, block * shape.columns)
        self.a_buffer = reserve_bytes(builder, block * shape.block_rows)

    def emit_blocks(self, operands: Operands, span: Span) -> None:
        """Emit the loops over blocks of columns, of rows and, inside, of k."""
        builder, shape = self.builder, self.shape
        rows = builder.sub(span.row_end, span.row_begin)
        few = builder.icmp_signed("<=", rows, emit.int64(STREAM_ROWS))
        few = builder.and_(few, builder.icmp_signed("==", operands.b_column, self.item))
        whole = even_block(builder, operands.depth, shape.depth, 4)
        step = builder.select(few, emit.int64(STREAM_DEPTH), whole)
        # A product over no k at all still stores zeros, or the bias.
        depth_end = emit.maximum(builder, operands.depth, emit.int64(1))
        height = even_block(builder, rows, shape.block_rows, 2 * ROW_GROUP)
        columns = builder.sub(span.column_end, span.column_begin)
        width = even_block(builder, columns, BLOCK_PANELS * shape.columns, shape.columns)
        with emit.counted_loop(builder, span.column_begin, span.column_end, width) as column:
            end = emit.minimum(builder, builder.add(column, width), span.column_end)
            part = span._replace(column_begin=column, column_end=end)
            with emit.counted_loop(builder, span.row_begin, span.row_end, height) as row:
                end = emit.minimum(builder, builder.add(row, height), span.row_end)
                part = part._replace(row_begin=row, row_end=end)
                with emit.counted_loop(builder, emit.int64(0), depth_end, step) as k:
                    k_end = builder.add(k, step)
                    depth = builder.sub(emit.minimum(builder, k_end, operands.depth), k)
                    block = _Block(operands, part, k, k_end, depth, builder.sub(end, row))
                    self._emit_panels(block)

    def _emit_panels(self, block: _Block) -> None:
        """Emit the loop over panels of one block."""
        builder, operands, span = self.builder, block.operands, block.span
        template = self._panel_template(block)
        wide = emit.int64(self.shape.columns)
        begin, end = span.column_begin, span.column_end
        with emit.advancing_loop(builder, begin, end) as (column, advance):
            left = builder.sub(end, column)
            moved = template._replace(
                b=emit.offset(builder, template.b, builder.mul(column, operands.b_column)),
                c=emit.offset(builder, template.c, builder.mul(column, self.item)),
                bias=emit.offset(builder, template.bias, builder.mul(column, self.item)),
            )
            ahead = builder.mul(wide, operands.b_column)
            more = builder.icmp_signed(">", left, wide)
            moved = moved._replace(
                ahead=emit.offset(builder, moved.b, ahead),
                ahead_rows=builder.select(more, block.depth, emit.int64(0)),
            )
            # Two vectors are better served as two tall narrow panels than as one with a third
            # unused.
            narrow = emit.int64(2 * self.shape.lanes)
            is_wide = builder.icmp_signed(">", left, narrow)
            step = builder.select(is_wide, wide, emit.int64(self.shape.lanes))
            moved = moved._replace(columns=emit.minimum(builder, left, step))
            with builder.if_else(is_wide) as (then, otherwise):
                with then:
                    self._emit_panel(moved, operands.b_column, self.shape.vectors)
                with otherwise:
                    self._emit_panel(moved, operands.b_column, 1)
            advance(builder.add(column, step))

    def _panel_template(self, block: _Block) -> PanelArguments:
        """Emit what all panels of a block share; B, C and the bias still point to column 0."""
        builder, operands = self.builder, block.operands
        row = block.span.row_begin
        first = builder.icmp_signed("==", block.k, emit.int64(0))
        a, a_row, a_group, a_column = self._emit_pack_a(block)
        return PanelArguments(
            a=a,
            a_row=a_row,
            a_group=a_group,
            a_column=a_column,
            b=emit.offset(builder, operands.b, builder.mul(block.k, operands.b_row)),
            b_row=operands.b_row,
            c=emit.offset(builder, operands.c, builder.mul(row, operands.c_row)),
            c_row=operands.c_row,
            rows=block.rows,
            depth=block.depth,
            columns=emit.int64(0),
            bias=operands.bias,
            load_c=builder.or_(builder.not_(first), operands.accumulate),
            finish=builder.icmp_signed(">=", block.k_end, operands.depth),
            ahead=operands.b,
            ahead_stride=operands.b_row,
            ahead_rows=emit.int64(0),
        )

    def _emit_pack_a(self, block: _Block) -> list[ir.Value]:
        """Emit the packing of a block of A where it pays.

        The packed block is [group of rows][k][ROW_GROUP].

        Args:
            block: The block.

        Returns:
            Where A is then read, and its strides of rows, of groups of rows and of k.
        """
        builder, operands = self.builder, block.operands
        row = block.span.row_begin
        source = emit.offset(builder, operands.a, builder.mul(row, operands.a_row))
        source = emit.offset(builder, source, builder.mul(block.k, operands.a_column))
        group_bytes = emit.int64(ROW_GROUP * self.shape.item_bytes)
        group_stride = builder.mul(block.depth, group_bytes)
        source_group = builder.mul(operands.a_row, emit.int64(ROW_GROUP))
        along_rows = builder.icmp_signed("==", operands.a_row, self.item)
        unpacked = [source, operands.a_row, source_group, operands.a_column]
        packed = [self.a_buffer, self.item, group_stride, group_bytes]
        before = builder.block
        with builder.if_then(self._pays_to_pack_a(block, along_rows)):
            step = emit.int64(ROW_GROUP)
            with emit.counted_loop(builder, emit.int64(0), block.rows, step) as first:
                near = emit.offset(builder, source, builder.mul(first, operands.a_row))
                target = builder.mul(first, builder.mul(block.depth, self.item))
                target = emit.offset(builder, self.a_buffer, target)
                left = emit.minimum(builder, builder.sub(block.rows, first), step)
                with builder.if_else(along_rows) as (then, otherwise):
                    with then:
                        arguments = [near, operands.a_column, target, block.depth, left]
                        builder.call(self.functions.pack_group, arguments)
                    with otherwise:
                        strides = [operands.a_column, operands.a_row]
                        arguments = [near, *strides, target, group_bytes, block.depth, left, left]
                        builder.call(self.functions.pack_columns, arguments)
            packed_block = builder.block
        return merge(builder, (before, unpacked), (packed_block, packed))

    def _pays_to_pack_a(self, block: _Block, along_rows: ir.Value) -> ir.Value:
        """Return whether a block of A is read often enough, and lies badly enough, to be copied.

        Rows that are contiguous along k stream well, unless they compete for the same places in the
        cache. Columns are read one short piece per k.
        """
        builder, span = self.builder, block.span
        clashing = builder.and_(block.operands.a_row, emit.int64(CLASH_BYTES - 1))
        clashing = builder.icmp_signed("==", clashing, emit.int64(0))
        columns = builder.sub(span.column_end, span.column_begin)

        def at_least(panels: int) -> ir.Value:
            return builder.icmp_signed(">=", columns, emit.int64(panels * self.shape.columns))

        along_depth = builder.and_(clashing, at_least(PACK_A_PANELS))
        worth = builder.select(along_rows, at_least(PACK_A_COLUMN_PANELS), along_depth)
        many = builder.icmp_signed(">=", block.rows, emit.int64(ROW_GROUP))
        return builder.and_(worth, many)

    def _emit_panel(self, arguments: PanelArguments, b_column: ir.Value, vectors: int) -> None:
        """Emit the packing of one panel of B where it pays or is needed, and the panel's call."""
        builder, depth, columns = self.builder, arguments.depth, arguments.columns
        lanes = emit.int64(vectors * self.shape.lanes)
        packed_row = emit.int64(vectors * self.shape.vector_bytes)
        contiguous = builder.icmp_signed("==", b_column, self.item)
        whole = builder.icmp_signed("==", columns, lanes)
        once = builder.icmp_signed("<", arguments.rows, emit.int64(PACK_B_ROWS))
        in_place = builder.and_(builder.and_(contiguous, whole), once)
        before = builder.block
        with builder.if_then(builder.not_(in_place)):
            with builder.if_else(contiguous) as (then, otherwise):
                source = [arguments.b, arguments.b_row]
                with then:
                    pack = self.functions.pack_rows[vectors]
                    builder.call(pack, [*source, self.b_buffer, depth, columns])
                with otherwise:
                    target = [self.b_buffer, packed_row, depth, columns, lanes]
                    builder.call(self.functions.pack_columns, [*source, b_column, *target])
            packed_block = builder.block
        unpacked, packed = [arguments.b, arguments.b_row], [self.b_buffer, packed_row]
        b, b_row = merge(builder, (before, unpacked), (packed_block, packed))
        arguments = arguments._replace(b=b, b_row=b_row)
        builder.call(self.functions.panels[vectors], list(arguments))


def merge(builder: ir.IRBuilder, *incoming: tuple[ir.Block, list[ir.Value]]) -> list[ir.Value]:
    """Return one phi node per position of the value lists that arrive from several blocks."""
    merged = []
    for position, first in enumerate(incoming[0][1]):
        phi = builder.phi(first.type)
        for block, values in incoming:
            phi.add_incoming(values[position], block)
        merged.append(phi)
    return merged


def even_block(builder: ir.IRBuilder, extent: ir.Value, largest: int, multiple: int) -> ir.Value:
    """Return a block size <= largest that cuts an extent evenly, rounded up to a multiple."""
    extent = emit.maximum(builder, extent, emit.int64(1))
    blocks = emit.ceiling_divide(builder, extent, largest)
    size = builder.udiv(builder.add(extent, builder.sub(blocks, emit.int64(1))), blocks)
    units = emit.ceiling_divide(builder, size, multiple)
    return builder.mul(units, emit.int64(multiple))


def reserve_bytes(builder: ir.IRBuilder, length: int) -> ir.Value:
    """Allocate a buffer on the stack, aligned to a cache line."""
    slot = builder.alloca(ir.ArrayType(emit.BYTE, length))
    slot.align = 64
    # llvmlite types it by its elements, and would let nothing but bytes be stored.
    slot.type = emit.BYTE_POINTER
    return slot
