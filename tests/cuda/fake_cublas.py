"""Stands in for the library libcublas: products by NumPy, as strict about arguments as cuBLAS is.

The functions are real C functions of the types that `symgraph.runtime.cuda.cublas` declares.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from symgraph.runtime.cuda.cublas import SIGNATURES, WIDE_SIGNATURES
from tests.cuda.fake_machine import Machine, Queue

OK, INVALID, INTERNAL = 0, 7, 14
DTYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64)}
COMPUTE = {0: {68: "float32", 77: "tf32", 75: "bfloat16"}, 1: {70: "float64"}}
KEPT_BITS = {"tf32": 10, "bfloat16": 7}


def rounded(values: np.ndarray[Any, Any], precision: str) -> np.ndarray[Any, Any]:
    """Return float32 values with the fewer binary digits of a precision."""
    if precision not in KEPT_BITS:
        return values
    dropped = 23 - KEPT_BITS[precision]
    bits = values.view(np.uint32).astype(np.uint64)
    bits += (1 << (dropped - 1)) - 1 + (bits >> dropped & 1)
    return (bits >> dropped << dropped).astype(np.uint32).view(np.float32)


class FakeCublas:
    """The library.

    Args:
        machine: where its memory lies.

    Attributes:
        products: for each product (transposed first, transposed second, rows, columns, depth,
            count, compute type).
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.products: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self._streams: dict[int, int] = {}
        for name, types in {**SIGNATURES, **WIDE_SIGNATURES}.items():
            own = getattr(self, "_" + name.removesuffix("_64").removesuffix("_v2"))
            setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int, *types)(self._guarded(own)))

    def _guarded(self, function: Any) -> Any:
        def call(*arguments: Any) -> int:
            try:
                return int(function(*(0 if a is None else a for a in arguments)))
            except Exception as error:  # an exception cannot pass through C
                self.error = error
                return INTERNAL

        return call

    def _cublasCreate(self, place: int) -> int:
        handle = 1000 + len(self._streams)
        self._streams[handle] = 0
        ctypes.c_void_p.from_address(place).value = handle
        return OK

    def _cublasDestroy(self, handle: int) -> int:
        del self._streams[handle]
        return OK

    def _cublasSetStream(self, handle: int, stream: int) -> int:
        self._streams[handle] = stream
        return OK

    def _cublasSetWorkspace(self, handle: int, address: int, size: int) -> int:
        self._machine.demand(address, size, self._queue(handle).device)
        return INVALID if address % 256 else OK

    def _cublasSetMathMode(self, handle: int, mode: int) -> int:
        return OK if mode == 0 else INVALID

    def _queue(self, handle: int) -> Queue:
        return self._machine.queues[self._streams[handle]]

    def _cublasGemmEx(
        self, handle: int, ta: int, tb: int, m: int, n: int, k: int, alpha: int,
        a: int, a_type: int, lda: int, b: int, b_type: int, ldb: int,
        beta: int, c: int, c_type: int, ldc: int, compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        return self._cublasGemmStridedBatchedEx(
            handle, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0,
            beta, c, c_type, ldc, 0, 1, compute, algorithm,
        )  # fmt: skip

    def _cublasGemmStridedBatchedEx(
        self, handle: int, ta: int, tb: int, m: int, n: int, k: int, alpha: int,
        a: int, a_type: int, lda: int, step_a: int, b: int, b_type: int, ldb: int, step_b: int,
        beta: int, c: int, c_type: int, ldc: int, step_c: int, count: int,
        compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        if len({a_type, b_type, c_type}) > 1 or compute not in COMPUTE.get(a_type, {}):
            return INVALID
        if min(m, n, k, count) < 0 or not {ta, tb} <= {0, 1}:
            return INVALID
        if lda < max(1, k if ta else m) or ldb < max(1, n if tb else k) or ldc < max(1, m):
            return INVALID
        if count > 1 and step_c < ldc * n and step_c < m * n:
            return INVALID  # results on top of each other
        dtype = DTYPES[c_type]
        scalars = [
            np.frombuffer(ctypes.string_at(p, dtype.itemsize), dtype)[0] for p in (alpha, beta)
        ]
        queue = self._queue(handle)
        shape_a, shape_b = ((k, m) if ta else (m, k)), ((n, k) if tb else (k, n))
        operands = [
            (a, shape_a, lda, step_a), (b, shape_b, ldb, step_b), (c, (m, n), ldc, step_c),
        ]  # fmt: skip
        precision = COMPUTE[a_type][compute]
        self._demand(operands, count, dtype, queue)
        self.products.append((ta, tb, m, n, k, count, precision))
        self._machine.counts["gemm"] += 1

        def run() -> None:
            self._demand(operands, count, dtype, queue)
            first, second, result = (_matrices(*entry, count, dtype) for entry in operands)
            _multiply(first, second, result, (ta, tb), scalars, precision)

        queue.put(run)
        return OK

    def _demand(self, operands: Any, count: int, dtype: Any, queue: Queue) -> None:
        for address, (rows, columns), leading, step in operands:
            last = max(columns - 1, 0) * leading + rows + (count - 1) * step
            self._machine.demand(address, last * dtype.itemsize, queue.device)
            assert address % dtype.itemsize == 0, "a matrix is not aligned"


def _matrices(
    address: int, shape: tuple[int, int], leading: int, step: int, count: int, dtype: Any
) -> np.ndarray[Any, Any]:
    """Return a view of matrices that lie column by column."""
    one = np.ndarray((1,), dtype, (ctypes.c_char * dtype.itemsize).from_address(address))
    strides = (step * dtype.itemsize, dtype.itemsize, leading * dtype.itemsize)
    return np.lib.stride_tricks.as_strided(one, (count, *shape), strides)


def _multiply(
    first: np.ndarray[Any, Any],
    second: np.ndarray[Any, Any],
    result: np.ndarray[Any, Any],
    transposed: tuple[int, int],
    scalars: list[Any],
    precision: str,
) -> None:
    alpha, beta = scalars
    factors = [
        rounded(np.ascontiguousarray(x), precision).swapaxes(1, 2) if turned else
        rounded(np.ascontiguousarray(x), precision)
        for x, turned in ((first, transposed[0]), (second, transposed[1]))
    ]  # fmt: skip
    old = beta * result if beta != 0 else 0
    # Written over first: what beta = 0 leaves alone may hold anything.
    result[...] = np.nan
    with np.errstate(all="ignore"):
        result[...] = alpha * np.matmul(*factors) + old
