"""What the host does for instructions that are more than one kernel: products by cuBLAS, tiles.

Calls put work into the device's stream and never wait, read results or allocate, so all of them may
be recorded into a graph. What they do follows from their words and options alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgraph.runtime.cuda.products import Operand, multiply, operand
from symgraph.runtime.cuda.source import CudaCall
from symgraph.runtime.cuda.tiles import convolve, convolve_back, sum_over_windows

Call = Callable[[Any, Sequence[int], CudaCall], None]


def gemm(device: Any, words: Sequence[int], call: CudaCall) -> None:
    """Compute a stack of matrix products.

    Args:
        device: where.
        words: addresses of both factors and the result; rows, columns, depth and count; the
            strides of rows and columns of the factors and of rows of the result; the steps from
            one matrix to the next. All but addresses in elements.
        call: its options are the dtype and the precision; its one kernel takes the same words, for
            strides that cuBLAS does not know.
    """
    rows, columns, depth, count = words[3:7]
    left = operand(words[0], (rows, depth), (words[7], words[8]), words[12])
    right = operand(words[1], (depth, columns), (words[9], words[10]), words[13])
    if left is None or right is None or (count > 1 and min(left.step, right.step) < 0):
        device.launch(call.kernels[0], words)
        return
    result = Operand(words[2], words[11], words[14])
    multiply(device, call.options, (rows, columns, depth, count), left, right, result)


CALLS: Mapping[str, Call] = {
    "gemm": gemm,
    "convolution": convolve,
    "convolution_input": convolve_back,
    "convolution_weight": sum_over_windows,
}
"""The calls by name."""
