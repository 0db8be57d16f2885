"""Walks over the windows of planes, several neighbouring ones at a time; `pooling` says of what.

A block is a row of windows, one in each lane. Where all of its elements lie inside the plane, taps
are plain loads; elsewhere masks say which lanes have an element. Without lanes a block is one
window, and loops over its rows and columns stay inside of the plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.pooling import MOST_UNROLLED, Window
from symgraph.runtime.kernels.vectors import ArgumentReader, Elements, elements

_ZERO, _ONE = emit.int64(0), emit.int64(1)


@dataclass(frozen=True)
class Block:
    """Neighbouring windows.

    Attributes:
        index: number of the first one in its plane.
        count: how many there are; where it is None, lanes are full and all taps inside.
        column: column of the plane where the first window begins.
        rows: the first row of the plane that the windows hold, and the one after the last.
    """

    index: ir.Value
    count: ir.Value | None
    column: ir.Value
    rows: tuple[ir.Value, ir.Value]


@dataclass(frozen=True)
class Tap:
    """One element of each window of a block.

    Attributes:
        value: the elements.
        valid: which lanes have one; None if all.
        position: where in the plane that of lane 0 is; lanes are a stride apart.
    """

    value: ir.Value
    valid: ir.Value | None
    position: ir.Value


class Walk:
    """Emits loops over the blocks of a plane and over the taps of a block."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        dtype: str,
        window: Window,
        reader: ArgumentReader,
        lanes: int | None,
    ) -> None:
        """Reads the extents. Blocks have as many windows as a vector has elements if not told."""
        self.builder = builder
        self.dtype = dtype
        self.window = window
        self.access: Elements = elements(builder, dtype, lanes)
        self.single: Elements = elements(builder, dtype, 1)
        self.height, self.width = reader.integer(), reader.integer()
        self.out_height, self.out_width = reader.integer(), reader.integer()
        self.size = builder.mul(self.height, self.width)
        self.out_size = builder.mul(self.out_height, self.out_width)

    @property
    def lanes(self) -> int:
        """Gives the number of windows of a full block."""
        return self.access.lanes

    def integers(self, first: int = 0, step: int = 1) -> ir.Constant:
        """Gives int32 numbers, one for each lane."""
        numbers = [first + step * lane for lane in range(self.lanes)]
        if self.lanes == 1:
            return ir.Constant(emit.INT32, first)
        return ir.Constant(ir.VectorType(emit.INT32, self.lanes), numbers)

    def spread(self, value: ir.Value) -> ir.Value:
        """Gives a scalar in every lane."""
        return value if self.lanes == 1 else emit.splat(self.builder, value, self.lanes)

    def positions(self, tap_position: ir.Value) -> ir.Value:
        """Gives the int32 position in the plane of each lane's element of a tap."""
        first = self.spread(self.builder.trunc(tap_position, emit.INT32))
        return self.builder.add(first, self.integers(step=self.window.stride[1]))

    def for_each_block(self, body: Callable[[Block], None]) -> None:
        """Emits a body for all blocks of a plane."""
        builder = self.builder
        with emit.counted_loop(builder, _ZERO, self.out_height, _ONE) as row:
            rows, is_whole = self._rows(row)
            first = builder.mul(row, self.out_width)
            step = emit.int64(self.lanes)
            with emit.counted_loop(builder, _ZERO, self.out_width, step) as start:
                column = builder.mul(start, emit.int64(self.window.stride[1]))
                column = builder.sub(column, emit.int64(self.window.pad[1]))
                count = builder.sub(self.out_width, start)
                index = builder.add(first, start)
                partial = Block(index, emit.minimum(builder, count, step), column, rows)
                if self.lanes == 1:
                    body(partial)
                else:
                    is_inside = builder.and_(is_whole, self._is_inside(column, count))
                    with builder.if_else(is_inside, likely=True) as (inside, edge):
                        with inside:
                            body(replace(partial, count=None))
                        with edge:
                            body(partial)

    def _rows(self, row: ir.Value) -> tuple[tuple[ir.Value, ir.Value], ir.Value]:
        """Gives the rows of a plane in a row of windows, and whether padding is not among them."""
        builder = self.builder
        (kernel, _), (stride, _), (pad, _) = self.window.kernel, self.window.stride, self.window.pad
        top = builder.sub(builder.mul(row, emit.int64(stride)), emit.int64(pad))
        bottom = builder.add(top, emit.int64(kernel))
        if not pad:
            return (top, bottom), ir.Constant(emit.INT1, 1)
        first = emit.maximum(builder, top, _ZERO)
        last = emit.minimum(builder, bottom, self.height)
        is_whole = builder.icmp_signed("==", builder.sub(last, first), emit.int64(kernel))
        return (first, last), is_whole

    def _is_inside(self, column: ir.Value, count: ir.Value) -> ir.Value:
        """Tells whether lanes are full and all that they load lies in the row."""
        builder, stride = self.builder, self.window.stride[1]
        reach = self.window.kernel[1] - 1 + stride * (self.lanes - 1)
        if stride == 2 and self.window.kernel[1] == 1:
            reach += 1
        last = builder.add(column, emit.int64(reach))
        is_full = builder.icmp_signed(">=", count, emit.int64(self.lanes))
        starts = builder.icmp_signed(">=", column, _ZERO)
        ends = builder.icmp_signed("<", last, self.width)
        return builder.and_(is_full, builder.and_(starts, ends))

    def for_each_tap(self, plane: ir.Value, block: Block, body: Callable[[Tap], None]) -> None:
        """Emits a body for all elements of the windows of a block, in row-major order."""
        builder = self.builder
        is_static = block.count is None or (self.lanes > 1 and not self.window.pad[0])
        if is_static and self.window.taps <= MOST_UNROLLED:
            for number in range(self.window.kernel[0]):
                row = builder.add(block.rows[0], emit.int64(number))
                self._row_of_taps(plane, block, row, body)
            return
        with emit.counted_loop(builder, *block.rows, _ONE) as row:
            self._row_of_taps(plane, block, row, body)

    def _row_of_taps(
        self, plane: ir.Value, block: Block, row: ir.Value, body: Callable[[Tap], None]
    ) -> None:
        builder = self.builder
        start = builder.mul(row, self.width)
        line = self.access.place(plane, start)
        if self.lanes == 1:
            with emit.counted_loop(builder, *self.columns(block), _ONE) as column:
                value = self.access.load(self.access.place(line, column))
                body(Tap(value, None, builder.add(start, column)))
            return
        for number in range(self.window.kernel[1]):
            column = builder.add(block.column, emit.int64(number))
            value = self._load(line, block, number)
            valid = None if block.count is None else self._inside(column, self.window.stride[1])
            body(Tap(value, valid, builder.add(start, column)))

    def columns(self, block: Block) -> tuple[ir.Value, ir.Value]:
        """Gives the columns of the plane in the first window of a block: first, and after last."""
        builder = self.builder
        last = builder.add(block.column, emit.int64(self.window.kernel[1]))
        return emit.maximum(builder, block.column, _ZERO), emit.minimum(builder, last, self.width)

    def _load(self, line: ir.Value, block: Block, number: int) -> ir.Value:
        """Loads one element for each lane, `number` columns after where its window begins."""
        if self.window.stride[1] == 1:
            return self._load_vector(line, block, number)
        # Two vectors hold what every other column needs. The pair begins on an even tap, which it
        # shares with the next; the last tap takes the odd lanes, so as not to reach any further.
        is_last = number > 0 and number + 1 == self.window.kernel[1]
        odd = number % 2 or is_last
        first = number - 1 if odd else number
        left = self._load_vector(line, block, first)
        right = self._load_vector(line, block, first + self.lanes)
        return emit.permute(self.builder, left, right, range(int(odd), 2 * self.lanes, 2))

    def _load_vector(self, line: ir.Value, block: Block, number: int) -> ir.Value:
        column = self.builder.add(block.column, emit.int64(number))
        mask = None if block.count is None else self._inside(column, 1)
        return self.access.load(self.access.place(line, column), mask)

    def _inside(self, column: ir.Value, step: int) -> ir.Value:
        """Gives a mask of the lanes, a step apart from a column on, that lie inside the plane."""
        builder = self.builder
        first = self.spread(builder.trunc(column, emit.INT32))
        columns = builder.add(first, self.integers(step=step))
        limit = self.spread(builder.trunc(self.width, emit.INT32))
        # What is negative is huge when unsigned, so one comparison checks both ends.
        return builder.icmp_unsigned("<", columns, limit)

    def present(self, block: Block) -> ir.Value | None:
        """Gives a mask of the windows that a block has; None if all lanes are full."""
        if block.count is None or self.lanes == 1:
            return None
        return emit.first_lanes(self.builder, block.count, self.lanes)

    def clear(self, plane: ir.Value, first: ir.Value, count: ir.Value) -> None:
        """Sets elements of a plane of x to zero."""
        vectors = elements(self.builder, self.dtype)
        start, nothing = vectors.place(plane, first), vectors.hidden_zero()
        vectors.for_each_vector(
            count, lambda index, mask: vectors.store(nothing, vectors.place(start, index), mask)
        )
