"""Loops in LLVM IR, on top of llvmlite's builder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llvmlite import ir


def integer(value: int) -> ir.Constant:
    """Return a 64-bit constant."""
    from llvmlite import ir

    return ir.Constant(ir.IntType(64), value)


@contextmanager
def loop(builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int) -> Iterator[ir.Value]:
    """Emit `for i in range(start, stop, step)` around the block; yield i.

    The builder is left behind the loop.
    """
    head = builder.append_basic_block("loop")
    body = builder.append_basic_block("body")
    after = builder.append_basic_block("after")
    before = builder.block
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(start.type, "i")
    index.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, after)
    builder.position_at_end(body)
    yield index
    index.add_incoming(builder.add(index, integer(step)), builder.block)
    _keep_scalar(builder, builder.branch(head))
    builder.position_at_end(after)


def _keep_scalar(builder: ir.IRBuilder, back: ir.instructions.Branch) -> None:
    """Tell LLVM not to vectorise the loop that a branch closes.

    Loops that pay are written with vectors here. LLVM's own analysis takes exponential time in the
    depth of a body such as y = x + x; z = y + y ...
    """
    from llvmlite import ir

    module = builder.module
    name = ir.MetaDataString(module, "llvm.loop.vectorize.enable")
    option = module.add_metadata([name, ir.Constant(ir.IntType(1), 0)])
    # Each loop needs metadata of its own, whose first operand is, by convention, that metadata.
    number = ir.Constant(ir.IntType(64), len(module.metadata))
    loop_id = module.add_metadata([number, option])
    loop_id.operands = (loop_id, option)
    back.set_metadata("llvm.loop", loop_id)


def smaller(builder: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    """Return the smaller of two signed integers."""
    return builder.select(builder.icmp_signed("<", left, right), left, right)
