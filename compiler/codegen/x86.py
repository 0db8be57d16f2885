"""Instructions of x86 that LLVM offers under no general name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from symgraph.runtime.host import host_features

if TYPE_CHECKING:
    from llvmlite import ir

_PRESENT_ROUNDING = 4
"""The rounding operand that means: as the control register says."""


@cache
def has_avx512() -> bool:
    """Tell whether this machine has AVX-512's `vscalef`, in all vector lengths."""
    return {"avx512f", "avx512vl"} <= host_features()


def scale_by_power(builder: ir.IRBuilder, x: ir.Value, n: ir.Value, lanes: int) -> ir.Value:
    """Emit x * 2**floor(n) with one rounding, denormal results included.

    Args:
        builder: where to emit.
        x: floats.
        n: floats of the same type.
        lanes: how many; 1 for plain values.

    Returns:
        The products.
    """
    from llvmlite import ir

    element = x.type if lanes == 1 else x.type.element
    bits = 32 if isinstance(element, ir.FloatType) else 64
    if lanes == 1:
        return _scalar(builder, x, n, bits)
    piece = min(lanes, 512 // bits)
    pieces = [
        _vector(builder, _part(builder, x, start, piece), _part(builder, n, start, piece), bits)
        for start in range(0, lanes, piece)
    ]
    while len(pieces) > 1:
        pieces = [
            _joined(builder, left, right)
            for left, right in zip(pieces[::2], pieces[1::2], strict=True)
        ]
    return pieces[0]


def _scalar(builder: ir.IRBuilder, x: ir.Value, n: ir.Value, bits: int) -> ir.Value:
    from llvmlite import ir

    index, register = ir.IntType(32), ir.VectorType(x.type, 128 // bits)
    blank, first = ir.Constant(register, ir.Undefined), ir.Constant(index, 0)
    wide = [builder.insert_element(blank, value, first) for value in (x, n)]
    name = f"llvm.x86.avx512.mask.scalef.{'ss' if bits == 32 else 'sd'}"
    result = _call(builder, name, [*wide, wide[0], _all(8), ir.Constant(index, _PRESENT_ROUNDING)])
    return builder.extract_element(result, first)


def _vector(builder: ir.IRBuilder, x: ir.Value, n: ir.Value, bits: int) -> ir.Value:
    from llvmlite import ir

    lanes = x.type.count
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if bits == 32 else 'pd'}.{lanes * bits}"
    operands = [x, n, x, _all(max(lanes, 8))]
    if lanes * bits == 512:
        operands.append(ir.Constant(ir.IntType(32), _PRESENT_ROUNDING))
    return _call(builder, name, operands)


def _all(bits: int) -> ir.Constant:
    """Return a mask of so many set bits."""
    from llvmlite import ir

    return ir.Constant(ir.IntType(bits), -1)


def _part(builder: ir.IRBuilder, x: ir.Value, start: int, count: int) -> ir.Value:
    return x if count == x.type.count else _shuffle(builder, x, x, range(start, start + count))


def _joined(builder: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    return _shuffle(builder, left, right, range(2 * left.type.count))


def _shuffle(builder: ir.IRBuilder, left: ir.Value, right: ir.Value, lanes: range) -> ir.Value:
    from llvmlite import ir

    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(left, right, mask)


def _call(builder: ir.IRBuilder, name: str, operands: list[ir.Value]) -> ir.Value:
    from llvmlite import ir

    function = builder.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(operands[0].type, [operand.type for operand in operands])
        function = ir.Function(builder.module, signature, name)
    return builder.call(function, operands)
