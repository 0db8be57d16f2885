"""Lowering of copies: from anything that can be read to a buffer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from symgraph.compiler.lower_region import lower_region
from symgraph.compiler.materialise import COPY
from symgraph.compiler.region import FUSED, Access, Region
from symgraph.compiler.views import View, row_major
from symgraph.leaves import ARGUMENT
from symgraph.location import SourceLoc
from symgraph.node import Graph, Node
from symgraph.types import TensorType, TupleType

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering


COPY_INTO_PARAMETER = "copy into the parameter"


def lower_copy(
    lowering: Lowering,
    view: View,
    declared: TensorType,
    destination: int,
    loc: SourceLoc,
    label: str,
) -> None:
    """Emit a copy of what a view shows to a buffer of the same shape.

    Args:
        lowering: the plan so far.
        view: what is copied.
        declared: its type.
        destination: the buffer.
        loc: the user's line that it is there for.
        label: how explanations name it.
    """
    leaf = Node(ARGUMENT, (), {"type": declared}, declared, loc)
    body = Graph((leaf,), (COPY(leaf),))
    access = Access(view.offset, view.broadcast_strides(len(declared.dims)))
    region = Region(body, declared.dims, (), (access,), None, ())
    result = TupleType((declared,))
    fused = Node(FUSED, (view.base,), {"region": region, "type": result}, result, loc)
    lower_region(lowering, fused, destinations=(destination,))
    row = lowering.instructions[-1]
    lowering.instructions[-1] = replace(row, lines=(str(loc),), label=label)


def lower_buffer_copy(
    lowering: Lowering,
    source: int,
    declared: TensorType,
    destination: int,
    loc: SourceLoc,
    label: str = COPY_INTO_PARAMETER,
) -> None:
    """Emit a copy of one buffer to another of the same type; arguments as for `lower_copy`."""
    base = Node(ARGUMENT, (), {"type": declared}, declared, loc)
    lowering.assign(base, source)
    view = View(base, 0, row_major(declared.dims), declared.dims)
    lower_copy(lowering, view, declared, destination, loc, label)
