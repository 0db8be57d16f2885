"""Convolution of images, its transpose, and its weight's gradient.

`ConvolutionArgument` names the entries of their argument block. No matrix of all windows ever
exists: a panel of it is made where it is needed, in a buffer of some ten kilobytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.runtime.jit import KernelSource
from symgraph.runtime.kernels.convolution_shape import (
    ITEM_BYTES,
    PATCH_ROWS,
    SUM_BLOCK,
    ConvolutionArgument,
    ScatterTask,
    pays_to_scatter,
    scatter_task,
    weight_parts,
)
from symgraph.runtime.kernels.gemm_shape import TileShape, tile_shape

__all__ = [
    "PATCH_ROWS",
    "SUM_BLOCK",
    "ConvolutionArgument",
    "ScatterTask",
    "convolution_scatter_source",
    "convolution_source",
    "convolution_weight_source",
    "pays_to_scatter",
    "scatter_task",
    "sum_of_parts_source",
    "weight_parts",
]

Emitter = Callable[..., None]
"""Emits a kernel's body: emitter(builder, tile, dtype, args, lo, hi)."""

VERSION = 9  # raised whenever the emitted code changes, so that cached kernels are not reused


def convolution_source(dtype: str, *, shape: TileShape | None = None) -> KernelSource:
    """Describe the kernel of convolutions and of transposed convolutions.

    Each element of the result is one chain of fused multiply-adds (integers wrap) over channels and
    taps in ascending order, so its bits depend neither on slicing nor on the batch. Tasks are
    ordered by residues modulo the strides (for the transpose; else there is one), then group, then
    panel of positions, then block of channels; there are as many for each of the residues.

    Args:
        dtype: "float32", "float64", "int32" or "int64".
        shape: Register tile; this machine's if None.

    Returns:
        The kernel's source.

    Raises:
        ValueError: If the dtype is not one of those.
    """
    tile = _tile(dtype, shape)

    def emitter() -> Emitter:
        from symgraph.runtime.kernels.convolution_nest import emit_convolution

        return emit_convolution

    listing = "\n".join(
        [
            f"# convolution or its transpose, {dtype}, register tile {tile.describe()}",
            "for r, n, p in tasks[lo:hi]:",
            "    total = 0",
            "    for c, tap in channels x taps:",
            "        total = fma(weight[r, c, tap], source[n, c, window p at tap], total)",
            "    result[n, r, p] = total",
        ]
    )
    return _described("convolution", dtype, tile, emitter, listing)


def convolution_weight_source(dtype: str, *, shape: TileShape | None = None) -> KernelSource:
    """Describe the kernel of a convolution's gradient in its weight.

    The positions of all windows are cut into blocks of a fixed size, and these into the parts that
    the variant of the arguments says; the result of each part lies behind that of the one before.
    The order of additions depends on nothing else. Tasks are ordered by part, then group, then
    block of `PATCH_ROWS` channels and taps.

    Args:
        dtype: "float32", "float64", "int32" or "int64".
        shape: Register tile; this machine's if None.

    Returns:
        The kernel's source.

    Raises:
        ValueError: If the dtype is not one of those.
    """
    tile = _tile(dtype, shape)

    def emitter() -> Emitter:
        from symgraph.runtime.kernels.convolution_weight import emit_weight_gradient

        return emit_weight_gradient

    listing = "\n".join(
        [
            f"# gradient of a convolution's weight, {dtype}, {tile.describe()}",
            "for part, o, c, tap in tasks[lo:hi]:",
            "    total = 0",
            "    for n, p in blocks of positions of the part:",
            "        total += sum(gradient[n, o, p] * input[n, c, window p at tap])",
            "    weight[part, o, c, tap] = total",
        ]
    )
    return _described("convolution_weight", dtype, tile, emitter, listing)


def convolution_scatter_source(dtype: str, *, shape: TileShape | None = None) -> KernelSource:
    """Describe the kernel of transposed convolutions with strides 1 that adds up products.

    The products of an element of the result are added in the order of blocks of output channels,
    then of windows; inside a block they are one chain of fused multiply-adds. So its bits depend
    neither on slicing nor on the batch. Tasks are ordered by
    images, then group, then input channels, `scatter_task` of each.

    Args:
        dtype: "float32", "float64", "int32" or "int64".
        shape: Register tile; this machine's if None.

    Returns:
        The kernel's source.

    Raises:
        ValueError: If the dtype is not one of those.
    """
    tile = _tile(dtype, shape)

    def emitter() -> Emitter:
        from symgraph.runtime.kernels.convolution_scatter import emit_scatter

        return emit_scatter

    listing = "\n".join(
        [
            f"# transposed convolution, scattered, {dtype}, register tile {tile.describe()}",
            "for n, c in tasks[lo:hi]:",
            "    result[n, c] = 0",
            "    for p, tap in positions x taps:",
            "        total = sum(weight[o, c, tap] * source[n, o, p] for o)",
            "        result[n, c, window p at tap] += total",
        ]
    )
    return _described("convolution_scatter", dtype, tile, emitter, listing)


def _described(
    name: str, dtype: str, tile: TileShape, emitter: Callable[[], Emitter], listing: str
) -> KernelSource:
    """Return the source of a kernel whose emitter is imported when it is needed."""

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        emitter()(builder, tile, dtype, args, lo, hi)

    key_text = f"{name} {VERSION} {dtype} ({tile.describe()})"
    return KernelSource(key_text=key_text, build=build, listing=listing)


def sum_of_parts_source(dtype: str) -> KernelSource:
    """Describe the kernel of out[i] = parts[0, i] + parts[1, i] + ..., added in this order.

    Arguments: 0 parts, 1 out (pointers), 2 how many parts, 3 elements of each (int64). A task is a
    block of `SUM_BLOCK` elements.

    Args:
        dtype: "float32", "float64", "int32" or "int64".

    Returns:
        The kernel's source.

    Raises:
        ValueError: If the dtype is not one of those.
    """
    _check(dtype)

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.convolution_weight import emit_sum_of_parts

        emit_sum_of_parts(builder, dtype, args, lo, hi)

    listing = "\n".join(
        [
            f"# sum of the parts of a weight's gradient, {dtype}",
            "for i in blocks[lo:hi]:",
            "    out[i] = parts[0, i] + parts[1, i] + ...",
        ]
    )
    return KernelSource(f"sum_of_parts {VERSION} {SUM_BLOCK} {dtype}", build, listing)


def _tile(dtype: str, shape: TileShape | None) -> TileShape:
    _check(dtype)
    return tile_shape(dtype) if shape is None else shape


def _check(dtype: str) -> None:
    if dtype not in ITEM_BYTES:
        raise ValueError(f"no convolution for dtype {dtype!r}: use one of {list(ITEM_BYTES)}")
