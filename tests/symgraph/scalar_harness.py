"""Runs scalar functions natively, over arrays, for the tests of scalar mathematics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.compiler.codegen.llvm_scalar import LLVMBuilder, LLVMValue, element_type

ScalarFunction = Callable[..., Any]
# Addresses that a kernel is given; those it has no use for are zero.
SLOTS = 8
KEPT_ALIVE: list[Any] = []


class NativeLoop:
    """One compiled loop `for i: outputs = fn(s, *inputs)` over contiguous arrays."""

    def __init__(self, fn: ScalarFunction, dtypes: Sequence[str], lanes: int) -> None:
        """Compile the loop.

        Args:
            fn: The scalar function; it may return one value or a tuple.
            dtypes: The dtype of each operand.
            lanes: The vector width.
        """
        from numba import cfunc, types

        self.result_dtypes: tuple[str, ...] = ()
        signature = types.void(types.CPointer(types.int64), types.int64, types.int64)
        body = self._body(fn, tuple(dtypes), lanes)

        def kernel(args: Any, lo: Any, hi: Any) -> None:
            body(args, lo, hi)

        self.cfunc = cfunc(signature, nopython=True)(kernel)
        KEPT_ALIVE.append(self.cfunc)

    def _body(self, fn: ScalarFunction, dtypes: tuple[str, ...], lanes: int) -> Any:
        from numba import types
        from numba.core.extending import intrinsic

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            self.result_dtypes = emit_loop(builder, fn, dtypes, lanes, arguments)
            return context.get_dummy_value()

        @intrinsic
        def body(_typing: Any, args: Any, lo: Any, hi: Any) -> Any:
            pointer = types.CPointer(types.int64)
            return types.void(pointer, types.int64, types.int64), codegen

        return body

    def object_code(self) -> bytes:
        """Give the ELF object of the loop."""
        code: bytes = self.cfunc._library.serialize_using_object_code()[2][0]
        return code

    def __call__(self, *operands: NDArray[Any]) -> Any:
        """Run over arrays of one length and give the result, or a tuple of results."""
        results = [np.empty(operands[0].shape, dtype) for dtype in self.result_dtypes]
        arrays = [np.ascontiguousarray(operand) for operand in operands] + results
        pointers = np.zeros(SLOTS, np.int64)
        pointers[: len(arrays)] = [array.ctypes.data for array in arrays]
        self.cfunc.ctypes(pointers.ctypes.data_as(POINTER), 0, operands[0].size)
        return results[0] if len(results) == 1 else tuple(results)


def _pointer_type() -> Any:
    import ctypes

    return ctypes.POINTER(ctypes.c_int64)


POINTER = _pointer_type()


def emit_loop(
    builder: Any,
    fn: ScalarFunction,
    dtypes: tuple[str, ...],
    lanes: int,
    arguments: Any,
) -> tuple[str, ...]:
    """Emit full vectors and then a masked tail (or single elements where lanes is 1).

    Returns:
        The dtypes of the results.
    """
    from llvmlite import ir
    from numba.core import cgutils

    args, lo, hi = arguments
    s = LLVMBuilder(builder, lanes)
    step = ir.Constant(ir.IntType(64), lanes)
    bases = [
        builder.load(builder.gep(args, [ir.Constant(ir.IntType(64), position)]))
        for position in range(SLOTS)
    ]
    whole = builder.sub(hi, builder.urem(builder.sub(hi, lo), step))
    with cgutils.for_range_slice(builder, lo, whole, step, inc=True) as (index, _):
        result_dtypes = _emit_step(s, fn, dtypes, bases, index, None)
    if lanes > 1:
        with builder.if_then(builder.icmp_signed("<", whole, hi)):
            _emit_step(s, fn, dtypes, bases, whole, s.tail_mask(builder.sub(hi, whole)))
    return result_dtypes


def _emit_step(
    s: LLVMBuilder,
    fn: ScalarFunction,
    dtypes: tuple[str, ...],
    bases: list[Any],
    index: Any,
    mask: LLVMValue | None,
) -> tuple[str, ...]:
    def address(position: int, dtype: str) -> Any:
        pointer_type = element_type(dtype, memory=True).as_pointer()
        return s.irbuilder.gep(s.irbuilder.inttoptr(bases[position], pointer_type), [index])

    operands = [
        s.load_value(address(position, dtype), dtype, mask) for position, dtype in enumerate(dtypes)
    ]
    results = fn(s, *operands)
    results = results if isinstance(results, tuple) else (results,)
    for position, result in enumerate(results, len(dtypes)):
        s.store_value(result, address(position, result.dtype), mask)
    return tuple(result.dtype for result in results)
