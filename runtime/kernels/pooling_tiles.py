"""Writes planes that windows of two columns tile: every element is written once, none is read."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.pooling_walk import Block, Walk

_ZERO, _ONE = emit.int64(0), emit.int64(1)


def store_tiles(
    walk: Walk, out: ir.Value, block: Block, rows: Sequence[tuple[ir.Value, ir.Value]]
) -> None:
    """Emits stores of the tiles of a block.

    Args:
        walk: over the plane.
        out: the plane that is tiled.
        block: the tiles.
        rows: for each row of the tiles, the elements of its left and of its right column.
    """
    builder, access, lanes = walk.builder, walk.access, walk.lanes
    halves = (range(lanes // 2), range(lanes // 2, lanes))
    masks: list[ir.Value | None] = [None, None]
    if block.count is not None:
        columns = builder.mul(block.count, emit.int64(2))
        rest = builder.sub(columns, emit.int64(lanes))
        masks = [emit.first_lanes(builder, count, lanes) for count in (columns, rest)]
    for number, (left, right) in enumerate(rows):
        row = builder.add(block.rows[0], emit.int64(number))
        start = builder.add(builder.mul(row, walk.width), block.column)
        for half, mask in zip(halves, masks, strict=True):
            order = [entry for lane in half for entry in (lane, lanes + lane)]
            access.store(emit.permute(builder, left, right, order), access.place(out, start), mask)
            start = builder.add(start, emit.int64(lanes))


def clear_around_tiles(walk: Walk, out: ir.Value) -> None:
    """Emits zeros right of the tiles and below them."""
    builder = walk.builder
    rows = builder.mul(walk.out_height, emit.int64(walk.window.kernel[0]))
    columns = builder.mul(walk.out_width, emit.int64(2))
    nothing = walk.single.hidden_zero()
    with (
        emit.counted_loop(builder, _ZERO, rows, _ONE) as row,
        emit.counted_loop(builder, columns, walk.width, _ONE) as column,
    ):
        position = builder.add(builder.mul(row, walk.width), column)
        walk.single.store(nothing, walk.single.place(out, position))
    tiled = builder.mul(rows, walk.width)
    walk.clear(out, tiled, builder.sub(walk.size, tiled))
