"""Emits the mean of the windows of one plane, and its adjoint. float32 is summed in float64."""

from __future__ import annotations

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.pooling_tiles import clear_around_tiles, store_tiles
from symgraph.runtime.kernels.pooling_walk import Block, Tap, Walk
from symgraph.runtime.kernels.vectors import local

_ZERO, _ONE = emit.int64(0), emit.int64(1)


def _constant(walk: Walk, element: ir.Type, value: float) -> ir.Constant:
    if walk.lanes == 1:
        return ir.Constant(element, value)
    return ir.Constant(ir.VectorType(element, walk.lanes), [value] * walk.lanes)


def _share(walk: Walk, total: ir.Value) -> ir.Value:
    """Gives a total over the number of elements of a window."""
    return walk.builder.fdiv(total, _constant(walk, walk.access.element, walk.window.taps))


def emit_mean(walk: Walk, x: ir.Value, out: ir.Value) -> None:
    """Emits out = the mean of each window, where what lies outside of the plane is zero."""
    builder, access = walk.builder, walk.access
    zeros = _constant(walk, ir.DoubleType(), 0.0)

    def pool(block: Block) -> None:
        total = local(builder, zeros)

        def add(tap: Tap) -> None:
            value = tap.value
            if value.type != zeros.type:
                value = builder.fpext(value, zeros.type)
            builder.store(builder.fadd(builder.load(total), value), total)

        walk.for_each_tap(x, block, add)
        sums = builder.load(total)
        if sums.type != access.kind:
            sums = builder.fptrunc(sums, access.kind)
        access.store(_share(walk, sums), access.place(out, block.index), walk.present(block))

    walk.for_each_block(pool)


def emit_pairs(walk: Walk, g: ir.Value, out: ir.Value) -> None:
    """Emits equal shares of g in each window, where windows are tiles of two columns."""
    access = walk.access

    def visit(block: Block) -> None:
        given = access.load(access.place(g, block.index), walk.present(block))
        share = _share(walk, given)
        store_tiles(walk, out, block, [(share, share)] * walk.window.kernel[0])

    walk.for_each_block(visit)
    clear_around_tiles(walk, out)


def emit_shares(walk: Walk, g: ir.Value, out: ir.Value) -> None:
    """Emits out = 0; out += equal shares of g in each window; for walks of single windows."""
    builder, access = walk.builder, walk.access
    walk.clear(out, _ZERO, walk.size)

    def visit(block: Block) -> None:
        share = _share(walk, access.load(access.place(g, block.index)))
        first, last = walk.columns(block)
        with emit.counted_loop(builder, *block.rows, _ONE) as row:
            line = access.place(out, builder.mul(row, walk.width))
            with emit.counted_loop(builder, first, last, _ONE) as column:
                target = access.place(line, column)
                access.store(builder.fadd(access.load(target), share), target)

    walk.for_each_block(visit)
