"""What the emitters of im2col and col2im share; `patches` describes their arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.vectors import ArgumentReader, Elements, elements

_ZERO, _ONE = emit.int64(0), emit.int64(1)


@dataclass(frozen=True)
class Patches:
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


def read_patches(builder: ir.IRBuilder, dtype: str, args: ir.Value) -> Patches:
    """Reads the argument block."""
    reader = ArgumentReader(builder, args)
    source, out, channels = reader.pointer(), reader.pointer(), reader.integer()
    size, windows, kernel, stride, pad, dilation = (
        (reader.integer(), reader.integer()) for _ in range(6)
    )
    pairs = (size, windows, kernel, stride, pad, dilation)
    nothing = elements(builder, dtype, 1).hidden_zero()
    return Patches(builder, dtype, source, out, channels, *pairs, nothing)


def inside_mask(patches: Patches, column: ir.Value, limit: ir.Value, lanes: int) -> ir.Value:
    """Gives a mask of the lanes, from a column on, that lie inside of a row that may be there."""
    builder = patches.builder
    first = emit.splat(builder, builder.trunc(column, emit.INT32), lanes)
    numbers = ir.Constant(ir.VectorType(emit.INT32, lanes), list(range(lanes)))
    width = builder.select(limit, builder.trunc(patches.size[1], emit.INT32), emit.zero(emit.INT32))
    end = emit.splat(builder, width, lanes)
    return builder.icmp_unsigned("<", builder.add(first, numbers), end)
