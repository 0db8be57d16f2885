"""Renders scalar code as LLVM instructions, on single values or on vectors of `lanes` values.

The target must have fused multiply-add and vector rounding in hardware (x86-64-v3 or aarch64): on
anything less LLVM would call `fmaf`, `floorf` ... from a C library that a kernel is not linked to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from symgraph.compiler.codegen import x86
from symgraph.compiler.codegen.llvm_types import (
    MEMORY_BYTES,
    LLVMValue,
    conversion_instruction,
    element_type,
)
from symgraph.scalar.builder import BIT_WIDTH, FLOAT_DTYPES, ScalarBuilder

if TYPE_CHECKING:
    from llvmlite import ir

__all__ = ["MEMORY_BYTES", "LLVMBuilder", "LLVMValue", "element_type"]


class LLVMBuilder(ScalarBuilder[LLVMValue]):
    """Emits each primitive at the current position of an llvmlite `IRBuilder`."""

    def __init__(self, irbuilder: ir.IRBuilder, lanes: int) -> None:
        """Render into `irbuilder`.

        Args:
            irbuilder: Where instructions go; its position may be moved between calls.
            lanes: 1 for plain values, or the number of elements of each vector.
        """
        from llvmlite import ir

        self._ir = ir
        self.irbuilder = irbuilder
        self.lanes = lanes

    # Types, constants and memory.

    def register_type(self, dtype: str) -> ir.Type:
        """Give the LLVM type of a value in registers."""
        return self._widen(element_type(dtype))

    def _widen(self, element: ir.Type) -> ir.Type:
        return element if self.lanes == 1 else self._ir.VectorType(element, self.lanes)

    def constant(self, value: float, dtype: str) -> LLVMValue:
        """Give a constant in every lane."""
        exact = np.dtype(dtype).type(value).item()
        return self._splat_constant(int(exact) if dtype not in FLOAT_DTYPES else exact, dtype)

    def _splat_constant(self, exact: float, dtype: str) -> LLVMValue:
        register = self.register_type(dtype)
        value = exact if self.lanes == 1 else [exact] * self.lanes
        return LLVMValue(self._ir.Constant(register, value), dtype)

    def broadcast(self, element: ir.Value, dtype: str) -> LLVMValue:
        """Spread one element (a bool as i1) over all lanes."""
        if self.lanes == 1:
            return LLVMValue(element, dtype)
        register, index = self.register_type(dtype), self._ir.IntType(32)
        undefined = self._ir.Constant(register, self._ir.Undefined)
        first = self.irbuilder.insert_element(undefined, element, self._ir.Constant(index, 0))
        zeros = self._ir.Constant(self._ir.VectorType(index, self.lanes), [0] * self.lanes)
        return LLVMValue(self.irbuilder.shuffle_vector(first, undefined, zeros), dtype)

    def lane_numbers(self, dtype: str) -> LLVMValue:
        """Give 0, 1, 2 ... in consecutive lanes, as integers."""
        if self.lanes == 1:
            return self.constant(0, dtype)
        register = self.register_type(dtype)
        return LLVMValue(self._ir.Constant(register, list(range(self.lanes))), dtype)

    def tail_mask(self, remaining: ir.Value) -> LLVMValue:
        """Give the bool vector that holds in the first `remaining` (an i64) lanes."""
        return self.lt(self.lane_numbers("int64"), self.broadcast(remaining, "int64"))

    def _memory_pointer(self, pointer: ir.Value, dtype: str) -> ir.Value:
        wanted = self._widen(element_type(dtype, memory=True)).as_pointer()
        return pointer if pointer.type == wanted else self.irbuilder.bitcast(pointer, wanted)

    def load_value(self, pointer: ir.Value, dtype: str, mask: LLVMValue | None = None) -> LLVMValue:
        """Load consecutive elements, aligned only as one element is.

        Args:
            pointer: The address of the first element, of any pointer type.
            dtype: Their dtype.
            mask: The lanes to load; the others are not touched and become zero.

        Returns:
            The value.
        """
        pointer, align = self._memory_pointer(pointer, dtype), MEMORY_BYTES[dtype]
        if mask is None:
            loaded = self.irbuilder.load(pointer, align=align)
        else:
            memory = self._masked_type(dtype)
            zero = self._ir.Constant(memory, None)
            loaded = self._call_memory("load", memory, [pointer, self._i32(align), mask.ir, zero])
        if dtype == "bool":
            zero = self._ir.Constant(loaded.type, None)
            loaded = self.irbuilder.icmp_unsigned("!=", loaded, zero)
        return LLVMValue(loaded, dtype)

    def store_value(
        self, value: LLVMValue, pointer: ir.Value, mask: LLVMValue | None = None
    ) -> None:
        """Store consecutive elements, aligned only as one element is.

        Args:
            value: What to store.
            pointer: The address of the first element, of any pointer type.
            mask: The lanes to store; memory of the others is not touched.
        """
        pointer = self._memory_pointer(pointer, value.dtype)
        align, stored = MEMORY_BYTES[value.dtype], value.ir
        if value.dtype == "bool":
            stored = self.irbuilder.zext(stored, self._widen(self._ir.IntType(8)))
        if mask is None:
            self.irbuilder.store(stored, pointer, align=align)
        else:
            memory = self._masked_type(value.dtype)
            self._call_memory("store", memory, [stored, pointer, self._i32(align), mask.ir])

    def _i32(self, value: int) -> ir.Constant:
        return self._ir.Constant(self._ir.IntType(32), value)

    def _masked_type(self, dtype: str) -> ir.Type:
        if self.lanes == 1:
            raise ValueError("a mask needs vectors: lanes is 1")
        return self._widen(element_type(dtype, memory=True))

    def _call_memory(self, verb: str, memory: ir.Type, operands: list[ir.Value]) -> ir.Value:
        name = f"llvm.masked.{verb}.{self._suffix(memory)}.p0"
        result = memory if verb == "load" else self._ir.VoidType()
        return self._call(name, result, operands)

    def _suffix(self, register: ir.Type) -> str:
        element = register if not isinstance(register, self._ir.VectorType) else register.element
        text = {"float": "f32", "double": "f64"}.get(str(element), str(element))
        return text if element is register else f"v{self.lanes}{text}"

    def _call(self, name: str, result: ir.Type, operands: list[ir.Value]) -> ir.Value:
        module = self.irbuilder.module
        function = module.globals.get(name)
        if function is None:
            signature = self._ir.FunctionType(result, [operand.type for operand in operands])
            function = self._ir.Function(module, signature, name)
        return self.irbuilder.call(function, operands)

    def _intrinsic(self, name: str, *operands: LLVMValue) -> LLVMValue:
        register = operands[0].ir.type
        full_name = f"llvm.{name}.{self._suffix(register)}"
        called = self._call(full_name, register, [operand.ir for operand in operands])
        return LLVMValue(called, operands[0].dtype)

    @property
    def scales_by_powers(self) -> bool:
        """Tell whether this machine has AVX-512's scaling by powers of two."""
        return x86.has_avx512()

    def scale_by_power(self, x: LLVMValue, n: LLVMValue) -> LLVMValue:
        """Multiply by 2**n in one instruction."""
        return LLVMValue(x86.scale_by_power(self.irbuilder, x.ir, n.ir, self.lanes), x.dtype)

    # Arithmetic.

    def _by_kind(self, float_name: str, int_name: str, *operands: LLVMValue) -> LLVMValue:
        name = float_name if operands[0].dtype in FLOAT_DTYPES else int_name
        emitted = getattr(self.irbuilder, name)(*(operand.ir for operand in operands))
        return LLVMValue(emitted, operands[0].dtype)

    def add(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Add."""
        return self._by_kind("fadd", "add", x, y)

    def sub(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Subtract."""
        return self._by_kind("fsub", "sub", x, y)

    def mul(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Multiply."""
        return self._by_kind("fmul", "mul", x, y)

    def neg(self, x: LLVMValue) -> LLVMValue:
        """Negate."""
        return self._by_kind("fneg", "neg", x)

    def div(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Divide floats."""
        return LLVMValue(self.irbuilder.fdiv(x.ir, y.ir), x.dtype)

    def fma(self, x: LLVMValue, y: LLVMValue, z: LLVMValue) -> LLVMValue:
        """Multiply and add with one rounding."""
        return self._intrinsic("fma", x, y, z)

    def sqrt(self, x: LLVMValue) -> LLVMValue:
        """Take the square root."""
        return self._intrinsic("sqrt", x)

    def floor(self, x: LLVMValue) -> LLVMValue:
        """Round down."""
        return self._intrinsic("floor", x)

    def ceil(self, x: LLVMValue) -> LLVMValue:
        """Round up."""
        return self._intrinsic("ceil", x)

    def rint(self, x: LLVMValue) -> LLVMValue:
        """Round to nearest, ties to even."""
        return self._intrinsic("roundeven", x)

    def trunc(self, x: LLVMValue) -> LLVMValue:
        """Round towards zero."""
        return self._intrinsic("trunc", x)

    def absolute(self, x: LLVMValue) -> LLVMValue:
        """Take the magnitude."""
        if x.dtype in FLOAT_DTYPES:
            return self._intrinsic("fabs", x)
        return self.select(self.lt(x, self.like(0, x)), self.neg(x), x)

    def copysign(self, x: LLVMValue, sign: LLVMValue) -> LLVMValue:
        """Combine a magnitude and a sign."""
        return self._intrinsic("copysign", x, sign)

    def int_div(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Divide integers, truncating."""
        return LLVMValue(self.irbuilder.sdiv(x.ir, y.ir), x.dtype)

    def int_rem(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Give the remainder of `int_div`."""
        return LLVMValue(self.irbuilder.srem(x.ir, y.ir), x.dtype)

    # Comparisons and selection.

    def _compare(self, symbol: str, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        if x.dtype in FLOAT_DTYPES:
            unordered = symbol == "!="
            emit = self.irbuilder.fcmp_unordered if unordered else self.irbuilder.fcmp_ordered
        else:
            # False < True must hold, but a set i1 is -1 when it is read as signed.
            bools = x.dtype == "bool"
            emit = self.irbuilder.icmp_unsigned if bools else self.irbuilder.icmp_signed
        return LLVMValue(emit(symbol, x.ir, y.ir), "bool")

    def lt(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Compare x < y."""
        return self._compare("<", x, y)

    def le(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Compare x <= y."""
        return self._compare("<=", x, y)

    def eq(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Compare x == y."""
        return self._compare("==", x, y)

    def ne(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Compare x != y; True on NaN."""
        return self._compare("!=", x, y)

    def ult(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Compare integers x < y as unsigned."""
        return LLVMValue(self.irbuilder.icmp_unsigned("<", x.ir, y.ir), "bool")

    def select(self, condition: LLVMValue, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Choose per lane."""
        return LLVMValue(self.irbuilder.select(condition.ir, x.ir, y.ir), x.dtype)

    def select_rare(
        self,
        condition: LLVMValue,
        rare: Callable[[], tuple[LLVMValue, ...]],
        usual: tuple[LLVMValue, ...],
    ) -> tuple[LLVMValue, ...]:
        """Choose per lane, computing `rare()` only if some lane needs it."""
        some = condition.ir
        if self.lanes > 1:
            bits = self.irbuilder.bitcast(some, self._ir.IntType(self.lanes))
            some = self.irbuilder.icmp_unsigned("!=", bits, self._ir.Constant(bits.type, 0))
        before = self.irbuilder.block
        with self.irbuilder.if_then(some, likely=False):
            chosen = super().select_rare(condition, rare, usual)
            slow = self.irbuilder.block
        merged = []
        for fast_value, slow_value in zip(usual, chosen, strict=True):
            phi = self.irbuilder.phi(fast_value.ir.type)
            phi.add_incoming(fast_value.ir, before)
            phi.add_incoming(slow_value.ir, slow)
            merged.append(LLVMValue(phi, fast_value.dtype))
        return tuple(merged)

    def repeat(
        self,
        count: int,
        step: Callable[[tuple[LLVMValue, ...]], tuple[LLVMValue, ...]],
        state: tuple[LLVMValue, ...],
    ) -> tuple[LLVMValue, ...]:
        """Emit a loop that applies `step` a fixed number of times."""
        number = self._ir.IntType(32)
        before = self.irbuilder.block
        body = self.irbuilder.append_basic_block("repeat")
        after = self.irbuilder.append_basic_block("repeated")
        self.irbuilder.branch(body)
        self.irbuilder.position_at_end(body)
        left = self.irbuilder.phi(number)
        phis = [self.irbuilder.phi(value.ir.type) for value in state]
        current = tuple(LLVMValue(phi, value.dtype) for phi, value in zip(phis, state, strict=True))
        stepped = step(current)
        remaining = self.irbuilder.sub(left, self._i32(1))
        left.add_incoming(self._i32(count), before)
        left.add_incoming(remaining, self.irbuilder.block)
        for phi, first, following in zip(phis, state, stepped, strict=True):
            phi.add_incoming(first.ir, before)
            phi.add_incoming(following.ir, self.irbuilder.block)
        more = self.irbuilder.icmp_unsigned("!=", remaining, self._i32(0))
        self.irbuilder.cbranch(more, body, after)
        self.irbuilder.position_at_end(after)
        return stepped

    # Bits.

    def bit_and(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """And bits."""
        return LLVMValue(self.irbuilder.and_(x.ir, y.ir), x.dtype)

    def bit_or(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Or bits."""
        return LLVMValue(self.irbuilder.or_(x.ir, y.ir), x.dtype)

    def bit_xor(self, x: LLVMValue, y: LLVMValue) -> LLVMValue:
        """Xor bits."""
        return LLVMValue(self.irbuilder.xor(x.ir, y.ir), x.dtype)

    def bit_not(self, x: LLVMValue) -> LLVMValue:
        """Invert bits."""
        return LLVMValue(self.irbuilder.not_(x.ir), x.dtype)

    def shl(self, x: LLVMValue, count: LLVMValue) -> LLVMValue:
        """Shift left."""
        return LLVMValue(self.irbuilder.shl(x.ir, count.ir), x.dtype)

    def lshr(self, x: LLVMValue, count: LLVMValue) -> LLVMValue:
        """Shift right, filling with zeros."""
        return LLVMValue(self.irbuilder.lshr(x.ir, count.ir), x.dtype)

    def ashr(self, x: LLVMValue, count: LLVMValue) -> LLVMValue:
        """Shift right, filling with the sign."""
        return LLVMValue(self.irbuilder.ashr(x.ir, count.ir), x.dtype)

    def bitcast(self, x: LLVMValue, dtype: str) -> LLVMValue:
        """Reinterpret the bits."""
        return LLVMValue(self.irbuilder.bitcast(x.ir, self.register_type(dtype)), dtype)

    def convert(self, x: LLVMValue, dtype: str) -> LLVMValue:
        """Convert as NumPy does on x86."""
        if x.dtype == dtype:
            return x
        if dtype == "bool":
            return self.ne(x, self.like(0, x))
        if x.dtype in FLOAT_DTYPES and dtype not in FLOAT_DTYPES:
            return self._float_to_int(x, dtype)
        emit = getattr(self.irbuilder, conversion_instruction(x.dtype, dtype))
        return LLVMValue(emit(x.ir, self.register_type(dtype)), dtype)

    def _float_to_int(self, x: LLVMValue, dtype: str) -> LLVMValue:
        # LLVM leaves NaN and what is out of range undefined, so it must never see them.
        limit = 2.0 ** (BIT_WIDTH[dtype] - 1)
        # In float64, -(2**31) - 0.5 still truncates to the smallest int32.
        exact_limit = x.dtype == "float32" or dtype == "int64"
        low = -limit if exact_limit else -limit - 1
        above = self.le if exact_limit else self.lt
        inside = self.bit_and(above(self.like(low, x), x), self.lt(x, self.like(limit, x)))
        safe = self.select(inside, x, self.like(0, x))
        converted = self.irbuilder.fptosi(safe.ir, self.register_type(dtype))
        return self.select(inside, LLVMValue(converted, dtype), self.constant(-int(limit), dtype))
