"""Emits the bodies of im2col and col2im; `patches` describes them and their arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.vectors import ArgumentReader, Elements, elements

_ZERO, _ONE = emit.int64(0), emit.int64(1)


@dataclass(frozen=True)
class _Patches:
    """The arguments of both kernels, and the accesses to their arrays."""

    builder: ir.IRBuilder
    dtype: str
    source: ir.Value
    out: ir.Value
    channels: ir.Value
    size: tuple[ir.Value, ir.Value]
    windows: tuple[ir.Value, ir.Value]
    kernel: tuple[ir.Value, ir.Value]
    stride: tuple[ir.Value, ir.Value]
    pad: tuple[ir.Value, ir.Value]
    dilation: tuple[ir.Value, ir.Value]
    nothing: ir.Value

    def product(self, *factors: ir.Value) -> ir.Value:
        """Gives the product of extents."""
        total: ir.Value = _ONE
        for factor in factors:
            total = self.builder.mul(total, factor)
        return total

    def place(self, axis: int, window: ir.Value, tap: ir.Value) -> ir.Value:
        """Gives the row or column of an element of a window."""
        builder = self.builder
        first = builder.sub(builder.mul(window, self.stride[axis]), self.pad[axis])
        return builder.add(first, builder.mul(tap, self.dilation[axis]))

    def is_inside(self, axis: int, place: ir.Value) -> ir.Value:
        """Tells whether a row or column lies in the images."""
        # What is negative is huge when unsigned, so one comparison checks both ends.
        return self.builder.icmp_unsigned("<", place, self.size[axis])

    @contextmanager
    def loops(self, *extents: ir.Value) -> Iterator[list[ir.Value]]:
        """Emits nested loops over [0, extent)."""
        if not extents:
            yield []
            return
        with (
            emit.counted_loop(self.builder, _ZERO, extents[0], _ONE) as index,
            self.loops(*extents[1:]) as others,
        ):
            yield [index, *others]

    def flat(self, indices: list[ir.Value], extents: list[ir.Value]) -> ir.Value:
        """Gives the position of an element in row-major order; the first extent is not needed."""
        position = indices[0]
        for index, extent in zip(indices[1:], extents, strict=True):
            position = self.builder.add(self.builder.mul(position, extent), index)
        return position

    def line(self, first: ir.Value, row: ir.Value, plane: ir.Value, array: ir.Value) -> ir.Value:
        """Gives the address of a row of a plane of images, planes counted from `first`."""
        position = self.flat([self.builder.add(first, plane), row], [self.size[0]])
        return self._access().place(array, self.builder.mul(position, self.size[1]))

    def _access(self) -> Elements:
        return elements(self.builder, self.dtype, 1)


def emit_patches(
    builder: ir.IRBuilder,
    name: str,
    dtype: str,
    to_matrix: bool,
    step: int,
    args: ir.Value,
    lo: ir.Value,
    hi: ir.Value,
) -> None:
    """Emits a kernel for the tasks [lo, hi)."""
    reader = ArgumentReader(builder, args)
    source, out, channels = reader.pointer(), reader.pointer(), reader.integer()
    size, windows, kernel, stride, pad, dilation = (
        (reader.integer(), reader.integer()) for _ in range(6)
    )
    pairs = (size, windows, kernel, stride, pad, dilation)
    nothing = elements(builder, dtype, 1).hidden_zero()
    patches = _Patches(builder, dtype, source, out, channels, *pairs, nothing)
    with emit.counted_loop(builder, lo, hi, _ONE) as task:
        if name == "im2col" and to_matrix:
            _write_matrix(patches, task, step)
        elif name == "im2col":
            _write_planes(patches, task, step)
        else:
            _clear(patches, task)
            if to_matrix:
                _add_matrix(patches, task)
            else:
                _add_planes(patches, task, step)


def _read(
    patches: _Patches, line: ir.Value, column: ir.Value, limit: ir.Value, step: int, lanes: int
) -> ir.Value:
    """Loads elements of a row that are a step apart, zero outside of the images.

    Args:
        patches: the arguments.
        line: address of the row.
        column: of the first element.
        limit: whether the row itself is inside.
        step: columns from one element to the next; any if there is one only.
        lanes: how many elements.
    """
    builder = patches.builder
    access = elements(builder, patches.dtype, lanes)
    if lanes == 1:
        valid = builder.and_(limit, patches.is_inside(1, column))
        safe = builder.select(valid, column, _ZERO)
        return _read_if(patches, access, access.place(line, safe), valid)
    if step == 1:
        return access.load(access.place(line, column), _inside_mask(patches, column, limit, lanes))
    left, right = (
        access.load(access.place(line, start), _inside_mask(patches, start, limit, lanes))
        for start in (column, builder.add(column, emit.int64(lanes)))
    )
    return emit.permute(builder, left, right, range(0, 2 * lanes, 2))


def _read_if(patches: _Patches, access: Elements, place: ir.Value, valid: ir.Value) -> ir.Value:
    """Loads one element, or gives zero."""
    builder = patches.builder
    before = builder.block
    with builder.if_then(valid, likely=True):
        found = access.load(place)
        inside = builder.block
    value = builder.phi(access.kind)
    value.add_incoming(found, inside)
    value.add_incoming(patches.nothing, before)
    return value


def _inside_mask(patches: _Patches, column: ir.Value, limit: ir.Value, lanes: int) -> ir.Value:
    """Gives a mask of the lanes, from a column on, that lie inside of a row that may be there."""
    builder = patches.builder
    first = emit.splat(builder, builder.trunc(column, emit.INT32), lanes)
    numbers = ir.Constant(ir.VectorType(emit.INT32, lanes), list(range(lanes)))
    width = builder.select(limit, builder.trunc(patches.size[1], emit.INT32), emit.zero(emit.INT32))
    end = emit.splat(builder, width, lanes)
    return builder.icmp_unsigned("<", builder.add(first, numbers), end)


def _write_matrix(patches: _Patches, task: ir.Value, step: int) -> None:
    """Emits the windows of one row of windows, each as a row of the matrix."""
    builder = patches.builder
    image = builder.udiv(task, patches.windows[0])
    row_of_windows = builder.urem(task, patches.windows[0])
    first_plane = builder.mul(image, patches.channels)
    access = elements(builder, patches.dtype, None if step == 1 else 1)
    extents = [patches.windows[1], patches.channels, patches.kernel[0]]
    with patches.loops(*extents) as (column_of_windows, channel, tap):
        row = patches.place(0, row_of_windows, tap)
        line = patches.line(first_plane, row, channel, patches.source)
        run = patches.flat([task, column_of_windows, channel, tap], extents)
        target = access.place(patches.out, builder.mul(run, patches.kernel[1]))
        limit = patches.is_inside(0, row)
        with emit.counted_loop(
            builder, _ZERO, patches.kernel[1], emit.int64(access.lanes)
        ) as number:
            column = patches.place(1, column_of_windows, number)
            value = _read(patches, line, column, limit, 1, access.lanes)
            rest = builder.sub(patches.kernel[1], number)
            mask = None if access.lanes == 1 else emit.first_lanes(builder, rest, access.lanes)
            access.store(value, access.place(target, number), mask)


def _write_planes(patches: _Patches, plane: ir.Value, step: int) -> None:
    """Emits the windows of one plane, one element of all of them after the other."""
    builder = patches.builder
    access = elements(builder, patches.dtype, None if step <= 2 else 1)
    extents = [*patches.kernel, patches.windows[0]]
    with patches.loops(*extents) as (tap, across, row_of_windows):
        row = patches.place(0, row_of_windows, tap)
        line = patches.line(plane, row, _ZERO, patches.source)
        run = patches.flat([plane, tap, across, row_of_windows], extents)
        target = access.place(patches.out, builder.mul(run, patches.windows[1]))
        limit = patches.is_inside(0, row)

        def copy(start: ir.Value, mask: ir.Value | None) -> None:
            column = patches.place(1, start, across)
            value = _read(patches, line, column, limit, step, access.lanes)
            access.store(value, access.place(target, start), mask)

        if access.lanes > 1:
            access.for_each_vector(patches.windows[1], copy)
        else:
            with emit.counted_loop(builder, _ZERO, patches.windows[1], _ONE) as column:
                copy(column, None)


def _clear(patches: _Patches, plane: ir.Value) -> None:
    """Emits zeros for a plane of images."""
    access = elements(patches.builder, patches.dtype)
    size = patches.product(*patches.size)
    start = access.place(patches.out, patches.builder.mul(plane, size))
    nothing = access.hidden_zero()
    access.for_each_vector(
        size, lambda index, mask: access.store(nothing, access.place(start, index), mask)
    )


def _add(patches: _Patches, access: Elements, place: ir.Value, update: ir.Value) -> None:
    total = emit.add(patches.builder, access.load(place), update)
    access.store(total, place)


def _add_matrix(patches: _Patches, plane: ir.Value) -> None:
    """Emits the sum of what the rows of the matrix hold for one plane of images."""
    builder = patches.builder
    access = elements(builder, patches.dtype, 1)
    image = builder.udiv(plane, patches.channels)
    channel = builder.urem(plane, patches.channels)
    extents = [*patches.windows, patches.channels, patches.kernel[0]]
    with patches.loops(*patches.windows, patches.kernel[0]) as (i, j, tap):
        row = patches.place(0, i, tap)
        with builder.if_then(patches.is_inside(0, row)):
            run = patches.flat([image, i, j, channel, tap], extents)
            given = access.place(patches.source, builder.mul(run, patches.kernel[1]))
            line = patches.line(plane, row, _ZERO, patches.out)
            with patches.loops(patches.kernel[1]) as (across,):
                column = patches.place(1, j, across)
                with builder.if_then(patches.is_inside(1, column), likely=True):
                    update = access.load(access.place(given, across))
                    _add(patches, access, access.place(line, column), update)


def _add_planes(patches: _Patches, plane: ir.Value, step: int) -> None:
    """Emits the sum of the windows of one plane, one element of all of them after the other."""
    builder = patches.builder
    access = elements(builder, patches.dtype, None if step == 1 else 1)
    extents = [*patches.kernel, patches.windows[0]]
    with patches.loops(*extents) as (tap, across, i):
        row = patches.place(0, i, tap)
        with builder.if_then(patches.is_inside(0, row)):
            run = patches.flat([plane, tap, across, i], extents)
            given = access.place(patches.source, builder.mul(run, patches.windows[1]))
            line = patches.line(plane, row, _ZERO, patches.out)

            def add(start: ir.Value, mask: ir.Value | None) -> None:
                column = patches.place(1, start, across)
                if access.lanes == 1:
                    with builder.if_then(patches.is_inside(1, column), likely=True):
                        update = access.load(access.place(given, start))
                        _add(patches, access, access.place(line, column), update)
                    return
                inside = _inside_mask(patches, column, ir.Constant(emit.INT1, 1), access.lanes)
                present = inside if mask is None else builder.and_(inside, mask)
                update = access.load(access.place(given, start), present)
                place = access.place(line, column)
                access.store(emit.add(builder, access.load(place, present), update), place, present)

            if access.lanes > 1:
                access.for_each_vector(patches.windows[1], add)
            else:
                with emit.counted_loop(builder, _ZERO, patches.windows[1], _ONE) as column:
                    add(column, None)
