"""Packing of windows: a block of the matrix (C KH KW, N OH OW) of all windows, made when needed.

A vector holds consecutive columns, that is windows whose corners lie side by side in one or several
rows of the grid. With stride 1 each of these pieces is one masked load; with other strides the
elements are gathered. What lies outside the images is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_geometry import (
    ONE,
    ZERO,
    Patches,
    read_words,
    reserve,
)
from symgraph.runtime.kernels.gemm_shape import TileShape
from symgraph.runtime.kernels.vectors import local

OUTSIDE = -(1 << 30)  # a coordinate that no tap brings inside


class PatchArguments(NamedTuple):
    """The arguments of a packing function, in order; `target_row` is in bytes.

    Rows [first_row, first_row + rows) and columns [column, column + columns) are packed; columns
    up to the padded number, a multiple of the lanes, become zero.
    """

    patches: ir.Value
    column: ir.Value
    columns: ir.Value
    padded: ir.Value
    first_row: ir.Value
    rows: ir.Value
    target: ir.Value
    target_row: ir.Value


def define_pack_patches(
    module: ir.Module, shape: TileShape, dtype: str, *, contiguous: bool
) -> ir.Function:
    """Define the packing of windows.

    Args:
        module: Module to define it in.
        shape: Register tile of the machine.
        dtype: Dtype of the images.
        contiguous: Whether neighbouring windows of a row are one element apart.

    Returns:
        An internal function of `PatchArguments`, whose `patches` are the words of `Patches`.
    """
    pointer, integer = emit.BYTE_POINTER, emit.INT64
    types = PatchArguments(pointer, integer, integer, integer, integer, integer, pointer, integer)
    name = "convolution_pack_" + ("runs" if contiguous else "elements")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), list(types)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    args = PatchArguments(*function.args)
    kind = _RunPacker if contiguous else _ElementPacker
    packer = kind(builder, shape, dtype, args)
    with emit.counted_loop(builder, ZERO, args.padded, emit.int64(shape.lanes)) as first:
        packer.emit_vector(first)
    builder.ret_void()
    return function


@dataclass(frozen=True)
class _Range:
    """The rows to pack, as channels and taps: from (first, first_tap) up to (last, last_tap)."""

    first: ir.Value
    first_tap: ir.Value
    last: ir.Value
    last_tap: ir.Value


class _Packer:
    """What both ways of reading share: the walk over the grid, and the loops over taps."""

    def __init__(
        self, builder: ir.IRBuilder, shape: TileShape, dtype: str, args: PatchArguments
    ) -> None:
        """Find the position of the first column and the range of channels and taps."""
        self.builder = builder
        self.args = args
        self.lanes = shape.lanes
        self.item = emit.int64(shape.item_bytes)
        self.item_bytes = shape.item_bytes
        self.kind = ir.VectorType(emit.ELEMENT_TYPES[dtype], shape.lanes)
        self.coordinates = ir.VectorType(emit.INT32, shape.lanes)
        self.patches = Patches(*read_words(builder, args.patches, len(Patches._fields)))
        patches = self.patches
        self.taps = builder.mul(patches.taps_height, patches.taps_width)
        self.line = builder.mul(patches.width, self.item)
        end = builder.add(args.first_row, args.rows)
        self.range = _Range(
            builder.udiv(args.first_row, self.taps),
            builder.urem(args.first_row, self.taps),
            builder.udiv(end, self.taps),
            builder.urem(end, self.taps),
        )
        plane = builder.mul(patches.grid_height, patches.grid_width)
        number = builder.udiv(args.column, plane)
        within = builder.urem(args.column, plane)
        self.image = local(builder, builder.add(patches.source, builder.mul(number, patches.image)))
        self.row = local(builder, builder.udiv(within, patches.grid_width))
        self.across = local(builder, builder.urem(within, patches.grid_width))
        self.rows_of_lanes = local(builder, emit.zero(self.coordinates))
        self.columns_of_lanes = local(builder, emit.zero(self.coordinates))

    def emit_vector(self, first: ir.Value) -> None:
        """Emit the packing of the columns from `first` on that fill one vector."""
        builder, args = self.builder, self.args
        outside = ir.Constant(self.coordinates, [OUTSIDE] * self.lanes)
        builder.store(outside, self.rows_of_lanes)
        builder.store(outside, self.columns_of_lanes)
        self._begin()
        left = builder.sub(args.columns, first)
        valid = emit.minimum(builder, left, emit.int64(self.lanes))
        with emit.advancing_loop(builder, ZERO, valid) as (lane, advance):
            advance(self._emit_run(lane, valid))
        target = emit.offset(builder, args.target, builder.mul(first, self.item))
        self._emit_taps(target)

    def _emit_run(self, lane: ir.Value, valid: ir.Value) -> ir.Value:
        """Emit the lanes from `lane` on that lie in one row of the grid; return where they end."""
        builder, patches = self.builder, self.patches
        across, row, image = (builder.load(slot) for slot in (self.across, self.row, self.image))
        ahead = builder.sub(patches.grid_width, across)
        run = emit.minimum(builder, ahead, builder.sub(valid, lane))
        end = builder.add(lane, run)
        mask = builder.and_(
            emit.first_lanes(builder, end, self.lanes),
            builder.not_(emit.first_lanes(builder, lane, self.lanes)),
        )
        top = builder.add(builder.mul(row, patches.stride_height), patches.start_height)
        # Where lane 0 would lie if the run began with it.
        left = builder.sub(across, lane)
        left = builder.add(builder.mul(left, patches.stride_width), patches.start_width)
        self._place(mask, self.rows_of_lanes, self._splat32(top))
        numbers = ir.Constant(self.coordinates, list(range(self.lanes)))
        spread = builder.mul(numbers, self._splat32(patches.stride_width))
        self._place(mask, self.columns_of_lanes, builder.add(spread, self._splat32(left)))
        address = builder.add(image, builder.mul(top, self.line))
        address = builder.add(address, builder.mul(left, self.item))
        self._add_run(address, mask)
        self._move(across, row, image, run)
        return end

    def _move(self, across: ir.Value, row: ir.Value, image: ir.Value, run: ir.Value) -> None:
        """Go past a run: on in the row, to the next row, or to the next image."""
        builder, patches = self.builder, self.patches
        across = builder.add(across, run)
        row_over = builder.icmp_signed("==", across, patches.grid_width)
        builder.store(builder.select(row_over, ZERO, across), self.across)
        row = builder.add(row, builder.select(row_over, ONE, ZERO))
        image_over = builder.icmp_signed("==", row, patches.grid_height)
        builder.store(builder.select(image_over, ZERO, row), self.row)
        step = builder.select(image_over, patches.image, ZERO)
        builder.store(builder.add(image, step), self.image)

    def _place(self, mask: ir.Value, slot: ir.Value, value: ir.Value) -> None:
        builder = self.builder
        builder.store(builder.select(mask, value, builder.load(slot)), slot)

    def _splat32(self, value: ir.Value) -> ir.Value:
        return emit.splat(self.builder, self.builder.trunc(value, emit.INT32), self.lanes)

    def _emit_taps(self, target: ir.Value) -> None:
        """Emit the loops over the taps, and over the channels that have them in range."""
        builder, patches, chosen = self.builder, self.patches, self.range
        rows, columns = builder.load(self.rows_of_lanes), builder.load(self.columns_of_lanes)
        height, width = self._splat32(patches.height), self._splat32(patches.width)
        with emit.counted_loop(builder, ZERO, patches.taps_height, ONE) as i:
            down = builder.mul(i, patches.step_height)
            lane_rows = builder.add(rows, self._splat32(down))
            inside_rows = builder.icmp_unsigned("<", lane_rows, height)
            with emit.counted_loop(builder, ZERO, patches.taps_width, ONE) as j:
                across = builder.mul(j, patches.step_width)
                lane_columns = builder.add(columns, self._splat32(across))
                inside = builder.icmp_unsigned("<", lane_columns, width)
                inside = builder.and_(inside, inside_rows)
                tap = builder.add(builder.mul(i, patches.taps_width), j)
                distance = builder.mul(down, self.line)
                distance = builder.add(distance, builder.mul(across, self.item))
                later = builder.icmp_signed("<", tap, chosen.first_tap)
                begin = builder.add(chosen.first, builder.zext(later, emit.INT64))
                more = builder.icmp_signed("<", tap, chosen.last_tap)
                end = builder.add(chosen.last, builder.zext(more, emit.INT64))
                self._emit_channels(_Tap(tap, distance, inside, begin, end, target))

    def _emit_channels(self, tap: _Tap) -> None:
        self._loop_channels(tap, self._reader(tap.inside))

    def _loop_channels(self, tap: _Tap, read: Callable[[ir.Value], ir.Value]) -> None:
        """Emit the loop over channels, `read` being given the distance from the first plane."""
        builder, args = self.builder, self.args
        row = builder.add(builder.mul(tap.begin, self.taps), tap.number)
        row = builder.sub(row, args.first_row)
        place = emit.offset(builder, tap.target, builder.mul(row, args.target_row))
        skip = builder.mul(self.taps, args.target_row)
        with emit.counted_loop(builder, tap.begin, tap.end, ONE) as channel:
            distance = builder.mul(channel, self.patches.plane)
            value = read(builder.add(tap.distance, distance))
            further = builder.mul(builder.sub(channel, tap.begin), skip)
            emit.store(builder, value, emit.offset(builder, place, further), self.item_bytes)

    def _begin(self) -> None:
        raise NotImplementedError

    def _add_run(self, address: ir.Value, mask: ir.Value) -> None:
        raise NotImplementedError

    def _reader(self, inside: ir.Value) -> Callable[[ir.Value], ir.Value]:
        raise NotImplementedError


class _Tap(NamedTuple):
    """One tap: its number, distance and valid lanes, the channels to pack, and the target."""

    number: ir.Value
    distance: ir.Value
    inside: ir.Value
    begin: ir.Value
    end: ir.Value
    target: ir.Value


class _ElementPacker(_Packer):
    """Reads every lane from an address of its own."""

    def __init__(
        self, builder: ir.IRBuilder, shape: TileShape, dtype: str, args: PatchArguments
    ) -> None:
        super().__init__(builder, shape, dtype, args)
        self.wide = ir.VectorType(emit.INT64, self.lanes)
        self.addresses = local(builder, emit.zero(self.wide))

    def _begin(self) -> None:
        self.builder.store(emit.zero(self.wide), self.addresses)

    def _add_run(self, address: ir.Value, mask: ir.Value) -> None:
        builder = self.builder
        step = builder.mul(self.patches.stride_width, self.item)
        numbers = ir.Constant(self.wide, list(range(self.lanes)))
        spread = builder.mul(numbers, emit.splat(builder, step, self.lanes))
        start = emit.splat(builder, address, self.lanes)
        self._place(mask, self.addresses, builder.add(start, spread))

    def _reader(self, inside: ir.Value) -> Callable[[ir.Value], ir.Value]:
        builder = self.builder
        addresses = builder.load(self.addresses)

        def read(distance: ir.Value) -> ir.Value:
            moved = builder.add(addresses, emit.splat(builder, distance, self.lanes))
            return emit.gather(builder, moved, inside, self.kind, self.item_bytes)

        return read


class _RunPacker(_Packer):
    """Reads each run of a vector with one masked load."""

    def __init__(
        self, builder: ir.IRBuilder, shape: TileShape, dtype: str, args: PatchArguments
    ) -> None:
        super().__init__(builder, shape, dtype, args)
        self.bits = ir.IntType(self.lanes)
        self.count = local(builder, ZERO)
        self.table = reserve(builder, 2 * self.lanes)

    def _begin(self) -> None:
        self.builder.store(ZERO, self.count)
        # A vector without any column still reads its first run.
        self._write_run(ZERO, self.patches.source, ir.Constant(self.bits, 0))

    def _add_run(self, address: ir.Value, mask: ir.Value) -> None:
        builder = self.builder
        number = builder.load(self.count)
        self._write_run(number, address, builder.bitcast(mask, self.bits))
        builder.store(builder.add(number, ONE), self.count)

    def _entry(self, number: ir.Value) -> ir.Value:
        return emit.offset(self.builder, self.table, self.builder.mul(number, emit.int64(16)))

    def _write_run(self, number: ir.Value, address: ir.Value, bits: ir.Value) -> None:
        builder, place = self.builder, self._entry(number)
        emit.store(builder, address, place, 8)
        if bits.type != emit.INT64:
            bits = builder.zext(bits, emit.INT64)
        emit.store(builder, bits, emit.offset(builder, place, emit.int64(8)), 8)

    def _read_run(self, number: ir.Value, inside: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return where a run lies, and its lanes that are inside the images."""
        builder, place = self.builder, self._entry(number)
        address = emit.load(builder, place, emit.INT64, 8)
        bits = emit.load(builder, emit.offset(builder, place, emit.int64(8)), emit.INT64, 8)
        if bits.type != self.bits:
            bits = builder.trunc(bits, self.bits)
        lanes = builder.bitcast(bits, ir.VectorType(emit.INT1, self.lanes))
        pointer = builder.inttoptr(address, emit.BYTE_POINTER)
        return pointer, builder.and_(lanes, inside)

    def _emit_channels(self, tap: _Tap) -> None:
        """Emit the loop over channels for one run, for two, and for any number of them."""
        builder = self.builder
        count = builder.load(self.count)
        with builder.if_else(builder.icmp_signed("<=", count, ONE)) as (one, several):
            with one:
                self._loop_channels(tap, self._reader_of(tap, 1))
            with several:
                is_pair = builder.icmp_signed("==", count, emit.int64(2))
                with builder.if_else(is_pair) as (two, many):
                    with two:
                        self._loop_channels(tap, self._reader_of(tap, 2))
                    with many:
                        self._loop_channels(tap, self._reader_of_all(tap, count))

    def _load(self, run: tuple[ir.Value, ir.Value], distance: ir.Value, rest: ir.Value) -> ir.Value:
        pointer, mask = run
        place = emit.offset(self.builder, pointer, distance)
        return emit.masked_load(self.builder, place, mask, self.kind, self.item_bytes, rest)

    def _reader_of(self, tap: _Tap, count: int) -> Callable[[ir.Value], ir.Value]:
        runs = [self._read_run(emit.int64(number), tap.inside) for number in range(count)]

        def read(distance: ir.Value) -> ir.Value:
            value: ir.Value = emit.zero(self.kind)
            for run in runs:
                value = self._load(run, distance, value)
            return value

        return read

    def _reader_of_all(self, tap: _Tap, count: ir.Value) -> Callable[[ir.Value], ir.Value]:
        total = local(self.builder, emit.zero(self.kind))

        def read(distance: ir.Value) -> ir.Value:
            builder = self.builder
            builder.store(emit.zero(self.kind), total)
            with emit.counted_loop(builder, ZERO, count, ONE) as number:
                run = self._read_run(number, tap.inside)
                builder.store(self._load(run, distance, builder.load(total)), total)
            return builder.load(total)

        return read
