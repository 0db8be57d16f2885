"""The windows of images as an array of their own in CUDA C, and the adjoint of that.

Words: source, target, C, H, W, OH, OW as on the CPU (`runtime/kernels/patches.py`), then the
extent of the CPU's loop. The geometry of windows is known when a kernel is compiled, so divisions
by it are multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.compiler.cuda.text import (
    COPIED,
    ITEM_BYTES,
    SUMMED,
    THREADS,
    filled,
    named,
    power_of_two,
)
from symgraph.node import Node
from symgraph.runtime.plan import CudaKernel, Launch, blocks_for, cuda_kernel

WORDS = 8
RUN = 8
"""Windows that a thread of im2col to a matrix copies its element of, one after the other."""
MOST_ACROSS = 64
"""Threads side by side along a row of that matrix."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """What is known of windows.

    Attributes:
        kernel: rows and columns of elements.
        stride: from one window to the next.
        pad: rows and columns around the images.
        dilation: from one element to the next.
    """

    kernel: Pair
    stride: Pair
    pad: Pair
    dilation: Pair

    def values(self) -> dict[str, object]:
        """Return what stands for the names of the texts."""
        return {
            f"{name}{axis}": getattr(self, name)[axis]
            for name in ("kernel", "stride", "pad", "dilation")
            for axis in (0, 1)
        }

    def __str__(self) -> str:
        pairs = (self.kernel, self.stride, self.pad, self.dilation)
        return " ".join(f"{first}x{second}" for first, second in pairs)


def geometry_of(node: Node) -> Geometry:
    """Return what a node says of its windows."""
    attrs = node.attrs
    return Geometry(attrs["kernel"], attrs["stride"], attrs["pad"], attrs["dilation"])


_NAMES = {"channels": 2, "height": 3, "width": 4, "down": 5, "across": 6, "tasks": 7}
# One thread for each window of each plane: neighbouring threads write neighbouring elements.
_TO_PLANES = """\
    const Word size = down * across, step = (Word)gridDim.x * $threads;
    for (Word i = (Word)blockIdx.x * $threads + threadIdx.x; i < tasks * size; i += step) {
        Word rest, plane, row, column;
        split(i, across, rest, column);
        split(rest, down, plane, row);
        const $element* source = at<const $element>(a0) + plane * height * width;
        $element* target = at<$element>(a1) + plane * ($kernel0 * $kernel1) * size
            + row * across + column;
        for (int k = 0; k < $kernel0; ++k) {
            const Word y = row * $stride0 - $pad0 + k * $dilation0;
            const bool there = y >= 0 && y < height;
            for (int l = 0; l < $kernel1; ++l) {
                const Word x = column * $stride1 - $pad1 + l * $dilation1;
                *target = there && x >= 0 && x < width ? source[y * width + x] : ($element)0;
                target += size;
            }
        }
    }
"""
# Neighbouring threads write neighbouring elements of a row of the matrix. Each stays in its column,
# so what it reads for one window lies beside what it reads for the next, which saves divisions too.
_TO_MATRIX = """\
    const Word columns = channels * ($kernel0 * $kernel1), windows = tasks * across;
    const Word wide = (columns + blockDim.x - 1) / blockDim.x;
    const Word runs = (windows + $run - 1) / $run, high = (runs + blockDim.y - 1) / blockDim.y;
    for (Word block = blockIdx.x; block < wide * high; block += gridDim.x) {
        Word number, part, line, image, row, column;
        split(block, wide, number, part);
        const Word entry = part * blockDim.x + threadIdx.x;
        Word window = (number * blockDim.y + threadIdx.y) * $run;
        if (entry >= columns || window >= windows) continue;
        const Word end = min(window + $run, windows);
        split(window, across, line, column);
        split(line, down, image, row);
        Word channel, tap;
        split(entry, $kernel0 * $kernel1, channel, tap);
        const int k = (int)tap / $kernel1, l = (int)tap % $kernel1;
        for (; window < end; ++window) {
            const Word y = row * $stride0 - $pad0 + k * $dilation0;
            const Word x = column * $stride1 - $pad1 + l * $dilation1;
            const bool there = y >= 0 && y < height && x >= 0 && x < width;
            const Word place = ((image * channels + channel) * height + y) * width + x;
            at<$element>(a1)[window * columns + entry] =
                there ? at<const $element>(a0)[place] : ($element)0;
            if (++column < across) continue;
            column = 0;
            if (++row < down) continue;
            row = 0;
            ++image;
        }
    }
"""
# One thread for each element of the images adds what windows hold of it.
_FROM = """\
    const Word size = height * width, step = (Word)gridDim.x * $threads;
    for (Word i = (Word)blockIdx.x * $threads + threadIdx.x; i < tasks * size; i += step) {
        Word rest, plane, y, x;
        split(i, width, rest, x);
        split(rest, height, plane, y);
        y += $pad0;
        x += $pad1;
        $summed sum = 0;
$walk
        at<$summed>(a1)[i] = sum;
    }
"""
# By elements of windows, as these lie in planes of their own, then by windows.
_FROM_PLANES = """\
        const $summed* source = at<const $summed>(a0)
            + plane * ($kernel0 * $kernel1) * down * across;
        for (int k = 0; k < $kernel0; ++k) {
            const Word top = y - k * $dilation0, row = top / $stride0;
            if (top < 0 || top % $stride0 != 0 || row >= down) continue;
            for (int l = 0; l < $kernel1; ++l) {
                const Word left = x - l * $dilation1, column = left / $stride1;
                if (left < 0 || left % $stride1 != 0 || column >= across) continue;
                sum += source[((k * $kernel1 + l) * down + row) * across + column];
            }
        }"""
# By windows in their order: the later the element of a window lies, the earlier is the window.
_FROM_MATRIX = """\
        Word image, channel;
        split(plane, channels, image, channel);
        const $summed* source = at<const $summed>(a0) + channel * ($kernel0 * $kernel1);
        for (int k = $kernel0 - 1; k >= 0; --k) {
            const Word top = y - k * $dilation0, row = top / $stride0;
            if (top < 0 || top % $stride0 != 0 || row >= down) continue;
            for (int l = $kernel1 - 1; l >= 0; --l) {
                const Word left = x - l * $dilation1, column = left / $stride1;
                if (left < 0 || left % $stride1 != 0 || column >= across) continue;
                const Word window = (image * down + row) * across + column;
                sum += source[window * channels * ($kernel0 * $kernel1) + k * $kernel1 + l];
            }
        }"""


def im2col_kernel(dtype: str, geometry: Geometry, *, to_matrix: bool) -> CudaKernel:
    """Return the kernel that writes every window, padding as zeros.

    Args:
        dtype: dtype of both arrays.
        geometry: the windows.
        to_matrix: whether windows lie as (n, i, j, c, k, l), or as (n, c, k, l, i, j).
    """
    size, taps = ITEM_BYTES[dtype], geometry.kernel[0] * geometry.kernel[1]
    text = filled(
        named(_TO_MATRIX if to_matrix else _TO_PLANES, _NAMES),
        **geometry.values(),
        element=COPIED[size],
        threads=THREADS,
        run=RUN,
    )

    def launch(words: Sequence[int]) -> Launch:
        if not to_matrix:
            return _launch_each(words[7] * words[5] * words[6])
        columns, windows = words[2] * taps, words[7] * words[6]
        across = power_of_two(columns, MOST_ACROSS)
        down = THREADS // across
        blocks = -(-columns // across) * -(-windows // (down * RUN))
        return Launch((blocks_for(blocks, 1), 1, 1), (across, down, 1))

    key = f"cuda im2col {size} {'matrix' if to_matrix else 'planes'} {geometry}"
    return cuda_kernel(key, text, WORDS, launch)


def col2im_kernel(dtype: str, geometry: Geometry, *, to_matrix: bool) -> CudaKernel:
    """Return the kernel that adds every window where it lies. All else is as above."""
    values = geometry.values() | {"summed": SUMMED[dtype], "threads": THREADS}
    walk = filled(_FROM_MATRIX if to_matrix else _FROM_PLANES, **values)
    text = named(filled(_FROM, **values, walk=walk), _NAMES)

    def launch(words: Sequence[int]) -> Launch:
        return _launch_each(words[7] * words[3] * words[4])

    key = f"cuda col2im {dtype} {'matrix' if to_matrix else 'planes'} {geometry}"
    return cuda_kernel(key, text, WORDS, launch)


def _launch_each(elements: int) -> Launch:
    return Launch((blocks_for(elements, THREADS), 1, 1), (THREADS, 1, 1))
