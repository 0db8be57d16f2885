"""The adjoint of packing windows: a block of their matrix is added to the images it came from."""

from __future__ import annotations

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.convolution_geometry import ONE, ZERO
from symgraph.runtime.kernels.convolution_walk import Mover, RunWalk, Tap, define_walk
from symgraph.runtime.kernels.gemm_shape import TileShape


def define_add_patches(module: ir.Module, shape: TileShape, dtype: str) -> ir.Function:
    """Define the addition of windows that are one element apart to images.

    Args:
        module: Module to define it in.
        shape: Register tile of the machine.
        dtype: Dtype of the images.

    Returns:
        An internal function of `PatchArguments`, whose `patches` are the words of `Patches`.
    """
    return define_walk(module, shape, dtype, "convolution_add_runs", _RunAdder)


class _RunAdder(RunWalk):
    """Adds each run of a vector with one masked load and one masked store."""

    def _sum(
        self, run: tuple[ir.Value, ir.Value], distance: ir.Value, value: ir.Value
    ) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Return a run's sum, and the place and the mask of its store."""
        builder, (pointer, mask) = self.builder, run
        place = emit.offset(builder, pointer, distance)
        before = emit.masked_load(builder, place, mask, self.kind, self.item_bytes)
        return emit.add(builder, before, value), place, mask

    def _store(self, total: ir.Value, place: ir.Value, mask: ir.Value) -> None:
        emit.masked_store(self.builder, total, place, mask, self.item_bytes)

    def _mover(self, tap: Tap, count: int) -> Mover:
        runs = [self.read_run(emit.int64(number), tap.inside) for number in range(count)]

        def move(place: ir.Value, distance: ir.Value) -> None:
            value = emit.load(self.builder, place, self.kind, self.item_bytes)
            # No lane is in two runs, but their vectors overlap: a load behind a masked store to the
            # same line would wait until that is done.
            for entry in [self._sum(run, distance, value) for run in runs]:
                self._store(*entry)

        return move

    def _mover_of_all(self, tap: Tap, count: ir.Value) -> Mover:
        def move(place: ir.Value, distance: ir.Value) -> None:
            builder = self.builder
            value = emit.load(builder, place, self.kind, self.item_bytes)
            with emit.counted_loop(builder, ZERO, count, ONE) as number:
                run = self.read_run(number, tap.inside)
                self._store(*self._sum(run, distance, value))

        return move
