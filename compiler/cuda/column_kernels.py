"""Kernels around the matrix products of convolutions: columns from images, images from columns.

Their argument words are those of `Tile.kernel_words`: source, target, images, channels, height,
width, rows, columns, tall, wide, leading, step, total.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.cuda.matmul_kernel import ELEMENT
from symgraph.compiler.cuda.window_text import (
    Window,
    declare,
    element_types,
    grid_stride,
    window_of,
)
from symgraph.dims import Extent
from symgraph.runtime.plan import CudaKernel, Launch, blocks_for, cuda_kernel

THREADS = 256
WARPS = THREADS // 32
_WORDS = 13
_FIRST_EXTENT = 4


def _by_column(words: Sequence[int]) -> Launch:
    return Launch((blocks_for(words[3] * words[12], THREADS), 1, 1), (THREADS, 1, 1))


def _by_pixel(words: Sequence[int]) -> Launch:
    pixels = words[2] * words[3] * words[4] * words[5]
    return Launch((blocks_for(pixels, THREADS), 1, 1), (THREADS, 1, 1))


def _head(dtype: str, window: Window, channels: Extent) -> str:
    return f"""\
{element_types(dtype)}
    typedef {window.place} Place;
    const T* source = at<const T>(a0);
    T* target = at<T>(a1);
    const Word images = a2, leading = a10, step = a11, total = a12;
{declare("Word", {"channels": channels}, 3)}
{window.declarations(_FIRST_EXTENT)}
"""


def columns_kernel(dtype: str, window: Window, channels: Extent) -> CudaKernel:
    """Return the kernel that writes what windows hold, a row for each channel and tap.

    A thread writes all taps of one channel in one window. Columns behind the last image are 0.

    Args:
        dtype: of the elements.
        window: how windows lie.
        channels: of an image.
    """
    (stride_0, stride_1), (pad_0, pad_1) = window.stride, window.pad
    dilation_0, dilation_1 = window.dilation
    body = f"""\
{_head(dtype, window, channels)}
    const Word positions = (Word)rows * columns, taps = (Word)tall * wide;
    {grid_stride("channels * total", THREADS)} {{
        Word channel, column, image, position, row, place;
        split(task, total, channel, column);
        split(column, positions, image, position);
        split(position, columns, row, place);
        T* out = target + channel * taps * leading + image * step + position;
        const bool there = image < images;
        const T* plane = source + (image * channels + channel) * ((Word)height * width);
        const Place top = (Place)row * {stride_0} - {pad_0};
        const Place left = (Place)place * {stride_1} - {pad_1};
        {window.unroll}
        for (Place i = 0; i < tall; ++i) {{
            const Place y = top + i * {dilation_0};
            const bool inside = there && y >= 0 && y < height;
            {window.unroll}
            for (Place j = 0; j < wide; ++j) {{
                const Place x = left + j * {dilation_1};
                *out = inside && x >= 0 && x < width ? plane[(Word)y * width + x] : (T)0;
                out += leading;
            }}
        }}
    }}
"""
    text = f"cuda columns {dtype} channels={_known(channels)} {window.text()}"
    return cuda_kernel(text, body, _WORDS, _by_column)


def images_kernel(dtype: str, window: Window, channels: Extent) -> CudaKernel:
    """Return the kernel that adds up columns where they lie in images.

    A thread gathers all that falls on one element, in the order of the taps.

    Args:
        dtype: of the elements.
        window: how windows lie.
        channels: of an image.
    """
    rows = "\n            ".join(window_of(0, window, "rows", "i"))
    places = "\n                ".join(window_of(1, window, "columns", "j"))
    body = f"""\
{_head(dtype, window, channels)}
    const Word pixels = (Word)height * width, taps = (Word)tall * wide;
    {grid_stride("images * channels * pixels", THREADS)} {{
        Word plane, pixel, image, channel, y, x;
        split(task, pixels, plane, pixel);
        split(plane, channels, image, channel);
        split(pixel, width, y, x);
        const Place from_0 = (Place)y, from_1 = (Place)x;
        const T* from = source + channel * taps * leading + image * step;
        S sum = 0;
        {window.unroll}
        for (Place i = 0; i < tall; ++i) {{
            {rows}
            {window.unroll}
            for (Place j = 0; j < wide; ++j) {{
                {places}
                if (fits_0 && fits_1)
                    sum += from[((Word)i * wide + j) * leading + (Word)to_0 * columns + to_1];
            }}
        }}
        target[task] = sum;
    }}
"""
    text = f"cuda images from columns {dtype} channels={_known(channels)} {window.text()}"
    return cuda_kernel(text, body, _WORDS, _by_pixel)


def _rearranged(dtype: str, name: str, statement: str) -> CudaKernel:
    """Return a kernel over the elements of merged images, which lie at `merged` and at `apart`."""
    body = f"""\
    typedef {ELEMENT[dtype]} T;
    const T* source = at<const T>(a0);
    T* target = at<T>(a1);
    const Word images = a2, channels = a3, positions = a6 * a7, leading = a10, total = a12;
    {grid_stride("channels * total", THREADS)} {{
        Word channel, column, image, position;
        split(task, total, channel, column);
        split(column, positions, image, position);
        const Word merged = channel * leading + column;
        const Word apart = (image * channels + channel) * positions + position;
        {statement}
    }}
"""
    return cuda_kernel(f"cuda {name} {dtype}", body, _WORDS, _by_column)


def merging_kernel(dtype: str) -> CudaKernel:
    """Return the kernel that writes images (N, C, P) as (C, N P), and zeros behind the last one."""
    statement = "target[merged] = image < images ? source[apart] : (T)0;"
    return _rearranged(dtype, "images merged", statement)


def parting_kernel(dtype: str) -> CudaKernel:
    """Return the kernel that writes (C, N P) as images (N, C, P)."""
    return _rearranged(dtype, "images apart", "if (image < images) target[apart] = source[merged];")


def sum_of_parts_kernel(dtype: str) -> CudaKernel:
    """Return the kernel that adds arrays which lie one behind another.

    A block has 32 elements and a warp for each residue of parts modulo `WARPS`; the order of the
    additions is always the same, those of float32 are done in float64. Its argument words are
    source, target, the elements of one array, and how many arrays there are.
    """
    total = {"float32": "double", "float64": "double", "int32": "unsigned"}.get(
        dtype, "unsigned long long"
    )
    body = f"""\
    typedef {ELEMENT[dtype]} T;
    typedef {total} Total;
    __shared__ Total shared[{WARPS}][32];
    const T* source = at<const T>(a0);
    T* target = at<T>(a1);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (Word start = (Word)blockIdx.x * 32; start < a2; start += (Word)gridDim.x * 32) {{
        const Word element = start + lane;
        Total sum = 0;
        if (element < a2) {{
            #pragma unroll 8
            for (Word part = warp; part < a3; part += {WARPS})
                sum += source[part * a2 + element];
        }}
        shared[warp][lane] = sum;
        __syncthreads();
        if (warp == 0 && element < a2) {{
            #pragma unroll
            for (int other = 1; other < {WARPS}; ++other)
                sum += shared[other][lane];
            target[element] = (T)sum;
        }}
        __syncthreads();
    }}
"""

    def launch(words: Sequence[int]) -> Launch:
        return Launch((blocks_for(words[2], 32), 1, 1), (THREADS, 1, 1))

    return cuda_kernel(f"cuda sum of parts {dtype}", body, 4, launch)


def _known(extent: Extent) -> str:
    return str(extent) if isinstance(extent, int) else "?"
