"""Packing of panels of B into a small contiguous buffer, [k][columns], that the micro-kernel reads.

Rows that are contiguous are copied vector by vector. Contiguous columns (a transposed B) are
transposed in registers, a few columns and a few k at a time. Any other pair of strides is gathered
by elements.
"""

from __future__ import annotations

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.gemm_shape import ROW_GROUP, TileShape

PIECE_BYTES = 16  # shuffles inside 16-byte pieces are the cheap ones on every machine
PIECES = 2  # how many are moved together where a vector holds as many


def define_pack_rows(module: ir.Module, shape: TileShape, dtype: str, vectors: int) -> ir.Function:
    """Define the copy of a panel whose rows are contiguous.

    The function takes (source, source row stride, target, depth, columns), strides in bytes. Rows
    of the target are `vectors` full vectors long; lanes beyond the last column become zero.
    """
    types = [emit.BYTE_POINTER, emit.INT64, emit.BYTE_POINTER, emit.INT64, emit.INT64]
    builder, function = _internal_function(module, f"gemm_pack_rows_{vectors}", types)
    source, source_row, target, depth, columns = function.args
    kind = ir.VectorType(emit.ELEMENT_TYPES[dtype], shape.lanes)
    last = builder.sub(columns, emit.int64((vectors - 1) * shape.lanes))
    mask = emit.first_lanes(builder, last, shape.lanes)
    with emit.counted_loop(builder, emit.int64(0), depth, emit.int64(1)) as k:
        row = emit.offset(builder, source, builder.mul(k, source_row))
        packed_bytes = emit.int64(vectors * shape.vector_bytes)
        packed = emit.offset(builder, target, builder.mul(k, packed_bytes))
        for vector in range(vectors):
            distance = emit.int64(vector * shape.vector_bytes)
            place = emit.offset(builder, row, distance)
            if vector == vectors - 1:
                value = emit.masked_load(builder, place, mask, kind, shape.item_bytes)
            else:
                value = emit.load(builder, place, kind, shape.item_bytes)
            target_place = emit.offset(builder, packed, distance)
            emit.store(builder, value, target_place, shape.vector_bytes)
    builder.ret_void()
    return function


def define_pack_group(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the copy of one group of rows of A that are contiguous along the group.

    The function takes (source, source stride of k, target, depth, rows), strides in bytes. The
    target is [k][ROW_GROUP]; beyond the last row it is zero.
    """
    types = [emit.BYTE_POINTER, emit.INT64, emit.BYTE_POINTER, emit.INT64, emit.INT64]
    builder, function = _internal_function(module, "gemm_pack_group", types)
    source, source_step, target, depth, rows = function.args
    kind = ir.VectorType(emit.ELEMENT_TYPES[dtype], ROW_GROUP)
    mask = emit.first_lanes(builder, rows, ROW_GROUP)
    target_bytes = emit.int64(ROW_GROUP * shape.item_bytes)
    with emit.counted_loop(builder, emit.int64(0), depth, emit.int64(1)) as k:
        place = emit.offset(builder, source, builder.mul(k, source_step))
        value = emit.masked_load(builder, place, mask, kind, shape.item_bytes)
        packed = emit.offset(builder, target, builder.mul(k, target_bytes))
        emit.store(builder, value, packed, shape.item_bytes)
    builder.ret_void()
    return function


def define_pack_columns(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the transposition of a panel whose rows are not contiguous.

    The function takes (source, row stride, column stride, target, target row stride, depth,
    columns, padded columns), strides in bytes. The columns up to the padded number are copies of
    the last one.
    """
    pointer, integer = emit.BYTE_POINTER, emit.INT64
    types = [pointer, integer, integer, pointer, integer, integer, integer, integer]
    builder, function = _internal_function(module, "gemm_pack_columns", types)
    source, row, column, target, target_row, depth, columns, padded = function.args
    item = emit.int64(shape.item_bytes)
    pieces = min(PIECES, shape.vector_bytes // PIECE_BYTES)
    group = _Group(shape.item_bytes, emit.ELEMENT_TYPES[dtype], pieces)
    steps = builder.and_(depth, emit.int64(-group.depth))
    contiguous = builder.icmp_signed("==", row, item)
    steps = builder.select(contiguous, steps, emit.int64(0))
    width = emit.int64(group.width)
    with emit.counted_loop(builder, emit.int64(0), padded, width) as first:
        last_column = builder.sub(columns, emit.int64(1))
        sources = []
        for index in range(group.width):
            number = builder.add(first, emit.int64(index))
            number = emit.minimum(builder, number, last_column)
            sources.append(emit.offset(builder, source, builder.mul(number, column)))
        place = emit.offset(builder, target, builder.mul(first, item))
        with emit.counted_loop(builder, emit.int64(0), steps, emit.int64(group.depth)) as k:
            near = [emit.offset(builder, pointer, builder.mul(k, item)) for pointer in sources]
            packed = emit.offset(builder, place, builder.mul(k, target_row))
            group.transpose(builder, near, packed, target_row)
        with emit.counted_loop(builder, steps, depth, emit.int64(1)) as k:
            near = [emit.offset(builder, pointer, builder.mul(k, row)) for pointer in sources]
            packed = emit.offset(builder, place, builder.mul(k, target_row))
            group.gather(builder, near, packed)
    builder.ret_void()
    return function


def _internal_function(
    module: ir.Module, name: str, types: list[ir.Type]
) -> tuple[ir.IRBuilder, ir.Function]:
    """Define an internal function and return a builder at its entry, and itself."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    return ir.IRBuilder(function.append_basic_block("entry")), function


class _Group:
    """A few columns that are transposed together.

    Attributes:
        item_bytes: Size of one element.
        element: Type of one element.
        depth: Elements of one column per step: one 16-byte piece.
        pieces: Pieces per vector.
        width: Columns in the group.
    """

    def __init__(self, item_bytes: int, element: ir.Type, pieces: int) -> None:
        self.item_bytes = item_bytes
        self.element = element
        self.depth = PIECE_BYTES // item_bytes
        self.pieces = pieces
        self.width = pieces * self.depth

    def transpose(
        self,
        builder: ir.IRBuilder,
        sources: list[ir.Value],
        target: ir.Value,
        target_row: ir.Value,
    ) -> None:
        """Move one piece of each column to `depth` rows of the target."""
        piece = ir.VectorType(self.element, self.depth)
        pieces = [emit.load(builder, place, piece, self.item_bytes) for place in sources]
        # Vector j holds columns j, j + depth ...: its pieces then transpose independently.
        vectors = pieces
        if self.pieces == 2:
            vectors = [
                emit.permute(builder, low, high, range(2 * self.depth))
                for low, high in zip(pieces[: self.depth], pieces[self.depth :], strict=True)
            ]
        rows = self._interleave(builder, vectors)
        for index, value in enumerate(rows):
            place = emit.offset(builder, target, builder.mul(target_row, emit.int64(index)))
            emit.store(builder, value, place, self.item_bytes)

    def _interleave(self, builder: ir.IRBuilder, vectors: list[ir.Value]) -> list[ir.Value]:
        """Transpose depth x depth blocks inside each piece."""
        if self.depth == 2:
            return [self._blend(builder, vectors, lanes) for lanes in ((0, 2), (1, 3))]
        halves = [
            [self._blend(builder, vectors[:2], lanes), self._blend(builder, vectors[2:], lanes)]
            for lanes in ((0, 4, 1, 5), (2, 6, 3, 7))
        ]
        return [
            self._blend(builder, pair, lanes)
            for pair in halves
            for lanes in ((0, 1, 4, 5), (2, 3, 6, 7))
        ]

    def _blend(
        self, builder: ir.IRBuilder, pair: list[ir.Value], lanes: tuple[int, ...]
    ) -> ir.Value:
        """Pick lanes from each pair of pieces; from `depth` on, of the right one."""
        picked = []
        for piece in range(self.pieces):
            for lane in lanes:
                side, within = divmod(lane, self.depth)
                picked.append((side * self.pieces + piece) * self.depth + within)
        return emit.permute(builder, pair[0], pair[1], picked)

    def gather(self, builder: ir.IRBuilder, sources: list[ir.Value], target: ir.Value) -> None:
        """Move one element of each column to one row of the target."""
        for index, source in enumerate(sources):
            value = emit.load(builder, source, self.element, self.item_bytes)
            place = emit.offset(builder, target, emit.int64(index * self.item_bytes))
            emit.store(builder, value, place, self.item_bytes)
