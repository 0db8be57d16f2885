"""Running sums in CUDA C.

Words of all kernels: x, out, outer, n, inner (`runtime/kernels/scan.py`); then the elements of a
piece of the axis, the number of pieces, and the address of one sum for each piece. A piece begins
with the sum of all before it. float32 is summed in float64. Sums are not made one by one, so the
last bits may differ from NumPy's, but are the same in every run.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.cuda.text import (
    SUMMED,
    THREADS,
    WIDENED,
    filled,
    named,
    neutral,
    power_of_two,
)
from symgraph.runtime.plan import CudaKernel, Launch, LaunchRule, blocks_for, cuda_kernel

WORDS = 8
ITEMS = 8
"""Neighbouring elements that one thread sums up."""
ROW_CHUNK = THREADS * ITEMS
"""What a block sums at once: the least that a piece of a row has."""
COLUMN_CHUNK = 64
"""The least that a piece of a column has."""

_NAMES = {"outer": 2, "length": 3, "inner": 4, "piece": 5, "pieces": 6}
# Elements pass through shared memory on their way in and out: threads read neighbours side by side,
# but sum runs. The slots that are left out keep the threads that walk the runs on different banks.
_ROWS = """\
    __shared__ $wide items[$threads * ($items + 1)];
    __shared__ $wide totals[$threads];
    const $wide neutral = ($wide)$neutral;
    const int thread = threadIdx.x, many = blockDim.x, base = threadIdx.y * many;
    for (Word first = (Word)blockIdx.x * blockDim.y; first < outer * pieces;
         first += (Word)gridDim.x * blockDim.y) {
        const Word number = first + threadIdx.y;
        Word row, part;
        split(number, pieces, row, part);
        const Word begin = part * piece;
        const Word end = number < outer * pieces ? min(begin + piece, length) : begin;
        const $summed* x = at<const $summed>(a0) + row * length;
        $summed* out = at<$summed>(a1) + row * length;
        $wide before = part > 0 && begin < end ? at<const $wide>(a7)[number - 1] : neutral;
        for (Word start = 0; start < piece && start < length; start += many * $items) {
            const Word here = begin + start;
            #pragma unroll
            for (int k = 0; k < $items; ++k) {
                const int slot = k * many + thread;
                items[base * ($items + 1) + slot + slot / $items] =
                    here + slot < end ? ($wide)x[here + slot] : neutral;
            }
            __syncthreads();
            $wide* own = items + (base + thread) * ($items + 1);
            $wide sum = neutral;
            #pragma unroll
            for (int k = 0; k < $items; ++k) sum += own[k];
            totals[base + thread] = sum;
            __syncthreads();
            for (int distance = 1; distance < many; distance *= 2) {
                if (thread >= distance) sum = totals[base + thread - distance] + sum;
                __syncthreads();
                totals[base + thread] = sum;
                __syncthreads();
            }
            $wide running = before;
            if (thread > 0) running += totals[base + thread - 1];
            #pragma unroll
            for (int k = 0; k < $items; ++k) {
                running += own[k];
                own[k] = running;
            }
            before += totals[base + many - 1];
            __syncthreads();
            #pragma unroll
            for (int k = 0; k < $items; ++k) {
                const int slot = k * many + thread;
                if (here + slot < end)
                    out[here + slot] = ($summed)items[base * ($items + 1) + slot + slot / $items];
            }
            __syncthreads();
        }
    }
"""
_ROW_TOTALS = """\
    __shared__ $wide totals[$threads];
    for (Word number = blockIdx.x; number < outer * pieces; number += gridDim.x) {
        Word row, part;
        split(number, pieces, row, part);
        const Word begin = part * piece, end = min(begin + piece, length);
        const $summed* x = at<const $summed>(a0) + row * length;
        $wide sum = ($wide)$neutral;
        #pragma unroll 8
        for (Word k = begin + threadIdx.x; k < end; k += $threads) sum += ($wide)x[k];
        totals[threadIdx.x] = sum;
        __syncthreads();
        for (int half = $threads / 2; half > 0; half /= 2) {
            if (threadIdx.x < half) totals[threadIdx.x] += totals[threadIdx.x + half];
            __syncthreads();
        }
        if (threadIdx.x == 0) at<$wide>(a7)[number] = totals[0];
        __syncthreads();
    }
"""
# Neighbouring threads walk neighbouring columns. Loads do not wait for sums: several are under way.
_COLUMNS = """\
    const Word total = outer * pieces * inner, step = (Word)gridDim.x * $threads;
    for (Word i = (Word)blockIdx.x * $threads + threadIdx.x; i < total; i += step) {
        Word number, column, row, part;
        split(i, inner, number, column);
        split(number, pieces, row, part);
        const Word begin = part * piece, end = min(begin + piece, length);
        const Word first = row * length * inner + column;
        const $summed* x = at<const $summed>(a0) + first;
        $wide sum = $start;
        Word k = begin;
        for (; k + 4 <= end; k += 4) {
            $summed more[4];
            #pragma unroll
            for (int j = 0; j < 4; ++j) more[j] = x[(k + j) * inner];
            #pragma unroll
            for (int j = 0; j < 4; ++j) {
                sum += ($wide)more[j];$each
            }
        }
        for (; k < end; ++k) {
            sum += ($wide)x[k * inner];$rest
        }$last
    }
"""
_SCANNED = {
    "$start": "part > 0 ? at<const $wide>(a7)[i - inner] : ($wide)$neutral",
    "$each": "\n                at<$summed>(a1)[first + (k + j) * inner] = ($summed)sum;",
    "$rest": "\n            at<$summed>(a1)[first + k * inner] = ($summed)sum;",
    "$last": "",
}
_TOTALLED = {
    "$start": "($wide)$neutral",
    "$each": "",
    "$rest": "",
    "$last": "\n        at<$wide>(a7)[i] = sum;",
}


def cumsum_kernel(dtype: str, *, rows: bool) -> CudaKernel:
    """Return the kernel of running sums, each piece on its own.

    A scan in place of single elements starts no blocks: it would change nothing.

    Args:
        dtype: dtype of x and out.
        rows: whether inner is 1.
    """
    text = _ROWS if rows else _replaced(_SCANNED)

    def launch(words: Sequence[int]) -> Launch:
        if words[0] == words[1] and words[3] <= 1:
            return Launch((0, 1, 1), (THREADS, 1, 1))
        return _launch_rows(words) if rows else _launch_columns(words)

    return _kernel("cumsum", dtype, text, launch, rows=rows)


def totals_kernel(dtype: str, *, rows: bool) -> CudaKernel:
    """Return the kernel that sums up each piece; if there is only one, no blocks are started.

    Arguments are those of `cumsum_kernel`.
    """
    text = _ROW_TOTALS if rows else _replaced(_TOTALLED)

    def launch(words: Sequence[int]) -> Launch:
        if words[6] <= 1:
            return Launch((0, 1, 1), (THREADS, 1, 1))
        if not rows:
            return _launch_columns(words)
        return Launch((blocks_for(words[2] * words[6], 1), 1, 1), (THREADS, 1, 1))

    return _kernel("cumsum totals", dtype, text, launch, rows=rows)


def _replaced(parts: dict[str, str]) -> str:
    text = _COLUMNS
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def _launch_rows(words: Sequence[int]) -> Launch:
    """Return a launch of as many threads for each piece as have something to do."""
    _, _, outer, length, _, piece, pieces, _ = words
    across = power_of_two(-(-min(length, piece) // ITEMS), THREADS)
    down = THREADS // across
    return Launch((blocks_for(outer * pieces, down), 1, 1), (across, down, 1))


def _launch_columns(words: Sequence[int]) -> Launch:
    """Return a launch of one thread for each piece of a column."""
    return Launch((blocks_for(words[2] * words[6] * words[4], THREADS), 1, 1), (THREADS, 1, 1))


def _kernel(name: str, dtype: str, text: str, launch: LaunchRule, *, rows: bool) -> CudaKernel:
    body = filled(
        named(text, _NAMES),
        summed=SUMMED[dtype],
        wide=WIDENED[dtype],
        neutral=neutral(dtype),
        threads=THREADS,
        items=ITEMS,
    )
    key = f"cuda {name} {dtype} {'rows' if rows else 'columns'}"
    return cuda_kernel(key, body, WORDS, launch)
