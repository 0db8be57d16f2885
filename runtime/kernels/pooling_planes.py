"""Emits the bodies of the pooling kernels; `pooling` describes them and their arguments."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from symgraph.runtime.kernels import emit
from symgraph.runtime.kernels.pooling import Window
from symgraph.runtime.kernels.pooling_max import (
    emit_largest,
    emit_scatter,
    emit_select,
    emit_tiles,
)
from symgraph.runtime.kernels.pooling_mean import emit_mean, emit_pairs, emit_shares
from symgraph.runtime.kernels.pooling_walk import Walk
from symgraph.runtime.kernels.vectors import ArgumentReader

_POINTERS = {
    "max_pool": 2,
    "max_pool_select": 3,
    "max_pool_scatter": 3,
    "window_mean": 2,
    "window_spread": 2,
}
_WINDOWED = {
    "max_pool": (1,),
    "max_pool_select": (2,),
    "max_pool_scatter": (0,),
    "window_mean": (1,),
    "window_spread": (0,),
}
"""Which pointers are to planes of windows; the others are to planes of x."""


def emit_pooling(
    builder: ir.IRBuilder,
    name: str,
    dtype: str,
    window: Window,
    args: ir.Value,
    lo: ir.Value,
    hi: ir.Value,
) -> None:
    """Emits the kernel of a name for the planes [lo, hi)."""
    reader = ArgumentReader(builder, args)
    arrays = [reader.pointer() for _ in range(_POINTERS[name])]
    is_paired = window.is_paired and window.fills_lanes
    is_single = not window.fills_lanes or (name == "window_spread" and not is_paired)
    walk = Walk(builder, dtype, window, reader, lanes=1 if is_single else None)
    bodies: dict[str, Callable[..., None]] = {
        "max_pool": emit_largest,
        "max_pool_select": emit_select,
        "max_pool_scatter": emit_tiles if is_paired else emit_scatter,
        "window_mean": emit_mean,
        "window_spread": emit_pairs if is_paired else emit_shares,
    }
    with emit.counted_loop(builder, lo, hi, emit.int64(1)) as plane:
        planes = [
            walk.access.place(
                array, builder.mul(plane, walk.out_size if k in _WINDOWED[name] else walk.size)
            )
            for k, array in enumerate(arrays)
        ]
        bodies[name](walk, *planes)
