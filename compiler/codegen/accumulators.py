"""Accumulators: where the reductions of one pass gather their totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.codegen.llvm_scalar import LLVMBuilder, LLVMValue
from symgraph.compiler.codegen.operands import as_dtype
from symgraph.compiler.codegen.reducers import combine, combiner, identity
from symgraph.compiler.region import accumulator_dtype
from symgraph.node import Node

if TYPE_CHECKING:
    from llvmlite import ir


class Accumulators:
    """One vector of totals for each reduction, in stack slots that LLVM turns into registers.

    Args:
        reductions: the nodes.
        vector: the builder whose lanes accumulate.
    """

    def __init__(self, reductions: list[Node], vector: LLVMBuilder) -> None:
        """Set each total to the reduction's identity."""
        self._vector = vector
        self._builder = vector.irbuilder
        self._slots: dict[Node, tuple[ir.Value, str]] = {}
        for node in reductions:
            dtype = accumulator_dtype(node)
            with self._builder.goto_entry_block():
                slot = self._builder.alloca(vector.register_type(dtype))
            self._builder.store(identity(vector, combiner(node), dtype).ir, slot)
            self._slots[node] = slot, dtype

    def add(self, node: Node, value: LLVMValue, mask: LLVMValue | None) -> None:
        """Take one vector of values in; lanes outside `mask` keep their totals."""
        total = self.total(node)
        new = combine(
            self._vector, combiner(node), total, as_dtype(self._vector, value, total.dtype)
        )
        if mask is not None:
            new = self._vector.select(mask, new, total)
        self._builder.store(new.ir, self._slots[node][0])

    def total(self, node: Node) -> LLVMValue:
        """Return the totals, one for each lane."""
        slot, dtype = self._slots[node]
        return LLVMValue(self._builder.load(slot), dtype)

    def across_lanes(self, node: Node, scalar: LLVMBuilder) -> LLVMValue:
        """Return the lanes combined: halves with each other until one element is left."""
        from llvmlite import ir

        total, lanes = self.total(node), self._vector.lanes
        while lanes > 2:
            lanes //= 2
            halves = [
                LLVMValue(self._half(total.ir, start, lanes), total.dtype) for start in (0, lanes)
            ]
            narrow = LLVMBuilder(self._builder, lanes)
            total = combine(narrow, combiner(node), *halves)
        if lanes == 1:
            return total
        pair = [
            self._builder.extract_element(total.ir, ir.Constant(ir.IntType(32), lane))
            for lane in (0, 1)
        ]
        return combine(scalar, combiner(node), *(LLVMValue(one, total.dtype) for one in pair))

    def _half(self, vector: ir.Value, start: int, lanes: int) -> ir.Value:
        """Return `lanes` elements of a vector from `start` on."""
        from llvmlite import ir

        numbers = ir.VectorType(ir.IntType(32), lanes)
        mask = ir.Constant(numbers, list(range(start, start + lanes)))
        return self._builder.shuffle_vector(vector, vector, mask)
