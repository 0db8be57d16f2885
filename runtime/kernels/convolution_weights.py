"""Packing of the weights of a convolution, in groups of rows, for the transposed direction."""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_geometry import ONE, ZERO, Weights
from symgraph.runtime.kernels.gemm_shape import ROW_GROUP, TileShape
from symgraph.runtime.kernels.vectors import local


class WeightArguments(NamedTuple):
    """The arguments of the packing function, in order.

    The start of `weights` is that of the first row; columns [first, first + depth) of `rows` rows
    are packed, as [group of rows][column][ROW_GROUP].
    """

    weights: Weights
    taps_height: ir.Value
    taps_width: ir.Value
    rows: ir.Value
    first: ir.Value
    depth: ir.Value
    target: ir.Value


def define_pack_weights(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the packing of a block of the weights, whose columns are channels and taps.

    The function takes the entries of `WeightArguments`, those of `weights` first. Beyond the last
    row the last one is repeated.
    """
    count = len(Weights._fields) + len(WeightArguments._fields) - 2
    types = [emit.INT64] * count + [emit.BYTE_POINTER]
    builder, function = emit.internal_function(module, "convolution_weights", types, small=True)
    words = function.args
    weights = Weights(*words[: len(Weights._fields)])
    args = WeightArguments(weights, *words[len(Weights._fields) :])
    packer = _Packer(builder, shape, dtype, args)
    # Columns outside: rows of one column lie close together in memory, columns far apart.
    with emit.counted_loop(builder, ZERO, args.depth, ONE) as k:
        packer.emit_column(k)
    builder.ret_void()
    return function


class _Packer:
    """Emits the packing of one column, and the walk over channels and taps."""

    def __init__(
        self, builder: ir.IRBuilder, shape: TileShape, dtype: str, args: WeightArguments
    ) -> None:
        """Find the channel and the tap of the first column."""
        self.builder = builder
        self.element = emit.ELEMENT_TYPES[dtype]
        self.size = shape.item_bytes
        self.args = args
        taps = builder.mul(args.taps_height, args.taps_width)
        self.channel = local(builder, builder.udiv(args.first, taps))
        within = builder.urem(args.first, taps)
        self.down = local(builder, builder.udiv(within, args.taps_width))
        self.across = local(builder, builder.urem(within, args.taps_width))
        self.group_bytes = builder.mul(args.depth, emit.int64(ROW_GROUP * self.size))

    def emit_column(self, k: ir.Value) -> None:
        """Emit the packing of one column of all rows."""
        builder, args, weights = self.builder, self.args, self.args.weights
        c, i, j = (builder.load(slot) for slot in (self.channel, self.down, self.across))
        place = builder.add(weights.start, builder.mul(c, weights.channel))
        place = builder.add(place, builder.mul(i, weights.tap_height))
        place = builder.add(place, builder.mul(j, weights.tap_width))
        target = emit.offset(
            builder, args.target, builder.mul(k, emit.int64(ROW_GROUP * self.size))
        )
        whole = builder.and_(args.rows, emit.int64(-ROW_GROUP))
        step = emit.int64(ROW_GROUP)
        with emit.counted_loop(builder, ZERO, whole, step) as row:
            self._emit_group(place, target, row, None)
        with builder.if_then(builder.icmp_signed("<", whole, args.rows)):
            self._emit_group(place, target, whole, builder.sub(args.rows, ONE))
        self._advance(c, i, j)

    def _emit_group(
        self, place: ir.Value, target: ir.Value, row: ir.Value, last: ir.Value | None
    ) -> None:
        """Emit the copy of one group of rows, up to the last row if given."""
        builder, weights = self.builder, self.args.weights
        group = builder.udiv(row, emit.int64(ROW_GROUP))
        packed = emit.offset(builder, target, builder.mul(group, self.group_bytes))
        for index in range(ROW_GROUP):
            number = builder.add(row, emit.int64(index))
            if last is not None:
                number = emit.minimum(builder, number, last)
            address = builder.add(place, builder.mul(number, weights.row))
            source = builder.inttoptr(address, emit.BYTE_POINTER)
            value = emit.load(builder, source, self.element, self.size)
            emit.store(
                builder,
                value,
                emit.offset(builder, packed, emit.int64(index * self.size)),
                self.size,
            )

    def _advance(self, c: ir.Value, i: ir.Value, j: ir.Value) -> None:
        """Go to the next tap, row of taps, or channel."""
        builder, args = self.builder, self.args
        j = builder.add(j, ONE)
        line_over = builder.icmp_signed("==", j, args.taps_width)
        builder.store(builder.select(line_over, ZERO, j), self.across)
        i = builder.add(i, builder.select(line_over, ONE, ZERO))
        tile_over = builder.icmp_signed("==", i, args.taps_height)
        builder.store(builder.select(tile_over, ZERO, i), self.down)
        builder.store(builder.add(c, builder.select(tile_over, ONE, ZERO)), self.channel)
