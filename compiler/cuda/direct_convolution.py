"""Convolutions without columns and products: for integers, and for few filters in a group.

Where a group has few filters, depthwise convolutions above all, a product would have few rows and
its columns would be most of the work. Here each thread reads the windows straight from the images,
once for several channels of the result. Sums are chains of fused multiplications and additions in
the order of channels and taps.

Argument words: weight, images, outputs, batch, groups, inputs, filters, height, width, rows,
columns, tall, wide; see `ConvolutionWords`. The gradient of the weight has two more: where the
parts of its sum go, and how many of them there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.cuda.matmul_kernel import multiply_add
from symgraph.compiler.cuda.window_text import (
    MOST_UNROLLED,
    Window,
    declare,
    element_types,
    grid_stride,
    window_of,
)
from symgraph.dims import Extent
from symgraph.runtime.plan import CudaKernel, Launch, blocks_for, cuda_kernel

THREADS = 256
_WARPS = THREADS // 32
MOST_CHANNELS = 8
"""Channels of the result for which one thread computes the same position."""
LEAST_POSITIONS = 2048
"""Positions of one part of a weight's gradient at least."""
_WORDS = 13
_EXTENTS = 7


def _head(dtype: str, window: Window, inputs: Extent, filters: Extent) -> str:
    return f"""\
{element_types(dtype)}
    typedef {window.place} Place;
    const Word batch = a3, groups = a4;
{declare("Word", {"inputs": inputs, "filters": filters}, 5)}
{window.declarations(_EXTENTS)}
    const Word positions = (Word)rows * columns, pixels = (Word)height * width;
    const Word taps = (Word)tall * wide;
"""


def _together(channels: Extent) -> int:
    """Return how many channels of the result a thread computes."""
    if not isinstance(channels, int):
        return MOST_CHANNELS // 2
    return max(1, min(channels, MOST_CHANNELS))


def _launch(words: Sequence[int], channels: int, together: int, places: int) -> Launch:
    """Return a grid with a thread for each place and block of channels."""
    tasks = words[3] * words[4] * -(-channels // together) * places
    return Launch((blocks_for(tasks, THREADS), 1, 1), (THREADS, 1, 1))


def _text(name: str, dtype: str, window: Window, inputs: Extent, filters: Extent) -> str:
    known = ", ".join(str(e) if isinstance(e, int) else "?" for e in (inputs, filters))
    return f"cuda direct {name} {dtype} channels=({known}) {window.text()}"


def _decompose(channels: str, places: str, together: int) -> str:
    """Return statements that find the place, first channel, group and image of a task."""
    return f"""\
        Word rest, place, block, plane, image, group;
        split(task, {places}, rest, place);
        split(rest, ({channels} + {together - 1}) / {together}, plane, block);
        split(plane, groups, image, group);
        const Word first = block * {together};"""


def _add_and_store(dtype: str, together: int, channels: Extent, step: str) -> tuple[str, str]:
    """Return statements that add one product to each channel's sum, and that store the sums.

    Args:
        dtype: of the elements.
        together: how many sums there are.
        channels: how many channels a group of the result has.
        step: weights from one of these channels to the next.
    """
    name = "inputs" if step == "taps" else "filters"
    whole = isinstance(channels, int) and channels % together == 0
    guard = "" if whole else f"if (first + c < {name}) "
    product = multiply_add(dtype).format(f"factor[c * {step}]", "value", "sum[c]")
    add = f"""\
#pragma unroll
                for (int c = 0; c < {together}; ++c)
                    {guard}sum[c] = {product};"""
    store = f"""\
#pragma unroll
        for (int c = 0; c < {together}; ++c)
            {guard}target[c * places] = sum[c];"""
    return add, store


def direct_convolution_kernel(
    dtype: str, window: Window, inputs: Extent, filters: Extent
) -> CudaKernel:
    """Return the kernel of a convolution.

    Args:
        dtype: of all arrays.
        window: how windows lie.
        inputs: channels of the images in a group.
        filters: channels of the outputs in a group.
    """
    together = _together(filters)
    add, store = _add_and_store(dtype, together, filters, "each")
    (stride_0, stride_1), (pad_0, pad_1) = window.stride, window.pad
    dilation_0, dilation_1 = window.dilation
    body = f"""\
{_head(dtype, window, inputs, filters)}
    const Word places = positions, each = inputs * taps;
    const Word tasks = batch * groups * ((filters + {together - 1}) / {together}) * places;
    {grid_stride("tasks", THREADS)} {{
{_decompose("filters", "places", together)}
        Word row, column;
        split(place, columns, row, column);
        const Place top = (Place)row * {stride_0} - {pad_0};
        const Place left = (Place)column * {stride_1} - {pad_1};
        S sum[{together}] = {{}};
        for (Word channel = 0; channel < inputs; ++channel) {{
            const S* source = at<const S>(a1) + (plane * inputs + channel) * pixels;
            const S* factors = at<const S>(a0) + (group * filters + first) * each + channel * taps;
            {window.unroll}
            for (Place i = 0; i < tall; ++i) {{
                const Place y = top + i * {dilation_0};
                const bool inside = y >= 0 && y < height;
                {window.unroll}
                for (Place j = 0; j < wide; ++j) {{
                const Place x = left + j * {dilation_1};
                const bool there = inside && x >= 0 && x < width;
                const S value = there ? source[(Word)y * width + x] : (S)0;
                const S* factor = factors + (Word)i * wide + j;
                {add}
                }}
            }}
        }}
        S* target = at<S>(a2) + (plane * filters + first) * places + place;
        {store}
    }}
"""

    def launch(words: Sequence[int]) -> Launch:
        return _launch(words, words[6], together, words[9] * words[10])

    text = _text("convolution", dtype, window, inputs, filters)
    return cuda_kernel(text, body, _WORDS, launch)


def direct_transpose_kernel(
    dtype: str, window: Window, inputs: Extent, filters: Extent
) -> CudaKernel:
    """Return the kernel of a transposed convolution; arguments as for the convolution itself."""
    together = _together(inputs)
    add, store = _add_and_store(dtype, together, inputs, "taps")
    rows = "\n                ".join(window_of(0, window, "rows", "i"))
    columns = "\n                ".join(window_of(1, window, "columns", "j"))
    body = f"""\
{_head(dtype, window, inputs, filters)}
    const Word places = pixels;
    const Word tasks = batch * groups * ((inputs + {together - 1}) / {together}) * places;
    {grid_stride("tasks", THREADS)} {{
{_decompose("inputs", "places", together)}
        Word y, x;
        split(place, width, y, x);
        const Place from_0 = (Place)y, from_1 = (Place)x;
        S sum[{together}] = {{}};
        for (Word filter = 0; filter < filters; ++filter) {{
            const S* source = at<const S>(a2) + (plane * filters + filter) * positions;
            const S* factors =
                at<const S>(a0) + ((group * filters + filter) * inputs + first) * taps;
            {window.unroll}
            for (Place i = 0; i < tall; ++i) {{
                {rows}
                if (!fits_0) continue;
                {window.unroll}
                for (Place j = 0; j < wide; ++j) {{
                {columns}
                if (!fits_1) continue;
                const S value = source[(Word)to_0 * columns + to_1];
                const S* factor = factors + (Word)i * wide + j;
                {add}
                }}
            }}
        }}
        S* target = at<S>(a1) + (plane * inputs + first) * places + place;
        {store}
    }}
"""

    def launch(words: Sequence[int]) -> Launch:
        return _launch(words, words[5], together, words[7] * words[8])

    return cuda_kernel(_text("transpose", dtype, window, inputs, filters), body, _WORDS, launch)


def taps_together(window: Window) -> int:
    """Return for how many taps a block of the weight's gradient collects sums: all, or one."""
    tall, wide = window.kernel
    if isinstance(tall, int) and isinstance(wide, int) and 0 < tall * wide <= MOST_UNROLLED // 2:
        return tall * wide
    return 1


def _weight_body(dtype: str, window: Window) -> str:
    """Return what follows the declarations of the kernel below."""
    together = taps_together(window)
    total = {"float32": "double", "float64": "double"}.get(dtype, "S")
    (stride_0, stride_1), (pad_0, pad_1) = window.stride, window.pad
    dilation_0, dilation_1 = window.dilation
    product = multiply_add(dtype).format("value", "element", "sum[t]")
    return f"""\
    typedef {total} Total;
    __shared__ Total shared[{_WARPS}];
    const Word parts = a14, blocks = taps / {together}, all = batch * positions;
    const Word size = groups * filters * inputs * taps;
    const Word length = (all + parts - 1) / parts;
    for (Word task = blockIdx.x; task < parts * groups * filters * inputs * blocks;
         task += gridDim.x) {{
        Word rest, first, part, pair, filter, input;
        split(task, blocks, rest, first);
        split(rest, groups * filters * inputs, part, pair);
        split(pair, inputs, filter, input);
        const Word channel = filter / filters * inputs + input;
        const Word end = (part + 1) * length < all ? (part + 1) * length : all;
        S sum[{together}] = {{}};
        for (Word place = part * length + threadIdx.x; place < end; place += {THREADS}) {{
            Word image, position, row, column;
            split(place, positions, image, position);
            split(position, columns, row, column);
            const Word plane = image * groups * filters + filter;
            const S value = at<const S>(a2)[plane * positions + position];
            const S* source = at<const S>(a1) + (image * groups * inputs + channel) * pixels;
            #pragma unroll
            for (int t = 0; t < {together}; ++t) {{
                const Place tap = (Place)first * {together} + t;
                const Place y = (Place)row * {stride_0} - {pad_0} + tap / wide * {dilation_0};
                const Place x = (Place)column * {stride_1} - {pad_1} + tap % wide * {dilation_1};
                const bool there = y >= 0 && y < height && x >= 0 && x < width;
                const S element = there ? source[(Word)y * width + x] : (S)0;
                sum[t] = {product};
            }}
        }}
        #pragma unroll
        for (int t = 0; t < {together}; ++t) {{
            Total own = (Total)sum[t];
            for (int lanes = 16; lanes > 0; lanes /= 2)
                own += __shfl_xor_sync(0xffffffffu, own, lanes);
            if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = own;
            __syncthreads();
            if (threadIdx.x == 0) {{
                for (int warp = 1; warp < {_WARPS}; ++warp)
                    own += shared[warp];
                at<S>(a13)[part * size + pair * taps + first * {together} + t] = (S)own;
            }}
            __syncthreads();
        }}
    }}
"""


def direct_weight_kernel(dtype: str, window: Window, inputs: Extent, filters: Extent) -> CudaKernel:
    """Return the kernel of the parts of a weight's gradient; arguments as for the convolution.

    A block sums over the positions of one part, for one filter and channel. Each thread takes every
    256th position; the threads' sums are added in a fixed order, those of float32 in float64.
    """
    together = taps_together(window)

    def launch(words: Sequence[int]) -> Launch:
        weights = words[4] * words[5] * words[6] * (words[11] * words[12] // together)
        return Launch((blocks_for(weights * words[14], 1), 1, 1), (THREADS, 1, 1))

    text = _text("weight", dtype, window, inputs, filters)
    body = _head(dtype, window, inputs, filters) + _weight_body(dtype, window)
    return cuda_kernel(text, body, _WORDS + 2, launch)
