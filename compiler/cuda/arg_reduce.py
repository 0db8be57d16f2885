"""Positions of extremes in CUDA C.

Words of all kernels: x, out, outer, n, inner (`runtime/kernels/arg_reduce.py`); then the elements
of a piece of the axis, the number of pieces, and the address of one position for each piece. The
first of equal elements is found, and the first NaN before all numbers, however the axis is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.cuda.text import (
    ELEMENT,
    THREADS,
    better,
    filled,
    named,
    power_of_two,
    worst,
)
from symgraph.runtime.plan import CudaKernel, Launch, LaunchRule, blocks_for, cuda_kernel

WORDS = 8
ITEMS = 4
"""Elements of a row that each thread has at least."""
ROW_CHUNK = 16 * THREADS
"""The least that a piece of a row has."""
COLUMN_CHUNK = 64
"""The least that a piece of a column has."""

_NAMES = {"outer": 2, "length": 3, "inner": 4, "piece": 5, "pieces": 6}
_FOUND = """\
    Word* found = at<Word>(pieces == 1 ? a1 : a7);
"""
# Where neither of two is better, they are equal or both are NaN, and the earlier one is wanted.
# Threads without elements have the worst value, nowhere.
_FOLD = """\
// Takes what comes later, if it is better.
__device__ __forceinline__ void KERNEL_take(
    $element& value, Word& place, $element other, Word other_place)
{
    if (!KERNEL_better(other, value)) return;
    value = other;
    place = other_place;
}

// Takes the better of two, whichever comes first.
__device__ __forceinline__ void KERNEL_fold(
    $element& value, Word& place, $element other, Word other_place)
{
    const bool level = !KERNEL_better(value, other) && other_place < place;
    if (KERNEL_better(other, value) || level) {
        value = other;
        place = other_place;
    }
}

// Folds what the threads of one row of the block have; the first of them gets the result.
__device__ __forceinline__ void KERNEL_meet($element& value, Word& place)
{
    __shared__ $element values[$threads];
    __shared__ Word places[$threads];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    values[thread] = value;
    places[thread] = place;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            KERNEL_fold(value, place, values[thread + half], places[thread + half]);
            values[thread] = value;
            places[thread] = place;
        }
        __syncthreads();
    }
}
"""
_ROWS = """\
    for (Word first = (Word)blockIdx.x * blockDim.y; first < outer * pieces;
         first += (Word)gridDim.x * blockDim.y) {
        const Word number = first + threadIdx.y;
        Word row, part;
        split(number, pieces, row, part);
        const Word begin = part * piece;
        const Word end = number < outer * pieces ? min(begin + piece, length) : begin;
        const $element* x = at<const $element>(a0) + row * length;
        const Word own = begin + threadIdx.x;
        Word place = own < end ? own : $nowhere;
        $element value = own < end ? x[own] : ($element)($worst);
        #pragma unroll 4
        for (Word k = own + blockDim.x; k < end; k += blockDim.x)
            KERNEL_take(value, place, x[k], k);
        KERNEL_meet(value, place);
        if (threadIdx.x == 0 && begin < end) found[number] = place;
    }
"""
# Neighbouring threads walk neighbouring columns.
_COLUMNS = """\
    const Word total = outer * pieces * inner, step = (Word)gridDim.x * $threads;
    for (Word i = (Word)blockIdx.x * $threads + threadIdx.x; i < total; i += step) {
        Word number, column, row, part;
        split(i, inner, number, column);
        split(number, pieces, row, part);
        const Word begin = part * piece, end = min(begin + piece, length);
        const $element* x = at<const $element>(a0) + row * length * inner + column;
        Word place = begin;
        $element value = x[begin * inner];
        #pragma unroll 4
        for (Word k = begin + 1; k < end; ++k) KERNEL_take(value, place, x[k * inner], k);
        found[i] = place;
    }
"""
_PIECES = """\
    for (Word first = (Word)blockIdx.x * blockDim.y; first < outer * inner;
         first += (Word)gridDim.x * blockDim.y) {
        const Word number = first + threadIdx.y;
        Word row, column;
        split(number, inner, row, column);
        const Word end = number < outer * inner ? pieces : 0;
        const $element* x = at<const $element>(a0) + row * length * inner + column;
        $element value = $worst;
        Word place = $nowhere;
        for (Word part = threadIdx.x; part < end; part += blockDim.x) {
            const Word k = found[(row * pieces + part) * inner + column];
            KERNEL_fold(value, place, x[k * inner], k);
        }
        KERNEL_meet(value, place);
        if (threadIdx.x == 0 && end > 0) at<Word>(a1)[number] = place;
    }
"""


def arg_reduce_kernel(name: str, dtype: str, *, rows: bool) -> CudaKernel:
    """Return the kernel of the positions of extremes of each piece; a single piece is the axis.

    Args:
        name: "argmax" or "argmin".
        dtype: dtype of x; out is int64.
        rows: whether inner is 1.
    """
    return _kernel(
        name, dtype, _ROWS if rows else _COLUMNS, _launch_rows if rows else _launch_columns
    )


def meet_kernel(name: str, dtype: str) -> CudaKernel:
    """Return the kernel that finds the best of what was found in pieces, if there are several.

    Arguments are those of `arg_reduce_kernel`.
    """
    return _kernel(name, dtype, _PIECES, _launch_pieces)


def _launch_rows(words: Sequence[int]) -> Launch:
    """Return a launch of as many threads for each piece as have something to do."""
    _, _, outer, length, _, piece, pieces, _ = words
    return _launch(outer * pieces, min(length, piece))


def _launch_columns(words: Sequence[int]) -> Launch:
    """Return a launch of one thread for each piece of a column."""
    return Launch((blocks_for(words[2] * words[6] * words[4], THREADS), 1, 1), (THREADS, 1, 1))


def _launch_pieces(words: Sequence[int]) -> Launch:
    _, _, outer, _, inner, _, pieces, _ = words
    return _launch(outer * inner if pieces > 1 else 0, pieces)


def _launch(rows: int, length: int) -> Launch:
    across = power_of_two(-(-length // ITEMS), THREADS)
    down = THREADS // across
    return Launch((blocks_for(rows, down), 1, 1), (across, down, 1))


def _kernel(name: str, dtype: str, text: str, launch: LaunchRule) -> CudaKernel:
    largest = name == "argmax"
    values = {
        "element": ELEMENT[dtype],
        "threads": THREADS,
        "worst": worst(dtype, largest=largest),
        "nowhere": "9223372036854775807LL",
    }
    helpers = better(dtype, largest=largest, name="KERNEL_better") + filled(_FOLD, **values)
    walk = {_ROWS: "rows", _COLUMNS: "columns", _PIECES: "pieces"}[text]
    key = f"cuda {name} {dtype} {walk}"
    return cuda_kernel(key, filled(named(_FOUND + text, _NAMES), **values), WORDS, launch, helpers)
