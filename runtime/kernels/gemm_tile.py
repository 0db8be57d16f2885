"""The register-tile micro-kernel of the matrix product.

One internal function per tile width computes a panel: some rows of C by 1 or 3 vectors of columns,
over one block of k. It keeps a tile of C in registers, broadcasts elements of A from where they lie
and reads vectors of B. Both strides of A are run-time values, so transposed and sliced operands
need no copy.

Every element of C is one chain of fused multiply-adds in ascending k. Tile heights, masks and
blocks of k change which elements share registers, never the order inside a chain: the bits are
always the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.gemm_shape import ROW_GROUP, Epilogue, TileShape


class PanelArguments(NamedTuple):
    """The arguments of a panel function, in order; strides are in bytes.

    `a_group` is the distance of `ROW_GROUP` rows of A. While it runs, the function asks for
    `ahead_rows` rows of the panel of B at `ahead`, `ahead_stride` apart, which is needed next.
    """

    a: ir.Value
    a_row: ir.Value
    a_group: ir.Value
    a_column: ir.Value
    b: ir.Value
    b_row: ir.Value
    c: ir.Value
    c_row: ir.Value
    rows: ir.Value
    depth: ir.Value
    columns: ir.Value
    bias: ir.Value
    load_c: ir.Value
    finish: ir.Value
    ahead: ir.Value
    ahead_stride: ir.Value
    ahead_rows: ir.Value


@dataclass(frozen=True)
class Panel:
    """What stays fixed while the tiles of one panel are emitted.

    Attributes:
        shape: Register tile of the machine.
        kind: Vector type of the dtype.
        vectors: Vectors of columns in this panel.
        args: Arguments of the panel function.
        mask: Valid lanes of the last vector.
        bias: Bias vectors, neutral except in the last block of k; empty without a bias.
        floor: Vector below which a result becomes zero (relu), or None.
    """

    shape: TileShape
    kind: ir.VectorType
    vectors: int
    args: PanelArguments
    mask: ir.Value
    bias: tuple[ir.Value, ...] = ()
    floor: ir.Value | None = None

    @property
    def item_bytes(self) -> int:
        """Return the size of one element."""
        return self.shape.item_bytes

    def read(
        self, builder: ir.IRBuilder, pointer: ir.Value, *, masked: bool = True
    ) -> list[ir.Value]:
        """Load one row of the panel's width; if masked, lanes beyond the last column are zero."""
        pieces = []
        for vector in range(self.vectors):
            place = emit.offset(builder, pointer, emit.int64(vector * self.shape.vector_bytes))
            if masked and vector == self.vectors - 1:
                piece = emit.masked_load(builder, place, self.mask, self.kind, self.item_bytes)
            else:
                piece = emit.load(builder, place, self.kind, self.item_bytes)
            pieces.append(piece)
        return pieces

    def write(self, builder: ir.IRBuilder, pointer: ir.Value, row: Sequence[ir.Value]) -> None:
        """Store one row of the panel's width."""
        for vector, value in enumerate(row):
            place = emit.offset(builder, pointer, emit.int64(vector * self.shape.vector_bytes))
            if vector == self.vectors - 1:
                emit.masked_store(builder, value, place, self.mask, self.item_bytes)
            else:
                emit.store(builder, value, place, self.item_bytes)


def define_panel(
    module: ir.Module, shape: TileShape, dtype: str, vectors: int, epilogue: Epilogue
) -> ir.Function:
    """Define the function of panels that are a number of vectors wide.

    Args:
        module: Module to define it in.
        shape: Register tile of the machine.
        dtype: Dtype of all operands.
        vectors: Width of the panel in vectors.
        epilogue: What is applied to C after the last block of k.

    Returns:
        An internal function of `PanelArguments`.
    """
    pointer, integer = emit.BYTE_POINTER, emit.INT64
    types = PanelArguments(
        a=pointer, a_row=integer, a_group=integer, a_column=integer, b=pointer, b_row=integer,
        c=pointer, c_row=integer, rows=integer, depth=integer, columns=integer, bias=pointer,
        load_c=emit.INT1, finish=emit.INT1, ahead=pointer, ahead_stride=integer,
        ahead_rows=integer,
    )  # fmt: skip
    signature = ir.FunctionType(ir.VoidType(), list(types))
    function = ir.Function(module, signature, f"gemm_panel_{vectors}")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    args = PanelArguments(*function.args)
    kind = ir.VectorType(emit.ELEMENT_TYPES[dtype], shape.lanes)
    last = builder.sub(args.columns, emit.int64((vectors - 1) * shape.lanes))
    mask = emit.first_lanes(builder, last, shape.lanes)
    panel = Panel(shape, kind, vectors, args, mask)
    panel = _with_epilogue(builder, panel, epilogue)
    _emit_rows(builder, panel)
    builder.ret_void()
    return function


def _with_epilogue(builder: ir.IRBuilder, panel: Panel, epilogue: Epilogue) -> Panel:
    """Add the operands of the epilogue, made neutral unless this is the last block of k."""
    if epilogue == "none":
        return panel
    finish = panel.args.finish
    # x + -0.0 is x for every x, which +0.0 is not: it would turn -0.0 into +0.0.
    is_float = not isinstance(panel.kind.element, ir.IntType)
    lanes = panel.shape.lanes
    neutral = ir.Constant(panel.kind, [-0.0] * lanes) if is_float else emit.zero(panel.kind)
    bias = tuple(
        builder.select(finish, value, neutral) for value in panel.read(builder, panel.args.bias)
    )
    floor = None
    if epilogue == "bias_relu":
        lowest = float("-inf") if is_float else -(1 << (8 * panel.item_bytes - 1))
        never = ir.Constant(panel.kind, [lowest] * lanes)
        floor = builder.select(finish, emit.zero(panel.kind), never)
    return Panel(panel.shape, panel.kind, panel.vectors, panel.args, panel.mask, bias, floor)


def _emit_rows(builder: ir.IRBuilder, panel: Panel) -> None:
    """Emit the loops over full tiles, then over what is left in smaller ones.

    Where rows run out inside a small tile, its last rows repeat the last row of the panel: one tile
    that is not full is quicker than several lower ones, each too low to hide the latency of its
    additions. A single row is as quick alone, and then loads and stores nothing twice.
    """
    tall, *_, short, single = panel.shape.heights(panel.vectors)
    rows = panel.args.rows
    # Heights are powers of two, so the masks round down.
    full = builder.and_(rows, emit.int64(-tall))
    with emit.counted_loop(builder, emit.int64(0), full, emit.int64(tall)) as row:
        _prefetch_ahead(builder, panel, row, tall)
        _emit_tile(builder, panel, row, tall)
    over = builder.and_(rows, emit.int64(short - 1))
    alone = builder.icmp_signed("==", over, emit.int64(single))
    end = builder.select(alone, builder.sub(rows, emit.int64(single)), rows)
    with emit.counted_loop(builder, full, end, emit.int64(short)) as row:
        _emit_tile(
            builder, panel, row, short, last=builder.sub(builder.sub(end, row), emit.int64(1))
        )
    with builder.if_then(alone):
        _emit_tile(builder, panel, end, single)


def _emit_tile(
    builder: ir.IRBuilder, panel: Panel, row: ir.Value, height: int, last: ir.Value | None = None
) -> None:
    """Emit one tile: load or clear the accumulators, run over k, finish and store.

    Args:
        builder: Where to emit.
        panel: The panel.
        row: The first row of the tile.
        height: How many rows it has.
        last: The number of the row in the tile that all rows after it repeat, if there is one.
    """
    args = panel.args
    c = emit.offset(builder, args.c, builder.mul(row, args.c_row))
    numbers = [_number(builder, index, last) for index in range(height)]
    c_rows = [emit.offset(builder, c, builder.mul(number, args.c_row)) for number in numbers]
    before = builder.block
    with builder.if_then(args.load_c):
        loaded = [panel.read(builder, pointer) for pointer in c_rows]
        load_block = builder.block
    tile: list[list[ir.Value]] = []
    for loaded_row in loaded:
        tile.append([])
        for value in loaded_row:
            phi = builder.phi(panel.kind)
            phi.add_incoming(emit.zero(panel.kind), before)
            phi.add_incoming(value, load_block)
            tile[-1].append(phi)
    _prefetch_next_tile(builder, panel, c, height)
    tile = _emit_depth_loop(builder, panel, row, tile, numbers[:ROW_GROUP])
    for pointer, tile_row in zip(c_rows, tile, strict=True):
        panel.write(builder, pointer, _finished(builder, panel, tile_row))


def _number(builder: ir.IRBuilder, index: int, last: ir.Value | None) -> ir.Value:
    """Return the row of a tile that stands at a position."""
    number = emit.int64(index)
    return number if last is None else emit.minimum(builder, number, last)


def _prefetch_next_tile(builder: ir.IRBuilder, panel: Panel, c: ir.Value, height: int) -> None:
    """Ask for the tile of C below this one, whose first additions would otherwise wait for it."""
    if height < panel.shape.heights(panel.vectors)[0]:
        return
    for index in range(height, 2 * height):
        row = emit.offset(builder, c, builder.mul(emit.int64(index), panel.args.c_row))
        for vector in range(panel.vectors):
            distance = emit.int64(vector * panel.shape.vector_bytes)
            emit.prefetch(builder, emit.offset(builder, row, distance), level=1)


def _finished(builder: ir.IRBuilder, panel: Panel, values: Sequence[ir.Value]) -> list[ir.Value]:
    """Apply the epilogue to one row of accumulators."""
    result = list(values)
    if panel.bias:
        result = [emit.add(builder, x, y) for x, y in zip(result, panel.bias, strict=True)]
    if panel.floor is not None:
        result = [emit.zero_below(builder, value, panel.floor) for value in result]
    return result


def _row_of_a(builder: ir.IRBuilder, args: PanelArguments, row: ir.Value) -> ir.Value:
    """Return the address of a row of A."""
    group = builder.lshr(row, emit.int64(ROW_GROUP.bit_length() - 1))
    within = builder.and_(row, emit.int64(ROW_GROUP - 1))
    place = emit.offset(builder, args.a, builder.mul(group, args.a_group))
    return emit.offset(builder, place, builder.mul(within, args.a_row))


def _prefetch_ahead(builder: ir.IRBuilder, panel: Panel, row: ir.Value, height: int) -> None:
    """Ask for this tile's share of the panel of B that comes next."""
    args = panel.args
    # As many rows of B as the tile has of A: that spreads the traffic, and covers the panel when a
    # block has as many rows as it is deep.
    end = emit.minimum(builder, builder.add(row, emit.int64(height)), args.ahead_rows)
    with emit.counted_loop(builder, row, end, emit.int64(1)) as k:
        place = emit.offset(builder, args.ahead, builder.mul(k, args.ahead_stride))
        for vector in range(panel.vectors):
            distance = emit.int64(vector * panel.shape.vector_bytes)
            emit.prefetch(builder, emit.offset(builder, place, distance), level=2)


def _emit_depth_loop(
    builder: ir.IRBuilder,
    panel: Panel,
    row: ir.Value,
    tile: list[list[ir.Value]],
    numbers: Sequence[ir.Value],
) -> list[list[ir.Value]]:
    """Emit the loop over k, with accumulators and addresses in phi nodes.

    `numbers` are the rows to read in each group of `ROW_GROUP`.
    """
    args = panel.args
    height = len(tile)
    groups = [
        emit.opaque(builder, _row_of_a(builder, args, builder.add(row, emit.int64(first))))
        for first in range(0, height, ROW_GROUP)
    ]
    multiples = [emit.opaque(builder, builder.mul(number, args.a_row)) for number in numbers]
    before = builder.block
    head = builder.append_basic_block("depth.head")
    body = builder.append_basic_block("depth.body")
    after = builder.append_basic_block("depth.after")
    builder.branch(head)
    builder.position_at_end(head)

    def carried(start: ir.Value) -> ir.Value:
        phi = builder.phi(start.type)
        phi.add_incoming(start, before)
        return phi

    left = carried(args.depth)
    b = carried(args.b)
    bases = [carried(pointer) for pointer in groups]
    sums = [[carried(value) for value in values] for values in tile]
    builder.cbranch(builder.icmp_signed("!=", left, emit.int64(0)), body, after)

    builder.position_at_end(body)
    # B is whole vectors: masked loads would take an arithmetic port from the multiply-adds.
    b_row = panel.read(builder, b, masked=False)
    updates = []
    for index, totals in enumerate(sums):
        place = bases[index // ROW_GROUP]
        if index % ROW_GROUP:
            place = emit.offset(builder, place, multiples[index % ROW_GROUP])
        scalar = emit.load(builder, place, panel.kind.element, panel.item_bytes)
        factor = emit.splat(builder, scalar, panel.shape.lanes)
        for total, value in zip(totals, b_row, strict=True):
            updates.append((total, emit.multiply_add(builder, factor, value, total)))
    updates.append((left, builder.sub(left, emit.int64(1))))
    updates.append((b, emit.offset(builder, b, args.b_row)))
    updates += [(base, emit.offset(builder, base, args.a_column)) for base in bases]
    for phi, value in updates:
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return sums
