"""Copying of columns between images, where they lie in runs, and a dense tile of scratch memory."""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_geometry import ONE, ZERO, Placement, read_words
from symgraph.runtime.kernels.vectors import Elements, elements


class TileArguments(NamedTuple):
    """The arguments of a copying function, in order; `tile_row` is in bytes.

    The tile holds rows [row, row + rows) and columns [column, column + columns) of the images,
    whose rows are their planes.
    """

    placement: ir.Value
    row: ir.Value
    rows: ir.Value
    column: ir.Value
    columns: ir.Value
    tile: ir.Value
    tile_row: ir.Value


def define_copy_tile(module: ir.Module, dtype: str, *, to_images: bool) -> ir.Function:
    """Define the copy of a tile.

    Args:
        module: Module to define it in.
        dtype: Dtype of the images.
        to_images: Whether the tile is copied to the images, or else filled from them.

    Returns:
        An internal function of `TileArguments`, whose `placement` are the words of `Placement`.
    """
    pointer, integer = emit.BYTE_POINTER, emit.INT64
    types = TileArguments(pointer, integer, integer, integer, integer, pointer, integer)
    name = "convolution_" + ("unstage" if to_images else "stage")
    builder, function = emit.internal_function(module, name, types, small=True)
    args = TileArguments(*function.args)
    placement = Placement(*read_words(builder, args.placement, len(Placement._fields)))
    # Only a grid whose elements follow each other has vectors.
    dense, single = elements(builder, dtype), elements(builder, dtype, lanes=1)
    is_dense = builder.icmp_signed("==", placement.element, emit.int64(dense.size))
    with emit.advancing_loop(builder, ZERO, args.columns) as (done, advance):
        address, ahead = find_run(builder, placement, builder.add(args.column, done))
        run = emit.minimum(builder, ahead, builder.sub(args.columns, done))
        shift = builder.mul(done, emit.int64(dense.size))
        with emit.counted_loop(builder, ZERO, args.rows, ONE) as row:
            distance = builder.mul(builder.add(args.row, row), placement.row)
            image = builder.inttoptr(builder.add(address, distance), emit.BYTE_POINTER)
            line = emit.offset(builder, args.tile, builder.mul(row, args.tile_row))
            line = emit.offset(builder, line, shift)
            copy = _Copy(image, line, to_images)
            with builder.if_else(is_dense) as (then, otherwise):
                with then:
                    copy.vectors(dense, run)
                with otherwise:
                    copy.elements(single, run, placement.element)
        advance(builder.add(done, run))
    builder.ret_void()
    return function


def find_run(
    builder: ir.IRBuilder, placement: Placement, column: ir.Value
) -> tuple[ir.Value, ir.Value]:
    """Return where a column lies in the first plane, and how many its run has from there on."""
    line = builder.udiv(column, placement.length)
    within = builder.urem(column, placement.length)
    number = builder.udiv(line, placement.runs)
    row = builder.urem(line, placement.runs)
    address = builder.add(placement.start, builder.mul(number, placement.image))
    address = builder.add(address, builder.mul(row, placement.run))
    address = builder.add(address, builder.mul(within, placement.element))
    return address, builder.sub(placement.length, within)


class _Copy(NamedTuple):
    """One run of one row: where it lies in the images and in the tile."""

    image: ir.Value
    line: ir.Value
    to_images: bool

    def vectors(self, access: Elements, count: ir.Value) -> None:
        """Copy elements that follow each other."""
        source, target = (self.line, self.image) if self.to_images else (self.image, self.line)

        def move(first: ir.Value, mask: ir.Value | None) -> None:
            value = access.load(access.place(source, first), mask)
            access.store(value, access.place(target, first), mask)

        access.for_each_vector(count, move)

    def elements(self, access: Elements, count: ir.Value, step: ir.Value) -> None:
        """Copy elements that lie `step` bytes apart in the images."""
        builder = access.builder
        with emit.counted_loop(builder, ZERO, count, ONE) as index:
            spread = emit.offset(builder, self.image, builder.mul(index, step))
            dense = access.place(self.line, index)
            source, target = (dense, spread) if self.to_images else (spread, dense)
            access.store(access.load(source), target)
