"""A matrix product of our own: for integers, and for floats that cuBLAS cannot read as they lie."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.runtime.plan import CudaKernel, Launch, blocks_for, cuda_kernel

TILE, DEPTH, THREADS = 64, 16, 256
WORDS = (
    "left", "right", "result", "rows", "columns", "depth", "count",
    "left_row", "left_column", "right_row", "right_column", "result_row",
    "left_step", "right_step", "result_step",
)  # fmt: skip
"""The argument words of a matrix product: addresses, extents, and strides in elements."""

ELEMENT = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long"}
"""The types of C."""
SUMMED = {**ELEMENT, "int32": "unsigned", "int64": "unsigned long long"}
"""The types that are added up: integers wrap, which signed ones may not."""


def multiply_add(dtype: str) -> str:
    """Return a format of `first * second + sum`, rounded once."""
    fused = {"float32": "fmaf", "float64": "fma"}.get(dtype)
    return f"{fused}({{}}, {{}}, {{}})" if fused else "{} * {} + {}"


# Each element is one chain of multiplications and additions in ascending order of the depth. A
# thread has four rows and four columns of the tile, TILE / 4 apart, so that a warp reads shared
# memory without conflicts. What is loaded is spread over threads along the axis that lies dense.
_BODY = """\
    typedef {summed} S;
    __shared__ S first[{depth}][{tile} + 1];
    __shared__ S second[{depth}][{tile} + 1];
    const Word rows = a3, columns = a4, depth = a5;
    const Word down = (rows + {tile} - 1) / {tile}, across = (columns + {tile} - 1) / {tile};
    const int thread = threadIdx.x, own_row = thread / 16, own_column = thread % 16;
    for (Word block = blockIdx.x; block < down * across * a6; block += gridDim.x) {{
        Word rest, number, tile_row, tile_column;
        split(block, across, rest, tile_column);
        split(rest, down, number, tile_row);
        tile_row *= {tile};
        tile_column *= {tile};
        const S* left = at<const S>(a0) + number * a12;
        const S* right = at<const S>(a1) + number * a13;
        S sum[4][4] = {{}};
        for (Word start = 0; start < depth; start += {depth}) {{
            #pragma unroll
            for (int part = 0; part < 4; ++part) {{
                const int element = part * {threads} + thread;
                const int row = a8 == 1 ? element / {depth} : element % {tile};
                const int k = a8 == 1 ? element % {depth} : element / {tile};
                const bool there = tile_row + row < rows && start + k < depth;
                first[k][row] =
                    there ? left[(tile_row + row) * a7 + (start + k) * a8] : (S)0;
            }}
            #pragma unroll
            for (int part = 0; part < 4; ++part) {{
                const int element = part * {threads} + thread;
                const int column = a10 == 1 ? element % {tile} : element / {depth};
                const int k = a10 == 1 ? element / {tile} : element % {depth};
                const bool there = tile_column + column < columns && start + k < depth;
                second[k][column] =
                    there ? right[(start + k) * a9 + (tile_column + column) * a10] : (S)0;
            }}
            __syncthreads();
            const int most = (int)(depth - start < {depth} ? depth - start : {depth});
            for (int k = 0; k < most; ++k) {{
                S x[4], y[4];
                #pragma unroll
                for (int i = 0; i < 4; ++i) {{
                    x[i] = first[k][own_row + i * 16];
                    y[i] = second[k][own_column + i * 16];
                }}
                #pragma unroll
                for (int i = 0; i < 4; ++i) {{
                    #pragma unroll
                    for (int j = 0; j < 4; ++j)
                        sum[i][j] = {multiply_add};
                }}
            }}
            __syncthreads();
        }}
        S* result = at<S>(a2) + number * a14;
        #pragma unroll
        for (int i = 0; i < 4; ++i) {{
            #pragma unroll
            for (int j = 0; j < 4; ++j) {{
                const Word row = tile_row + own_row + i * 16;
                const Word column = tile_column + own_column + j * 16;
                if (row < rows && column < columns)
                    result[row * a11 + column] = sum[i][j];
            }}
        }}
    }}
"""


def _launch(words: Sequence[int]) -> Launch:
    rows, columns, count = words[3], words[4], words[6]
    tiles = -(-rows // TILE) * -(-columns // TILE) * count
    return Launch((blocks_for(tiles, 1), 1, 1), (THREADS, 1, 1))


def matmul_kernel(dtype: str) -> CudaKernel:
    """Return the kernel of products of stacks of matrices with any strides.

    Its argument words are `WORDS`; a depth of 0 gives zeros.

    Args:
        dtype: of all three matrices; a bool is none.
    """
    body = _BODY.format(
        summed=SUMMED[dtype],
        tile=TILE,
        depth=DEPTH,
        threads=THREADS,
        multiply_add=multiply_add(dtype).format("x[i]", "y[j]", "sum[i][j]"),
    )
    return cuda_kernel(f"cuda matmul {dtype}", body, len(WORDS), _launch)
