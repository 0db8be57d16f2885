"""Emits the body of im2col; `patches` describes it and its arguments."""

from __future__ import annotations

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.patches_walk import Patches, inside_mask, read_patches
from symgraph.runtime.kernels.vectors import Elements, elements

_ZERO, _ONE = emit.int64(0), emit.int64(1)


def emit_im2col(
    builder: ir.IRBuilder,
    dtype: str,
    to_matrix: bool,
    step: int,
    args: ir.Value,
    lo: ir.Value,
    hi: ir.Value,
) -> None:
    """Emits the copies of the tasks [lo, hi)."""
    patches = read_patches(builder, dtype, args)
    write = _write_matrix if to_matrix else _write_planes
    with emit.counted_loop(builder, lo, hi, _ONE) as task:
        write(patches, task, step)


def _read(
    patches: Patches, line: ir.Value, column: ir.Value, limit: ir.Value, step: int, lanes: int
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
        return access.load(access.place(line, column), inside_mask(patches, column, limit, lanes))
    left, right = (
        access.load(access.place(line, start), inside_mask(patches, start, limit, lanes))
        for start in (column, builder.add(column, emit.int64(lanes)))
    )
    return emit.permute(builder, left, right, range(0, 2 * lanes, 2))


def _read_if(patches: Patches, access: Elements, place: ir.Value, valid: ir.Value) -> ir.Value:
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


def _write_matrix(patches: Patches, task: ir.Value, step: int) -> None:
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


def _write_planes(patches: Patches, plane: ir.Value, step: int) -> None:
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
