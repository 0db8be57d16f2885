"""Reading and writing a region's operands: arguments, addresses, vectors, gathers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.codegen.flagging import FlaggingBuilder
from symgraph.compiler.codegen.llvm_scalar import LLVMBuilder, LLVMValue, element_type
from symgraph.compiler.codegen.llvm_types import MEMORY_BYTES
from symgraph.compiler.codegen.loops import integer, smaller
from symgraph.compiler.codegen.nest import Nest
from symgraph.compiler.codegen.signature import Signature, Slot

if TYPE_CHECKING:
    from llvmlite import ir

Offsets = list["ir.Value | None"]
"""For each operand the offset (in elements) that the loops so far add; None for zero."""


ROWS_AHEAD = 16
"""How far columns look ahead: about as many rows as there are cache misses under way at once."""
CACHE_LINE = 64


class Operands:
    """The arguments of a kernel, and access to the arrays behind them.

    Attributes:
        vector: renders scalar code on vectors.
        scalar: renders it on single values.
    """

    def __init__(
        self, nest: Nest, signature: Signature, lanes: int, builder: ir.IRBuilder, args: ir.Value
    ) -> None:
        """Load all arguments."""
        self.builder = builder
        self.vector = FlaggingBuilder(builder, lanes)
        self.scalar = FlaggingBuilder(builder, 1)
        self._nest = nest
        self._signature = signature
        self._operands = (*nest.inputs, *nest.outputs)
        self._classes = [operand.classes(nest.vector) for operand in self._operands]
        self._values = [
            builder.load(builder.gep(args, [integer(slot)])) for slot in range(len(signature.slots))
        ]

    def start(self) -> Offsets:
        """Return the offsets outside all loops."""
        return [None] * len(self._operands)

    def argument(self, slot: Slot) -> ir.Value:
        """Return the value of a slot of the argument block."""
        return self._values[self._signature.index(slot)]

    def loop_extent(self, number: int) -> ir.Value:
        """Return the extent of a loop."""
        return self.argument(("extent", number))

    def stays(self, operand: int, number: int) -> bool:
        """Tell whether an operand does not move along loop `number`."""
        return self._classes[operand][number] == "0"

    def moved(
        self, operand: int, offset: ir.Value | None, number: int, index: ir.Value
    ) -> ir.Value | None:
        """Return an operand's offset advanced to `index` of loop `number`."""
        letter = self._classes[operand][number]
        if letter == "0":
            return offset
        stride = None if letter == "1" else self.argument(("stride", operand, number))
        step = index if stride is None else self.builder.mul(index, stride)
        return step if offset is None else self.builder.add(offset, step)

    def load(
        self,
        operand: int,
        builder: LLVMBuilder,
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> LLVMValue:
        """Return an input's values at position `i` of the vector loop.

        Args:
            operand: which one; outputs follow the inputs.
            builder: the vector or the scalar builder.
            offsets: as the loops around have left them.
            i: the position; None where the operand cannot depend on it.
            mask: the lanes that exist.
        """
        vector, offset = self._nest.vector, offsets[operand]
        letter = "0" if i is None or vector < 0 else self._classes[operand][vector]
        if operand < len(self._nest.inputs) and self._signature.kinds[operand] != "memory":
            return self._computed(operand, builder, offset, i, letter)
        dtype = self._operands[operand].dtype
        if letter == "1":
            place = i if offset is None else self.builder.add(offset, i)
            return builder.load_value(self._address(operand, place), dtype, mask)
        if letter == "s" and builder.lanes > 1:
            return self._gather(operand, builder, offset, i, mask)
        if letter == "s" and i is not None:
            offset = self.moved(operand, offset, vector, i)
        element = self.scalar.load_value(self._address(operand, offset), dtype)
        return builder.broadcast(element.ir, dtype)

    def prefetch(
        self, operand: int, lanes: int, offset: ir.Value | None, i: ir.Value, number: int
    ) -> None:
        """Ask for what an input's vector at position `i` is some steps of loop `number` later.

        Rows of a wide matrix lie in different pages, which hardware does not look ahead of.
        """
        from llvmlite import ir

        letters = self._classes[operand]
        if letters[self._nest.vector] != "1" or letters[number] == "0":
            return
        if self._signature.kinds[operand] != "memory":
            return
        ahead = self.moved(operand, offset, number, integer(ROWS_AHEAD))
        place = i if ahead is None else self.builder.add(ahead, i)
        word = ir.IntType(32)
        kinds = [ir.IntType(8).as_pointer(), word, word, word]
        function = self.builder.module.declare_intrinsic(
            "llvm.prefetch.p0", (), ir.FunctionType(ir.VoidType(), kinds)
        )
        step = CACHE_LINE // MEMORY_BYTES[self._operands[operand].dtype]
        for first in range(0, lanes, step):
            address = self._address(operand, self.builder.add(place, integer(first)))
            pointer = self.builder.bitcast(address, kinds[0])
            self.builder.call(function, [pointer, *(ir.Constant(word, n) for n in (0, 3, 1))])

    def store(
        self,
        output: int,
        builder: LLVMBuilder,
        value: LLVMValue,
        offsets: Offsets,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> None:
        """Write values to an output at position `i` of the vector loop."""
        operand = len(self._nest.inputs) + output
        offset = offsets[operand]
        if i is not None and self._nest.vector >= 0:
            offset = self.moved(operand, offset, self._nest.vector, i)
        builder.store_value(value, self._address(operand, offset), mask)

    def store_partial(self, output: int, value: LLVMValue, chunk: ir.Value) -> None:
        """Write the partial result of a chunk."""
        address = self._address(len(self._nest.inputs) + output, chunk)
        self.scalar.store_value(value, address)

    def _computed(
        self,
        operand: int,
        builder: LLVMBuilder,
        offset: ir.Value | None,
        i: ir.Value | None,
        letter: str,
    ) -> LLVMValue:
        """Return an affine index or an extent, which live in arguments rather than in memory."""
        start = self.argument(("pointer", operand))
        total = start if offset is None else self.builder.add(start, offset)
        value = builder.broadcast(total, "int64")
        if letter != "0":
            positions = builder.add(builder.broadcast(i, "int64"), builder.lane_numbers("int64"))
            if letter == "s":
                stride = self.argument(("stride", operand, self._nest.vector))
                positions = builder.mul(positions, builder.broadcast(stride, "int64"))
            value = builder.add(value, positions)
        return as_dtype(builder, value, self._operands[operand].dtype)

    def _gather(
        self,
        operand: int,
        builder: LLVMBuilder,
        offset: ir.Value | None,
        i: ir.Value | None,
        mask: LLVMValue | None,
    ) -> LLVMValue:
        """Load elements a stride apart; lanes that do not exist repeat the last element."""
        from llvmlite import ir

        dtype = self._operands[operand].dtype
        last = self.builder.sub(self.loop_extent(self._nest.vector), integer(1))
        result = ir.Constant(builder.register_type(dtype), ir.Undefined)
        for lane in range(builder.lanes):
            position = self.builder.add(i, integer(lane))
            if mask is not None:
                position = smaller(self.builder, position, last)
            place = self.moved(operand, offset, self._nest.vector, position)
            element = self.scalar.load_value(self._address(operand, place), dtype)
            result = self.builder.insert_element(result, element.ir, integer(lane))
        return LLVMValue(result, dtype)

    def _address(self, operand: int, offset: ir.Value | None) -> ir.Value:
        element = element_type(self._operands[operand].dtype, memory=True)
        base = self.builder.inttoptr(self.argument(("pointer", operand)), element.as_pointer())
        return base if offset is None else self.builder.gep(base, [offset])


def as_dtype(builder: LLVMBuilder, value: LLVMValue, dtype: str) -> LLVMValue:
    """Return `value` converted to `dtype`, itself if it has that dtype."""
    return value if value.dtype == dtype else builder.convert(value, dtype)
