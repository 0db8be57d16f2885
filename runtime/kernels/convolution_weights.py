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

    The start of `weights` is that of the first row of the group; columns [first, first + depth) of
    its `rows` rows are packed, as [column][ROW_GROUP].
    """

    weights: Weights
    taps_height: ir.Value
    taps_width: ir.Value
    rows: ir.Value
    first: ir.Value
    depth: ir.Value
    target: ir.Value


def define_pack_weights(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the packing of one group of rows, whose columns are channels and taps.

    The function takes the entries of `WeightArguments`, those of `weights` first. Beyond the last
    row the last one is repeated.
    """
    count = len(Weights._fields) + len(WeightArguments._fields) - 2
    types = [emit.INT64] * count + [emit.BYTE_POINTER]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "convolution_weights")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    words = function.args
    weights = Weights(*words[: len(Weights._fields)])
    args = WeightArguments(weights, *words[len(Weights._fields) :])
    taps = builder.mul(args.taps_height, args.taps_width)
    channel = local(builder, builder.udiv(args.first, taps))
    within = builder.urem(args.first, taps)
    down = local(builder, builder.udiv(within, args.taps_width))
    across = local(builder, builder.urem(within, args.taps_width))
    last = builder.sub(args.rows, ONE)
    rows = [
        builder.mul(emit.minimum(builder, emit.int64(index), last), weights.row)
        for index in range(ROW_GROUP)
    ]
    element, size = emit.ELEMENT_TYPES[dtype], shape.item_bytes
    with emit.counted_loop(builder, ZERO, args.depth, ONE) as k:
        c, i, j = (builder.load(slot) for slot in (channel, down, across))
        place = builder.add(weights.start, builder.mul(c, weights.channel))
        place = builder.add(place, builder.mul(i, weights.tap_height))
        place = builder.add(place, builder.mul(j, weights.tap_width))
        packed = emit.offset(builder, args.target, builder.mul(k, emit.int64(ROW_GROUP * size)))
        for index, row in enumerate(rows):
            source = builder.inttoptr(builder.add(place, row), emit.BYTE_POINTER)
            value = emit.load(builder, source, element, size)
            target = emit.offset(builder, packed, emit.int64(index * size))
            emit.store(builder, value, target, size)
        j = builder.add(j, ONE)
        line_over = builder.icmp_signed("==", j, args.taps_width)
        builder.store(builder.select(line_over, ZERO, j), across)
        i = builder.add(i, builder.select(line_over, ONE, ZERO))
        tile_over = builder.icmp_signed("==", i, args.taps_height)
        builder.store(builder.select(tile_over, ZERO, i), down)
        builder.store(builder.add(c, builder.select(tile_over, ONE, ZERO)), channel)
    builder.ret_void()
    return function
