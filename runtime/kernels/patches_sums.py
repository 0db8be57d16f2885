"""Emits the body of col2im; `patches` describes it and its arguments."""

from __future__ import annotations

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.patches_walk import Patches, inside_mask, read_patches
from symgraph.runtime.kernels.vectors import Elements, elements

_ZERO, _ONE = emit.int64(0), emit.int64(1)
_PLANES_AT_ONCE = 16


def emit_col2im(
    builder: ir.IRBuilder,
    dtype: str,
    to_matrix: bool,
    step: int,
    args: ir.Value,
    lo: ir.Value,
    hi: ir.Value,
) -> None:
    """Emits the sums of the planes [lo, hi)."""
    patches = read_patches(builder, dtype, args)
    if to_matrix:
        _add_matrix(patches, lo, hi)
        return
    with emit.counted_loop(builder, lo, hi, _ONE) as plane:
        _clear(patches, plane, builder.add(plane, _ONE))
        _add_planes(patches, plane, step)


def _clear(patches: Patches, first: ir.Value, last: ir.Value) -> None:
    """Emits zeros for some planes of images."""
    builder = patches.builder
    access = elements(builder, patches.dtype)
    size = builder.mul(*patches.size)
    start = access.place(patches.out, builder.mul(first, size))
    count = builder.mul(builder.sub(last, first), size)
    nothing = access.hidden_zero()
    access.for_each_vector(
        count, lambda index, mask: access.store(nothing, access.place(start, index), mask)
    )


def _add(patches: Patches, access: Elements, place: ir.Value, update: ir.Value) -> None:
    total = emit.add(patches.builder, access.load(place), update)
    access.store(total, place)


def _add_matrix(patches: Patches, lo: ir.Value, hi: ir.Value) -> None:
    """Emits the sums of what the rows of the matrix hold for the planes [lo, hi) of images.

    Some planes of an image at a time, so that what is read of a row of the matrix fills
    cache lines.
    """
    builder = patches.builder
    with emit.advancing_loop(builder, lo, hi) as (first, advance):
        image = builder.udiv(first, patches.channels)
        end_of_image = builder.mul(builder.add(image, _ONE), patches.channels)
        last = emit.minimum(builder, builder.add(first, emit.int64(_PLANES_AT_ONCE)), hi)
        last = emit.minimum(builder, last, end_of_image)
        _clear(patches, first, last)
        with patches.loops(*patches.windows) as (i, j):
            row_of_matrix = patches.flat([image, i, j], list(patches.windows))
            with emit.counted_loop(builder, first, last, _ONE) as plane:
                channel = builder.sub(plane, builder.mul(image, patches.channels))
                _add_window(patches, plane, (i, j), (row_of_matrix, channel))
        advance(last)


def _add_window(
    patches: Patches,
    plane: ir.Value,
    window: tuple[ir.Value, ir.Value],
    place: tuple[ir.Value, ir.Value],
) -> None:
    """Emits the sum of one window and a plane; `place` is its row of the matrix and its channel."""
    builder = patches.builder
    access = elements(builder, patches.dtype, 1)
    with patches.loops(patches.kernel[0]) as (tap,):
        row = patches.place(0, window[0], tap)
        with builder.if_then(patches.is_inside(0, row), likely=True):
            run = patches.flat([*place, tap], [patches.channels, patches.kernel[0]])
            given = access.place(patches.source, builder.mul(run, patches.kernel[1]))
            line = patches.line(plane, row, _ZERO, patches.out)
            with patches.loops(patches.kernel[1]) as (across,):
                column = patches.place(1, window[1], across)
                with builder.if_then(patches.is_inside(1, column), likely=True):
                    update = access.load(access.place(given, across))
                    _add(patches, access, access.place(line, column), update)


def _add_planes(patches: Patches, plane: ir.Value, step: int) -> None:
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
                inside = inside_mask(patches, column, ir.Constant(emit.INT1, 1), access.lanes)
                present = inside if mask is None else builder.and_(inside, mask)
                update = access.load(access.place(given, start), present)
                place = access.place(line, column)
                access.store(emit.add(builder, access.load(place, present), update), place, present)

            if access.lanes > 1:
                access.for_each_vector(patches.windows[1], add)
            else:
                with emit.counted_loop(builder, _ZERO, patches.windows[1], _ONE) as column:
                    add(column, None)
