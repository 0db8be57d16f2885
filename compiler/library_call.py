"""What the lowering rules of library ops share: one call of one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from symgraph.dims import Extent
from symgraph.node import Node
from symgraph.runtime.plan import Argument, Instruction, Kernel, Opcode

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering

Rule = Callable[["Lowering", Node], None]


def emit_call(
    lowering: Lowering,
    node: Node,
    source: Kernel,
    arguments: list[Argument],
    extent: Extent,
    work: Extent,
    pieces: int = 16,
    writes: int | None = None,
) -> None:
    """Emit one call whose operands are the node's inputs and whose result is the node.

    Args:
        lowering: what to emit to.
        node: the node.
        source: the kernel.
        arguments: its argument block.
        extent: of its parallel loop.
        work: the elements that it touches.
        pieces: into how many chunks for each thread a large loop is cut.
        writes: the buffer it fills, if that is not the node's own.
    """
    index = lowering.extents.index
    lowering.emit(
        Instruction(
            Opcode.CALL,
            kernel=lowering.kernel(source),
            arguments=tuple(arguments),
            reads=tuple(dict.fromkeys(lowering.buffer(lowering.view(c).base) for c in node.inputs)),
            writes=(lowering.place(node) if writes is None else writes,),
            extent=index(extent),
            work=index(work),
            pieces=pieces,
            label=node.op.name,
        ),
        (node,),
    )


def dense(lowering: Lowering, node: Node) -> Argument:
    """Return an argument that points to a node whose elements lie in row-major order."""
    view = lowering.view(node)
    return lowering.pointer(view.base, view.offset)
