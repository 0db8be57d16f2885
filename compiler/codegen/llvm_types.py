"""What LLVM calls the five dtypes, and the values of them that a renderer handles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symgraph.scalar.builder import BIT_WIDTH, FLOAT_DTYPES

if TYPE_CHECKING:
    from llvmlite import ir

MEMORY_BYTES = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}


@dataclass(frozen=True, slots=True)
class LLVMValue:
    """A value in registers: one element, or a vector with one element per lane."""

    ir: ir.Value
    dtype: str


def element_type(dtype: str, *, memory: bool = False) -> ir.Type:
    """Give the LLVM type of one element.

    Args:
        dtype: The dtype's name.
        memory: Whether the type in memory is meant, where a bool takes a byte.

    Returns:
        The type.
    """
    from llvmlite import ir

    if dtype in FLOAT_DTYPES:
        return ir.FloatType() if dtype == "float32" else ir.DoubleType()
    return ir.IntType(8 if memory and dtype == "bool" else BIT_WIDTH[dtype])


def conversion_instruction(source: str, target: str) -> str:
    """Name the instruction that converts between two dtypes where LLVM's meaning is NumPy's."""
    if source in FLOAT_DTYPES:
        return "fpext" if target == "float64" else "fptrunc"
    if target in FLOAT_DTYPES:
        return "uitofp" if source == "bool" else "sitofp"
    if source == "bool":
        return "zext"
    return "sext" if target == "int64" else "trunc"
