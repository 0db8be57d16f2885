"""The matrix product: C[b] = (accumulate ? C[b] : 0) + A[b] @ B[b], then bias and relu if asked.

One kernel per dtype and epilogue serves every extent and every stride. `GemmArgument` names the
entries of its argument block. A task is a tile of up to `gemm_task_shape` elements of one matrix of
C.

The order of every sum is fixed (see `gemm_tile` and, for a single column, `gemm_dot`), so results
do not depend on how tasks are sliced, on the batch, or on which other rows and columns are
computed.
"""

from __future__ import annotations

from typing import Any

from symgraph.runtime.jit import KernelSource
from symgraph.runtime.kernels.gemm_shape import (
    ITEM_BYTES,
    Epilogue,
    GemmArgument,
    TileShape,
    gemm_task_count,
    gemm_task_shape,
    tile_shape,
)

__all__ = ["GemmArgument", "gemm_source", "gemm_task_count", "gemm_task_shape"]

VERSION = 4  # raised whenever the emitted code changes, so that cached kernels are not reused


def gemm_source(
    dtype: str, *, epilogue: Epilogue = "none", shape: TileShape | None = None
) -> KernelSource:
    """Describe the matrix-product kernel of a dtype.

    Floats use one fused multiply-add per k, in ascending k, starting from 0 or from C; integers
    wrap. The epilogue comes after the whole sum: "bias" adds a contiguous vector over columns,
    "bias_relu" then replaces what is below zero by zero (NaN stays).

    Args:
        dtype: "float32", "float64", "int32" or "int64".
        epilogue: "none", "bias" or "bias_relu".
        shape: Register tile; this machine's if None.

    Returns:
        The kernel's source.

    Raises:
        ValueError: If the dtype or the epilogue is not one of those.
    """
    if dtype not in ITEM_BYTES:
        raise ValueError(f"no matrix product for dtype {dtype!r}: use one of {list(ITEM_BYTES)}")
    if epilogue not in ("none", "bias", "bias_relu"):
        raise ValueError(f"unknown epilogue {epilogue!r}: use 'none', 'bias' or 'bias_relu'")
    tile = tile_shape(dtype) if shape is None else shape

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.gemm_nest import define_rectangle, emit_tasks

        rectangle = define_rectangle(builder.module, tile, dtype, epilogue)
        emit_tasks(builder, tile, rectangle, args, lo, hi)

    key_text = f"gemm {VERSION} {dtype} {epilogue} ({tile.describe()})"
    return KernelSource(key_text=key_text, build=build, listing=_listing(dtype, epilogue, tile))


def _listing(dtype: str, epilogue: Epilogue, tile: TileShape) -> str:
    """Return the readable form of a kernel."""
    height = tile.heights(tile.vectors)[0]
    step = "fma(A[b, i, k], B[b, k, j], total)"
    if dtype.startswith("int"):
        step = "A[b, i, k] * B[b, k, j] + total"
    finish = {
        "none": "total",
        "bias": "total + bias[j]",
        "bias_relu": "relu(total + bias[j])",
    }[epilogue]
    return "\n".join(
        [
            f"# matrix product, {dtype}, register tile {height} x {tile.columns}",
            "for b, i, j in tasks[lo:hi]:",
            "    total = C[b, i, j] if accumulate else 0",
            "    for k in range(K):",
            f"        total = {step}",
            f"    C[b, i, j] = {finish}",
        ]
    )
