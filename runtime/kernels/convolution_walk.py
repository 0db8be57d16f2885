"""The walk over a block of the matrix (C KH KW, N OH OW) of all windows of images.

A vector holds consecutive columns, that is windows whose corners lie side by side in one or several
rows of the grid: its runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

# Called with the place of a vector in the block, and its distance from the first plane.
Mover = Callable[[ir.Value, ir.Value], None]

UNROLLED_RUNS = 3  # up to so many, a vector is moved without a loop
OUTSIDE = -(1 << 30)  # a coordinate that no tap brings inside


class PatchArguments(NamedTuple):
    """The arguments of a function that walks, in order; `target_row` is in bytes.

    It moves rows [first_row, first_row + rows) and columns [column, column + columns) of the matrix
    from or to a dense block; `padded` is a multiple of the lanes.
    """

    patches: ir.Value
    column: ir.Value
    columns: ir.Value
    padded: ir.Value
    first_row: ir.Value
    rows: ir.Value
    target: ir.Value
    target_row: ir.Value


class Tap(NamedTuple):
    """One tap: its number, distance and valid lanes, the channels to pack, and the target."""

    number: ir.Value
    distance: ir.Value
    inside: ir.Value
    begin: ir.Value
    end: ir.Value
    target: ir.Value


@dataclass(frozen=True)
class _Range:
    """The rows to pack, as channels and taps: from (first, first_tap) up to (last, last_tap)."""

    first: ir.Value
    first_tap: ir.Value
    last: ir.Value
    last_tap: ir.Value


class Walk(ABC):
    """Emits the walk over the grid, and the loops over taps and channels.

    A kind of walk notes each run of columns as it comes, and then moves vectors.
    """

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
        """Emit the loops over the taps, and over the channels that have them in range.

        The last tap comes first. Of all windows that reach an element, the first does so with the
        last of their taps: so they reach it in their own order, wherever a vector ends.
        """
        builder, patches, chosen = self.builder, self.patches, self.range
        rows, columns = builder.load(self.rows_of_lanes), builder.load(self.columns_of_lanes)
        height, width = self._splat32(patches.height), self._splat32(patches.width)
        with self._falling(patches.taps_height) as i:
            down = builder.mul(i, patches.step_height)
            lane_rows = builder.add(rows, self._splat32(down))
            inside_rows = builder.icmp_unsigned("<", lane_rows, height)
            with self._falling(patches.taps_width) as j:
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
                self._emit_channels(Tap(tap, distance, inside, begin, end, target))

    @contextmanager
    def _falling(self, count: ir.Value) -> Iterator[ir.Value]:
        """Emit a loop over count - 1, ..., 0 around the body."""
        with emit.counted_loop(self.builder, ZERO, count, ONE) as turn:
            yield self.builder.sub(self.builder.sub(count, ONE), turn)

    def _loop_channels(self, tap: Tap, move: Mover) -> None:
        """Emit the loop over channels around what moves one vector."""
        builder, args = self.builder, self.args
        row = builder.add(builder.mul(tap.begin, self.taps), tap.number)
        row = builder.sub(row, args.first_row)
        place = emit.offset(builder, tap.target, builder.mul(row, args.target_row))
        skip = builder.mul(self.taps, args.target_row)
        with emit.counted_loop(builder, tap.begin, tap.end, ONE) as channel:
            distance = builder.mul(channel, self.patches.plane)
            further = builder.mul(builder.sub(channel, tap.begin), skip)
            row = emit.offset(builder, place, further)
            move(row, builder.add(tap.distance, distance))

    @abstractmethod
    def _begin(self) -> None:
        """Forget the runs of the vector before."""

    @abstractmethod
    def _add_run(self, address: ir.Value, mask: ir.Value) -> None:
        """Note where lane 0 of a run would lie, and which lanes it has."""

    @abstractmethod
    def _emit_channels(self, tap: Tap) -> None:
        """Emit what a tap moves, for all its channels."""


class RunWalk(Walk):
    """Keeps a table of the runs of one vector; its columns are neighbours in memory."""

    def __init__(
        self, builder: ir.IRBuilder, shape: TileShape, dtype: str, args: PatchArguments
    ) -> None:
        """Allocate the table."""
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

    def read_run(self, number: ir.Value, inside: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return where a run lies, and its lanes that are inside the images."""
        builder, place = self.builder, self._entry(number)
        address = emit.load(builder, place, emit.INT64, 8)
        bits = emit.load(builder, emit.offset(builder, place, emit.int64(8)), emit.INT64, 8)
        if bits.type != self.bits:
            bits = builder.trunc(bits, self.bits)
        lanes = builder.bitcast(bits, ir.VectorType(emit.INT1, self.lanes))
        pointer = builder.inttoptr(address, emit.BYTE_POINTER)
        return pointer, builder.and_(lanes, inside)

    def _emit_channels(self, tap: Tap) -> None:
        """Emit the loop over channels for each small number of runs, and for any number."""
        self._emit_for_count(tap, self.builder.load(self.count), 1)

    def _emit_for_count(self, tap: Tap, count: ir.Value, unrolled: int) -> None:
        builder = self.builder
        if unrolled > UNROLLED_RUNS:
            self._loop_channels(tap, self._mover_of_all(tap, count))
            return
        few = builder.icmp_signed("<=", count, emit.int64(unrolled))
        with builder.if_else(few) as (then, otherwise):
            with then:
                self._loop_channels(tap, self._mover(tap, unrolled))
            with otherwise:
                self._emit_for_count(tap, count, unrolled + 1)

    @abstractmethod
    def _mover(self, tap: Tap, count: int) -> Mover:
        """Return what moves a vector of a fixed number of runs."""

    @abstractmethod
    def _mover_of_all(self, tap: Tap, count: ir.Value) -> Mover:
        """Return what moves a vector of any number of runs."""


def define_walk(
    module: ir.Module, shape: TileShape, dtype: str, name: str, kind: type[Walk]
) -> ir.Function:
    """Define an internal function of `PatchArguments`, whose `patches` are words of `Patches`.

    Args:
        module: Module to define it in.
        shape: Register tile of the machine.
        dtype: Dtype of the images.
        name: Name of the function.
        kind: What is done with each vector.
    """
    pointer, integer = emit.BYTE_POINTER, emit.INT64
    types = PatchArguments(pointer, integer, integer, integer, integer, integer, pointer, integer)
    builder, function = emit.internal_function(module, name, types, small=True)
    args = PatchArguments(*function.args)
    walk = kind(builder, shape, dtype, args)
    with emit.counted_loop(builder, ZERO, args.padded, emit.int64(shape.lanes)) as first:
        walk.emit_vector(first)
    builder.ret_void()
    return function
