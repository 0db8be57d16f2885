"""Convolution of images, its transpose, and its weight's gradient.

`ConvolutionArgument` names the entries of their argument block. No matrix of all windows ever
exists: a panel of it is made where it is needed, in a buffer of some ten kilobytes.
"""

from __future__ import annotations

from typing import Any

from symgraph.runtime.jit import KernelSource
from symgraph.runtime.kernels.convolution_shape import ITEM_BYTES, ConvolutionArgument
from symgraph.runtime.kernels.gemm_shape import TileShape, tile_shape

__all__ = ["ConvolutionArgument", "convolution_source"]

VERSION = 1  # raised whenever the emitted code changes, so that cached kernels are not reused


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

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.convolution_nest import emit_convolution

        emit_convolution(builder, tile, dtype, args, lo, hi)

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
    key_text = f"convolution {VERSION} {dtype} ({tile.describe()})"
    return KernelSource(key_text=key_text, build=build, listing=listing)


def _tile(dtype: str, shape: TileShape | None) -> TileShape:
    if dtype not in ITEM_BYTES:
        raise ValueError(f"no convolution for dtype {dtype!r}: use one of {list(ITEM_BYTES)}")
    return tile_shape(dtype) if shape is None else shape
