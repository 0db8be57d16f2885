"""An LLVM builder that can report a bad value from inside a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.codegen.llvm_scalar import LLVMBuilder, LLVMValue

if TYPE_CHECKING:
    from llvmlite import ir


class FlaggingBuilder(LLVMBuilder):
    """Adds `flag` to the primitives: remembers in a stack slot that a condition held somewhere.

    Attributes:
        mask: the lanes that are real at present; all if None.
        flag_slot: the address of the flag.
    """

    mask: LLVMValue | None = None
    flag_slot: ir.Value | None = None

    def flag(self, condition: LLVMValue, kind: str) -> None:
        """Remember whether `condition` holds in any real lane; `kind` names the problem."""
        from llvmlite import ir

        assert self.flag_slot is not None, f"no slot for {kind} problems was prepared"
        if self.mask is not None and self.lanes > 1:
            condition = self.bit_and(condition, self.mask)
        some = condition.ir
        if self.lanes > 1:
            some = self.irbuilder.bitcast(some, ir.IntType(self.lanes))
            some = self.irbuilder.icmp_unsigned("!=", some, ir.Constant(some.type, 0))
        before = self.irbuilder.load(self.flag_slot)
        found = self.irbuilder.or_(before, self.irbuilder.zext(some, before.type))
        self.irbuilder.store(found, self.flag_slot)
