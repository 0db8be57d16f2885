"""An LLVM builder that can report a bad value from inside a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from symgraph.compiler.codegen.llvm_scalar import LLVMBuilder, LLVMValue

if TYPE_CHECKING:
    from llvmlite import ir


class FlaggingBuilder(LLVMBuilder):
    """Adds `flag` to the primitives: remembers in a stack slot that a condition held somewhere.

    Attributes:
        mask: the lanes that are real at present; all if None.
        flag_slots: for each kind of problem the address of its flag.
    """

    mask: LLVMValue | None = None
    flag_slots: Mapping[str, ir.Value] = MappingProxyType({})

    def flag(self, condition: LLVMValue, kind: str) -> None:
        """Remember whether `condition` holds in any real lane; `kind` names the problem."""
        from llvmlite import ir

        slot = self.flag_slots[kind]
        if self.mask is not None and self.lanes > 1:
            condition = self.bit_and(condition, self.mask)
        some = condition.ir
        if self.lanes > 1:
            some = self.irbuilder.bitcast(some, ir.IntType(self.lanes))
            some = self.irbuilder.icmp_unsigned("!=", some, ir.Constant(some.type, 0))
        before = self.irbuilder.load(slot)
        found = self.irbuilder.or_(before, self.irbuilder.zext(some, before.type))
        self.irbuilder.store(found, slot)
