"""Walking over a region's domain: nested loops, and the vector loop with its masked rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from symgraph.compiler.codegen.llvm_scalar import LLVMBuilder, LLVMValue
from symgraph.compiler.codegen.loops import integer, loop
from symgraph.compiler.codegen.operands import Offsets, Operands

if TYPE_CHECKING:
    from llvmlite import ir

Bounds = Mapping[int, tuple["ir.Value", "ir.Value"]]
Body = Callable[["ir.Value", "LLVMValue | None"], None]


@contextmanager
def nested(
    operands: Operands, loops: Sequence[int], bounds: Bounds, offsets: Offsets
) -> Iterator[Offsets]:
    """Emit scalar loops inside each other; yield the operands' offsets in the innermost.

    Args:
        operands: what moves.
        loops: their numbers, outermost first.
        bounds: (start, stop) of loops that do not run over their whole extent.
        offsets: outside these loops.
    """
    if not loops:
        yield offsets
        return
    first, *rest = loops
    start, stop = bounds.get(first, (integer(0), operands.loop_extent(first)))
    with loop(operands.builder, start, stop, 1) as index:
        moved = [operands.moved(o, offset, first, index) for o, offset in enumerate(offsets)]
        with nested(operands, rest, bounds, moved) as inner:
            yield inner


def vector_loop(vector: LLVMBuilder, start: ir.Value, stop: ir.Value, body: Body) -> None:
    """Emit full vectors over [start, stop), then one masked vector for the rest."""
    builder = vector.irbuilder
    if vector.lanes == 1:
        with loop(builder, start, stop, 1) as i:
            body(i, None)
        return
    length = builder.sub(stop, start)
    # An empty slice may have stop < start; lanes is a power of two.
    length = builder.select(builder.icmp_signed("<", length, integer(0)), integer(0), length)
    rest = builder.and_(length, integer(vector.lanes - 1))
    full = builder.add(start, builder.sub(length, rest))
    with loop(builder, start, full, vector.lanes) as i:
        body(i, None)
    with builder.if_then(builder.icmp_signed("!=", rest, integer(0))):
        body(full, vector.tail_mask(rest))
