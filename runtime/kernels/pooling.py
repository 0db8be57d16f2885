"""Pooling of planes x[p, h, w]: the largest or the mean element of every window, and adjoints.

The window of output (i, j) begins at row i * stride[0] - pad[0] and column j * stride[1] - pad[1];
what lies outside of the plane is never the largest, and zero in a mean. Arguments of all kernels:

    pointers   what is read, in the order of the listing, then what is written
    then       H, W, the extents of a plane of x; OH, OW, those of a plane of windows (int64)

Tasks are the planes p. Every window holds at least one element of its plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symgraph.runtime.jit import KernelSource

VERSION = 1
FLOATS = ("float32", "float64")
NUMBERS = ("int32", "int64", *FLOATS)
MOST_UNROLLED = 16
"""Elements of a window up to which there are no loops over them."""
_MOST_VECTOR_TAPS, _MOST_VECTOR_COLUMNS = 64, 8

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """What a kernel knows of its windows when it is compiled.

    Attributes:
        kernel: rows and columns of a window.
        stride: from one window to the next.
        pad: rows and columns around the plane.
    """

    kernel: Pair
    stride: Pair
    pad: Pair

    @property
    def taps(self) -> int:
        """Gives the elements of a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def fills_lanes(self) -> bool:
        """Tells whether lanes hold neighbouring windows, not one window after the other."""
        is_small = self.taps <= _MOST_VECTOR_TAPS and self.kernel[1] <= _MOST_VECTOR_COLUMNS
        return is_small and self.stride[1] <= 2

    @property
    def is_paired(self) -> bool:
        """Tells whether windows tile the plane with two columns each."""
        is_tiling = self.stride == self.kernel and self.pad == (0, 0)
        return is_tiling and self.kernel[1] == 2 and self.taps <= MOST_UNROLLED

    def __str__(self) -> str:
        pairs = (self.kernel, self.stride, self.pad)
        return " ".join(f"{first}x{second}" for first, second in pairs)


def max_pool_source(dtype: str, window: Window) -> KernelSource:
    """Describes out[p, i, j] = the first largest element of the window of x, or its first NaN.

    Args:
        dtype: dtype of x and out.
        window: the windows.

    Returns:
        The kernel's source.

    Raises:
        ValueError: the dtype is not supported.
    """
    return _source("max_pool", dtype, ("bool", *NUMBERS), window, "out[p, i, j] = x[p, place]")


def max_pool_select_source(dtype: str, window: Window) -> KernelSource:
    """Describes out[p, i, j] = values[p] at the place of the first largest of the window of x.

    All else is as for `max_pool_source`.
    """
    text = "out[p, i, j] = values[p, place]"
    return _source("max_pool_select", dtype, ("bool", *NUMBERS), window, text)


def max_pool_scatter_source(dtype: str, window: Window) -> KernelSource:
    """Describes out = 0; out[p] += g[p, i, j] at the place of the first largest of the window of x.

    All else is as for `max_pool_source`.
    """
    text = "out[p, place] += g[p, i, j]"
    return _source("max_pool_scatter", dtype, NUMBERS, window, text)


def window_mean_source(dtype: str, window: Window) -> KernelSource:
    """Describes out[p, i, j] = the sum over the window of x[p] over its number of elements.

    All else is as for `max_pool_source`.
    """
    text = f"out[p, i, j] = sum(x[p, window]) / {window.taps}"
    return _source("window_mean", dtype, FLOATS, window, text)


def window_spread_source(dtype: str, window: Window) -> KernelSource:
    """Describes out = 0; out[p, window] += g[p, i, j] over the window's number of elements.

    All else is as for `max_pool_source`.
    """
    text = f"out[p, window] += g[p, i, j] / {window.taps}"
    return _source("window_spread", dtype, FLOATS, window, text)


def _source(
    name: str, dtype: str, supported: tuple[str, ...], window: Window, text: str
) -> KernelSource:
    if dtype not in supported:
        raise ValueError(f"no {name} for dtype {dtype!r}: use one of {list(supported)}")

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.pooling_planes import emit_pooling

        emit_pooling(builder, name, dtype, window, args, lo, hi)

    lines = [f"# {name}, {dtype}, kernel, stride and pad {window}"]
    lines += ["out[lo:hi] = 0"] * ("+=" in text)
    lines.append("for p, i, j in [lo, hi) x [0, OH) x [0, OW):")
    if "place" in text:
        lines.append("    place = first position of the window where x[p] is largest (or NaN)")
    return KernelSource(
        f"{name} {VERSION} {dtype} {window}", build, "\n".join([*lines, f"    {text}"])
    )
