"""Which loop neighbouring threads walk along: the one along which most of the memory lies dense."""

from __future__ import annotations

from dataclasses import replace

from symgraph.compiler.codegen.nest import Mode, Nest
from symgraph.compiler.codegen.signature import Kind
from symgraph.compiler.cuda.scalar import ITEM_BYTES


def coalesced(nest: Nest, kinds: tuple[Kind, ...]) -> Nest:
    """Return `nest` with the vector loop that suits a GPU best; its loops keep their order.

    A row reduction becomes a column reduction, or the other way round, where that loop is kept or
    reduced: what is read through a transpose, for example.

    Args:
        nest: the loops of a region.
        kinds: for each input whether it is memory, an affine index or an extent.
    """
    if nest.mode == "scalar":
        return nest
    best = max(
        range(len(nest.loops)),
        key=lambda loop: (_dense_bytes(nest, kinds, loop), loop == nest.vector),
    )
    mode: Mode = nest.mode
    if mode != "elementwise":
        mode = "trailing" if nest.loops[best].reduced else "leading"
    return nest if best == nest.vector else replace(nest, vector=best, mode=mode)


def _dense_bytes(nest: Nest, kinds: tuple[Kind, ...], loop: int) -> int:
    """Return the bytes of an element of all arrays of full size that are dense along a loop.

    Those of outputs count twice: what is read scattered may come from a cache the next time.
    """
    total = 0
    for operand, kind in zip(nest.inputs, kinds, strict=True):
        if kind == "memory" and operand.strides[loop] == 1 and 0 not in operand.strides:
            total += ITEM_BYTES[operand.dtype]
    for operand in nest.outputs:
        if operand.strides[loop] == 1 and 0 not in operand.strides:
            total += 2 * ITEM_BYTES[operand.dtype]
    return total
