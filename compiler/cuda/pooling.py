"""Pooling in CUDA C: one thread for each element of the result.

Words: those of the CPU's kernels (`runtime/kernels/pooling.py`), then the number of planes. Windows
are known when a kernel is compiled, so short ones become straight code. Adjoints are gathered: each
element looks at the windows that it lies in, in the order in which the CPU adds them.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.cuda.text import (
    COPIED,
    ELEMENT,
    ITEM_BYTES,
    SUMMED,
    THREADS,
    WIDENED,
    better,
    filled,
    named,
)
from symgraph.compiler.lower_pooling import Window
from symgraph.runtime.plan import CudaKernel, Launch, blocks_for, cuda_kernel

MOST_UNROLLED = 16
"""Elements of a window up to which there are no loops over them."""

# Rows and columns of planes are `height` and `width`, those of planes of windows `down` and
# `across`. What a thread has is number `i` of all; `plane`, `row` and `column` say where that is.
_WALK = """\
    const Word total = planes * $rows * $columns, step = (Word)gridDim.x * $threads;
    for (Word i = (Word)blockIdx.x * $threads + threadIdx.x; i < total; i += step) {
        Word rest, plane, row, column;
        split(i, $columns, rest, column);
        split(rest, $rows, plane, row);
$body
    }
"""
# The elements of window (row, column), in order.
_TAPS = """\
        #pragma unroll $unrolled
        for (int k = 0; k < $kernel0; ++k) {
            const Word y = row * $stride0 - $pad0 + k;$inside0
            #pragma unroll $unrolled
            for (int l = 0; l < $kernel1; ++l) {
                const Word x = column * $stride1 - $pad1 + l;$inside1
                $take
            }
        }"""
_LARGEST = """\
        const $element* source = at<const $element>(a$looked) + plane * height * width;
        $element best = 0;
        Word place = -1;
$taps
        $store"""
_TAKE_LARGER = """\
const $element value = source[y * width + x];
                if (place < 0 || KERNEL_better(value, best)) {
                    best = value;
                    place = y * width + x;
                }"""
_MEAN = """\
        const $summed* source = at<const $summed>(a0) + plane * height * width;
        $wide sum = 0;
$taps
        at<$summed>(a1)[i] = ($summed)sum / ($summed)$size;"""
# The windows that (row, column) of a plane lies in.
_WINDOWS = """\
        const Word low0 = row + $pad0 - $kernel0 + 1, low1 = column + $pad1 - $kernel1 + 1;
        const unsigned long long above = row + $pad0, before = column + $pad1;
        const Word last0 = min((Word)(above / $stride0), down - 1);
        const Word last1 = min((Word)(before / $stride1), across - 1);
        const Word first0 = low0 > 0 ? (low0 + $stride0 - 1ULL) / $stride0 : 0;
        const Word first1 = low1 > 0 ? (low1 + $stride1 - 1ULL) / $stride1 : 0;
        const $summed* given = at<const $summed>(a0) + plane * down * across;
        $summed sum = 0;
        for (Word down_to = first0; down_to <= last0; ++down_to)
            for (Word across_to = first1; across_to <= last1; ++across_to)
                $add
        at<$summed>(a$out)[i] = sum;"""
# An element wins its window if it is better than all before it, and none behind it is better. Most
# lose against one of the first that they are compared with.
_WINS = """\
__device__ __forceinline__ bool KERNEL_wins(
    const $element* source, Word height, Word width, Word row, Word column, Word own)
{
    const $element mine = source[own];
    #pragma unroll $unrolled
    for (int k = 0; k < $kernel0; ++k) {
        const Word y = row * $stride0 - $pad0 + k;$inside0
        #pragma unroll $unrolled
        for (int l = 0; l < $kernel1; ++l) {
            const Word x = column * $stride1 - $pad1 + l;$inside1
            const Word place = y * width + x;
            if (place < own && !KERNEL_better(mine, source[place])) return false;
            if (place > own && KERNEL_better(source[place], mine)) return false;
        }
    }
    return true;
}
"""


def max_pool_kernel(dtype: str, window: Window) -> CudaKernel:
    """Return the kernel of the first largest element of every window of x, or its first NaN.

    Args:
        dtype: dtype of x and out.
        window: the windows.
    """
    store = filled("at<$element>(a1)[i] = best;", element=ELEMENT[dtype])
    return _largest("max_pool", dtype, window, store, looked=0)


def max_pool_select_kernel(dtype: str, window: Window) -> CudaKernel:
    """Return the kernel of what `values` (word 0) has where x (word 1) is largest in each window.

    All else is as for `max_pool_kernel`.
    """
    copied = COPIED[ITEM_BYTES[dtype]]
    store = filled(
        "at<$copied>(a2)[i] = at<const $copied>(a0)[plane * height * width + place];", copied=copied
    )
    return _largest("max_pool_select", dtype, window, store, looked=1)


def max_pool_scatter_kernel(dtype: str, window: Window) -> CudaKernel:
    """Return the kernel that adds g (word 0) where x (word 1) is largest in each window.

    All else is as for `max_pool_kernel`.
    """
    values = _values(dtype, window)
    add = """\
if (KERNEL_wins(source, height, width, down_to, across_to, row * width + column))
                    sum += given[down_to * across + across_to];"""
    body = f"""\
        const {ELEMENT[dtype]}* source = at<const {ELEMENT[dtype]}>(a1) + plane * height * width;
{filled(_WINDOWS, **values, add=add, out=2)}"""
    helpers = better(dtype, largest=True, name="KERNEL_better") + filled(_WINS, **values)
    return _kernel("max_pool_scatter", dtype, window, body, 3, of_windows=False, helpers=helpers)


def window_mean_kernel(dtype: str, window: Window) -> CudaKernel:
    """Return the kernel of the mean of every window, where what lies outside counts as zero.

    All else is as for `max_pool_kernel`.
    """
    values = _values(dtype, window)
    taps = filled(_TAPS, **values, take="sum += source[y * width + x];")
    body = filled(_MEAN, **values, taps=taps, size=window.taps)
    return _kernel("window_mean", dtype, window, body, 2, of_windows=True)


def window_spread_kernel(dtype: str, window: Window) -> CudaKernel:
    """Return the kernel that gives each element its share of the windows that it lies in.

    All else is as for `max_pool_kernel`.
    """
    values = _values(dtype, window)
    add = filled(
        "sum += given[down_to * across + across_to] / ($summed)$size;",
        summed=SUMMED[dtype],
        size=window.taps,
    )
    body = filled(_WINDOWS, **values, add=add, out=1)
    return _kernel("window_spread", dtype, window, body, 2, of_windows=False)


def _largest(name: str, dtype: str, window: Window, store: str, looked: int) -> CudaKernel:
    values = _values(dtype, window)
    taps = filled(_TAPS, **values, take=filled(_TAKE_LARGER, **values))
    body = filled(_LARGEST, **values, looked=looked, taps=taps, store=store)
    helpers = better(dtype, largest=True, name="KERNEL_better")
    return _kernel(name, dtype, window, body, looked + 2, of_windows=True, helpers=helpers)


def _values(dtype: str, window: Window) -> dict[str, object]:
    """Return what stands for the names of the texts."""
    values: dict[str, object] = {
        "element": ELEMENT[dtype],
        "summed": SUMMED[dtype],
        "wide": WIDENED[dtype],
        "unrolled": max(window.kernel) if window.taps <= MOST_UNROLLED else 1,
    }
    for axis, (place, extent) in enumerate((("y", "height"), ("x", "width"))):
        values |= {
            f"{name}{axis}": getattr(window, name)[axis] for name in ("kernel", "stride", "pad")
        }
        # Without padding, windows lie inside.
        test = f"\n            if ({place} < 0 || {place} >= {extent}) continue;"
        values[f"inside{axis}"] = test if window.pad[axis] else ""
    return values


def _kernel(
    name: str,
    dtype: str,
    window: Window,
    body: str,
    pointers: int,
    *,
    of_windows: bool,
    helpers: str = "",
) -> CudaKernel:
    """Return a kernel with one thread for each window, or for each element of the planes."""
    rows, columns = (pointers + 2, pointers + 3) if of_windows else (pointers, pointers + 1)
    names = ("height", "width", "down", "across", "planes")
    text = filled(
        _WALK,
        rows="down" if of_windows else "height",
        columns="across" if of_windows else "width",
        threads=THREADS,
        body=body,
    )

    text = named(text, {name: pointers + number for number, name in enumerate(names)})

    def launch(words: Sequence[int]) -> Launch:
        total = words[pointers + 4] * words[rows] * words[columns]
        return Launch((blocks_for(total, THREADS), 1, 1), (THREADS, 1, 1))

    key = f"cuda {name} {dtype} {window}"
    return cuda_kernel(key, text, pointers + 5, launch, helpers)
