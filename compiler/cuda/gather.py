"""Gather in CUDA C: rows of an array at indices.

Words, with k indices: those of the CPU's kernel (`runtime/kernels/gather.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.cuda.text import COPIED, ELEMENT, ITEM_BYTES, THREADS, filled, power_of_two
from symgraph.runtime.plan import CudaKernel, Launch, blocks_for, cuda_kernel

WARP = 32
COLUMN_STEPS = 4
"""Loads that each thread has under way at once."""
MOST_BLOCKS_ACROSS = 65535

_FIND = """\
// Gives the row that index tuple `number` selects, or -1 if there is none.
__device__ __forceinline__ Word KERNEL_find(Word number, $parameters)
{
    Word row = 0;
    bool valid = true;
$steps
    return valid ? row : -1;
}
"""
_FIND_STEP = """\
    {
        Word index = at<const $element>(index$number)[number];
        if (index < 0) index += extent$number;
        valid = valid && index >= 0 && index < extent$number;
        row = valid ? row * extent$number + index : 0;
    }"""


def find_row(index_dtypes: tuple[str, ...]) -> tuple[str, str]:
    """Return the function that finds rows, and the arguments that follow the number in its calls.

    Args:
        index_dtypes: dtypes of the index arrays, each "int32" or "int64".
    """
    count = len(index_dtypes)
    parameters = ", ".join(f"Word index{i}, Word extent{i}" for i in range(count))
    steps = "\n".join(
        filled(_FIND_STEP, element=ELEMENT[dtype], number=number)
        for number, dtype in enumerate(index_dtypes)
    )
    words = ", ".join(f"a{2 + i}, a{3 + count + i}" for i in range(count))
    return filled(_FIND, parameters=parameters, steps=steps), words


# One block has some rows, of each of which a run of neighbouring threads takes neighbouring packs,
# so that a warp reads and writes whole cache lines. Its loads wait only for the index.
_COPY = """\
template <typename T>
__device__ __forceinline__ void KERNEL_copy(
    Word source, Word target, Word from, Word to, Word width)
{
    const T* __restrict__ read = at<const T>(source) + (from < 0 ? 0 : from * width);
    T* __restrict__ write = at<T>(target) + to * width;
    const Word step = (Word)gridDim.y * blockDim.x;
    const T nothing = {};
    #pragma unroll $steps
    for (Word column = (Word)blockIdx.y * blockDim.x + threadIdx.x; column < width; column += step)
        write[column] = from < 0 ? nothing : read[column];
}
"""
_BODY = """\
    const Word count = a$count, row_bytes = a$width * (Word)sizeof($element);
    const bool packed = ((a0 | a1 | row_bytes) & 15) == 0;
    const Word first = (Word)blockIdx.x * blockDim.y + threadIdx.y;
    for (Word number = first; number < count; number += (Word)gridDim.x * blockDim.y) {
        const Word row = KERNEL_find(number, $words);
        if (row < 0) report(a$status, a$code);
        if (packed)
            KERNEL_copy<Pack<unsigned, 4>>(a0, a1, row, number, row_bytes / 16);
        else
            KERNEL_copy<$element>(a0, a1, row, number, a$width);
    }
"""


def gather_kernel(dtype: str, index_dtypes: tuple[str, ...]) -> CudaKernel:
    """Return the kernel of out[n, :r] = x[i1[n], ..., ik[n], :r].

    Negative indices count from the end; one out of range gives zeros and reports.

    Args:
        dtype: dtype of x and out.
        index_dtypes: dtypes of the index arrays, each "int32" or "int64".
    """
    size, many = ITEM_BYTES[dtype], len(index_dtypes)
    finder, words = find_row(index_dtypes)
    body = filled(
        _BODY,
        element=COPIED[size],
        words=words,
        count=2 + many,
        width=3 + 2 * many,
        status=4 + 2 * many,
        code=5 + 2 * many,
    )

    def launch(words: Sequence[int]) -> Launch:
        return _launch(words[2 + many], words[3 + 2 * many] * size)

    key = f"cuda gather {size} {','.join(index_dtypes)}"
    helpers = finder + filled(_COPY, steps=COLUMN_STEPS)
    return cuda_kernel(key, body, 6 + 2 * many, launch, helpers)


def _launch(count: int, row_bytes: int) -> Launch:
    """Return a launch; addresses, on which it depends whether packs fit, do not change it."""
    pack = 16 if row_bytes % 16 == 0 else 4
    packs = -(-row_bytes // pack)
    across = power_of_two(packs, WARP)
    down = THREADS // across
    columns = min(max(-(-packs // (across * COLUMN_STEPS)), 1), MOST_BLOCKS_ACROSS)
    return Launch((blocks_for(count, down), columns, 1), (across, down, 1))
