"""Sums at indices in CUDA C: the adjoint of gather, and the gradient of an embedding.

Words, with k indices: those of the CPU's kernel (`runtime/kernels/gather.py`), then the rows of one
tile, and the number of tiles that lie below each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.cuda.gather import find_row
from symgraph.compiler.cuda.text import ITEM_BYTES, SUMMED, THREADS, filled, power_of_two
from symgraph.dims import Extent, floor_divide, maximum
from symgraph.runtime.plan import CudaKernel, Launch, blocks_for, cuda_kernel

TILES = 512
"""Tiles of the result: some four blocks for each processor of a large device, all at work at once.

Each reads all indices, nearly always from the cache, so more would cost more than they gain.
"""
MOST_COLUMNS = 16
"""Columns of a tile: as few as fill the pieces in which memory is read. A row that many indices
select is summed in one chain for each column, so it is the columns that keep processors busy.
"""
PENDING, ROUND = 2048, 1024
"""Indices that a block has found and not yet summed, at most, and those looked at in one go."""
STAGED_BYTES = 8192
"""What a block reads at once of the rows to be added."""


def tile_columns(row: Extent) -> int:
    """Return how many columns a tile has, for rows of so many elements."""
    return power_of_two(row, MOST_COLUMNS) if isinstance(row, int) else MOST_COLUMNS


def tile_rows(targets: Extent, row: Extent) -> tuple[Extent, Extent]:
    """Return how many rows a tile has, and how many tiles lie below each other.

    Args:
        targets: rows of the result.
        row: elements of each.
    """
    columns = tile_columns(row)
    across = floor_divide(row + (columns - 1), columns)
    # One tile at least looks at the indices, also of a result that is empty.
    height = maximum(floor_divide(targets * across + (TILES - 1), TILES), 1)
    return height, maximum(floor_divide(targets + height - 1, height), 1)


# A tile belongs to one block, so nobody else adds to it. The block looks through the indices, all
# threads at once, and notes those that select its rows, in whatever order threads come. Sorting the
# notes by row, then by number, makes the order of all sums that of the indices. `1 << 36` indices
# would fill any memory, as would tiles of `1 << 27` rows.
_NOTES = """\
typedef unsigned long long KERNEL_note;

// Sorts the first `count` notes; behind them there is room up to the next power of two.
__device__ __forceinline__ void KERNEL_sort(KERNEL_note* notes, int count)
{
    int padded = 1;
    while (padded < count) padded *= 2;
    for (int i = count + threadIdx.x; i < padded; i += $threads) notes[i] = ~0ULL;
    __syncthreads();
    for (int run = 2; run <= padded; run *= 2) {
        for (int step = run / 2; step > 0; step /= 2) {
            for (int pair = threadIdx.x; pair < padded / 2; pair += $threads) {
                const int low = pair / step * step * 2 + pair % step, high = low + step;
                const KERNEL_note first = notes[low], second = notes[high];
                if ((first > second) == ((low & run) == 0)) {
                    notes[low] = second;
                    notes[high] = first;
                }
            }
            __syncthreads();
        }
    }
}
"""
# A run of threads takes the columns of one row; it adds all that the batch holds for that row.
_SUM = """\
// Gives where the notes of one row end.
__device__ __forceinline__ int KERNEL_end(const KERNEL_note* notes, int first, int size)
{
    const KERNEL_note row = notes[first] >> 36;
    int end = first + 1;
    if (end == size || notes[end] >> 36 != row) return end;
    while (end < size) {
        const int middle = (end + size) / 2;
        if (notes[middle] >> 36 == row) end = middle + 1;
        else size = middle;
    }
    return end;
}

// Adds the rows that the sorted notes name to the tile, a batch at a time.
__device__ __forceinline__ void KERNEL_sum(
    const KERNEL_note* notes, int count, const $summed* updates, $summed* tile, Word width,
    int present)
{
    __shared__ $summed staged[$batch * $columns];
    const Word numbers = (1LL << 36) - 1;
    const int lane = threadIdx.x % $columns, group = threadIdx.x / $columns;
    for (int start = 0; start < count; start += $batch) {
        const int size = min(count - start, $batch);
        #pragma unroll 8
        for (int entry = group; entry < size; entry += $threads / $columns)
            if (lane < present)
                staged[entry * $columns + lane] =
                    updates[(Word)(notes[start + entry] & numbers) * width + lane];
        __syncthreads();
        for (int entry = group; entry < size; entry += $threads / $columns) {
            const KERNEL_note row = notes[start + entry] >> 36;
            const bool leads = entry == 0 || notes[start + entry - 1] >> 36 != row;
            if (!leads || lane >= present) continue;
            $summed* target = tile + (Word)row * width + lane;
            const int end = KERNEL_end(notes + start, entry, size);
            $summed sum = *target;
            #pragma unroll 8
            for (int i = entry; i < end; ++i) sum += staged[i * $columns + lane];
            *target = sum;
        }
        __syncthreads();
    }
}
"""
_CLEAR = """\
// Sets a tile to zero. Where it has whole rows, these are one dense run.
__device__ __forceinline__ void KERNEL_clear($summed* tile, Word height, Word width, int present)
{
    if (present == width) {
        for (Word i = threadIdx.x; i < height * width; i += $threads) tile[i] = 0;
        return;
    }
    const int lane = threadIdx.x % $columns;
    for (Word row = threadIdx.x / $columns; row < height; row += $threads / $columns)
        if (lane < present) tile[row * width + lane] = 0;
}
"""
_BODY = """\
    __shared__ KERNEL_note notes[$pending];
    __shared__ int found;
    const Word count = a$count, width = a$width, height = a$height, down = a$down;
    const Word targets = $targets, across = (width + $columns - 1) / $columns;
    for (Word tile = blockIdx.x; tile < down * across; tile += gridDim.x) {
        Word place, column;
        split(tile, across, place, column);
        const Word first = place * height, last = min(first + height, targets);
        column *= $columns;
        const int present = (int)min(width - column, (Word)$columns);
        const $summed* updates = at<const $summed>(a0) + column;
        $summed* target = at<$summed>(a1) + first * width + column;
        KERNEL_clear(target, last - first, width, present);
        if (threadIdx.x == 0) found = 0;
        __syncthreads();
        for (Word start = 0; start < count; start += $round) {
            #pragma unroll
            for (int part = 0; part < $round; part += $threads) {
                const Word number = start + part + threadIdx.x;
                if (number >= count) continue;
                const Word row = KERNEL_find(number, $words);
                if (row < 0) report(a$status, a$code);
                if (row >= first && row < last)
                    notes[atomicAdd(&found, 1)] = (KERNEL_note)(row - first) << 36 | number;
            }
            __syncthreads();
            const int held = found;
            __syncthreads();
            if (held == 0 || (held <= $pending - $round && start + $round < count)) continue;
            KERNEL_sort(notes, held);
            KERNEL_sum(notes, held, updates, target, width, present);
            if (threadIdx.x == 0) found = 0;
            __syncthreads();
        }
    }
"""


def scatter_add_kernel(dtype: str, index_dtypes: tuple[str, ...], columns: int) -> CudaKernel:
    """Return the kernel of out = 0; out[i1[n], ..., ik[n], :r] += updates[n, :r], by ascending n.

    Negative indices count from the end; one out of range adds nothing and reports.

    Args:
        dtype: dtype of updates and out.
        index_dtypes: dtypes of the index arrays, each "int32" or "int64".
        columns: those of a tile.
    """
    many = len(index_dtypes)
    finder, words = find_row(index_dtypes)
    width, down = 3 + 2 * many, 7 + 2 * many
    values = {
        "summed": SUMMED[dtype],
        "threads": THREADS,
        "columns": columns,
        "batch": STAGED_BYTES // ITEM_BYTES[dtype] // columns,
        "pending": PENDING,
        "round": ROUND,
        "words": words,
        "targets": " * ".join(f"a{3 + many + i}" for i in range(many)),
        "count": 2 + many,
        "width": width,
        "status": 4 + 2 * many,
        "code": 5 + 2 * many,
        "height": 6 + 2 * many,
        "down": down,
    }

    def launch(words: Sequence[int]) -> Launch:
        tiles = words[down] * -(-words[width] // columns)
        return Launch((blocks_for(tiles, 1), 1, 1), (THREADS, 1, 1))

    key = f"cuda scatter_add {dtype} {columns} {','.join(index_dtypes)}"
    helpers = "".join((finder, *(filled(text, **values) for text in (_NOTES, _SUM, _CLEAR))))
    return cuda_kernel(key, filled(_BODY, **values), 8 + 2 * many, launch, helpers)
