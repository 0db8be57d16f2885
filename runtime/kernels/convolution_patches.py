"""Packing of windows: a block of the matrix (C KH KW, N OH OW) of all windows, made when needed.

With stride 1 each run of a vector is one masked load; with other strides the elements are gathered.
What lies outside the images is zero.
"""

from __future__ import annotations

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_geometry import ONE, ZERO
from symgraph.runtime.kernels.convolution_walk import (
    Mover,
    PatchArguments,
    RunWalk,
    Tap,
    Walk,
    define_walk,
)
from symgraph.runtime.kernels.gemm_shape import TileShape
from symgraph.runtime.kernels.vectors import local


def define_pack_patches(
    module: ir.Module, shape: TileShape, dtype: str, *, contiguous: bool
) -> ir.Function:
    """Define the packing of windows; columns beyond the last one become zero.

    Args:
        module: Module to define it in.
        shape: Register tile of the machine.
        dtype: Dtype of the images.
        contiguous: Whether neighbouring windows of a row are one element apart.

    Returns:
        An internal function of `PatchArguments`, whose `patches` are the words of `Patches`.
    """
    if contiguous:
        return define_walk(module, shape, dtype, "convolution_pack_runs", _RunPacker)
    return define_walk(module, shape, dtype, "convolution_pack_elements", _ElementPacker)


class _RunPacker(RunWalk):
    """Reads each run of a vector with one masked load."""

    def _load(self, run: tuple[ir.Value, ir.Value], distance: ir.Value, rest: ir.Value) -> ir.Value:
        pointer, mask = run
        place = emit.offset(self.builder, pointer, distance)
        return emit.masked_load(self.builder, place, mask, self.kind, self.item_bytes, rest)

    def _mover(self, tap: Tap, count: int) -> Mover:
        runs = [self.read_run(emit.int64(number), tap.inside) for number in range(count)]

        def move(place: ir.Value, distance: ir.Value) -> None:
            value: ir.Value = emit.zero(self.kind)
            for run in runs:
                value = self._load(run, distance, value)
            emit.store(self.builder, value, place, self.item_bytes)

        return move

    def _mover_of_all(self, tap: Tap, count: ir.Value) -> Mover:
        total = local(self.builder, emit.zero(self.kind))

        def move(place: ir.Value, distance: ir.Value) -> None:
            builder = self.builder
            builder.store(emit.zero(self.kind), total)
            with emit.counted_loop(builder, ZERO, count, ONE) as number:
                run = self.read_run(number, tap.inside)
                builder.store(self._load(run, distance, builder.load(total)), total)
            emit.store(builder, builder.load(total), place, self.item_bytes)

        return move


class _ElementPacker(Walk):
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

    def _emit_channels(self, tap: Tap) -> None:
        builder = self.builder
        addresses = builder.load(self.addresses)

        def move(place: ir.Value, distance: ir.Value) -> None:
            moved = builder.add(addresses, emit.splat(builder, distance, self.lanes))
            value = emit.gather(builder, moved, tap.inside, self.kind, self.item_bytes)
            emit.store(builder, value, place, self.item_bytes)

        self._loop_channels(tap, move)
