"""Windows of images x[n, c, h, w] as an array of their own, and the adjoint of that.

Window (i, j) has its element (k, l) at row i * SH - PH + k * DH and column j * SW - PW + l * DW of
its plane; what lies outside is zero. Arguments, all of them int64 but for the pointers:

    0, 1       what is read, what is written
    2 .. 4     C, H, W
    5, 6       OH, OW, how many windows there are
    7 .. 14    KH, KW, SH, SW, PH, PW, DH, DW

Windows lie as (n, i, j, c, k, l), which makes a matrix of one row for each, or as
(n, c, k, l, i, j). Tasks are the (n, i) of im2col to a matrix, and the planes (n, c) otherwise.
"""

from __future__ import annotations

from typing import Any

from symgraph.runtime.jit import KernelSource

_VERSION = 2
_IM2COL_DTYPES = ("bool", "int32", "int64", "float32", "float64")
_COL2IM_DTYPES = ("int32", "int64", "float32", "float64")
_PLACE = "x[n, c, i * SH - PH + k * DH, j * SW - PW + l * DW]"
_LAYOUTS = {True: "n, i, j, c, k, l", False: "n, c, k, l, i, j"}


def im2col_source(dtype: str, to_matrix: bool, step: int) -> KernelSource:
    """Describes the kernel that writes every window.

    Args:
        dtype: dtype of both arrays.
        to_matrix: whether windows lie as (n, i, j, c, k, l).
        step: columns between what lies side by side in memory: DW for a matrix, else SW.

    Returns:
        The kernel's source.

    Raises:
        ValueError: the dtype is not supported.
    """
    text = f"out[{_LAYOUTS[to_matrix]}] = {_PLACE} if inside else 0"
    return _source("im2col", dtype, _IM2COL_DTYPES, to_matrix, step, text)


def col2im_source(dtype: str, to_matrix: bool, step: int) -> KernelSource:
    """Describes the kernel for x = 0; x += every window, where it is. All else is as above."""
    text = f"{_PLACE} += windows[{_LAYOUTS[to_matrix]}] if inside"
    return _source("col2im", dtype, _COL2IM_DTYPES, to_matrix, step, text)


def _source(
    name: str, dtype: str, supported: tuple[str, ...], to_matrix: bool, step: int, text: str
) -> KernelSource:
    if dtype not in supported:
        raise ValueError(f"no {name} for dtype {dtype!r}: use one of {list(supported)}")
    # Elements that are further apart are taken one by one, whatever the distance.
    known_step = min(step, 3)

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.patches_copies import emit_im2col
        from symgraph.runtime.kernels.patches_sums import emit_col2im

        emit_body = emit_im2col if name == "im2col" else emit_col2im
        emit_body(builder, dtype, to_matrix, known_step, args, lo, hi)

    tasks = "n, i" if name == "im2col" and to_matrix else "n, c"
    listing = "\n".join(
        [f"# {name}, {dtype}", f"for {tasks} in [lo, hi), and all other indices:", f"    {text}"]
    )
    key_text = f"{name} {_VERSION} {dtype} {_LAYOUTS[to_matrix]} {known_step}"
    return KernelSource(key_text, build, listing)
