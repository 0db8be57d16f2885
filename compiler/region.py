"""A fused region: a node that holds a small graph of elementwise ops and reductions."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.compiler.views import Strides
from symgraph.dims import Extent
from symgraph.errors import CompileError
from symgraph.node import Graph, Node
from symgraph.op import NO_GRADIENT, Attrs, Library, Op
from symgraph.types import Shape, TupleType


@dataclass(frozen=True, slots=True)
class Access:
    """Where a region reads an input: `offset + sum(i_k * strides_k)` over its domain's axes."""

    offset: Extent
    strides: Strides


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """What a fused node computes.

    Args:
        graph: its body; all nodes have the domain's rank; shapes are the domain, or the domain with
            reduced axes at extent 1.
        domain: the extents of the loops.
        reduced: the axes that its reductions run over, sorted.
        reads: one for each graph input.
        chunk: for a reduction to one element, the rows of the first axis that one partial result
            covers (outputs are then arrays of partial results); None otherwise.
        members: the nodes of the canonical graph that were fused, for explanations.
    """

    graph: Graph
    domain: Shape
    reduced: tuple[int, ...]
    reads: tuple[Access, ...]
    chunk: Extent | None
    members: tuple[Node, ...]


def _infer(types: tuple[object, ...], attrs: Attrs) -> TupleType:
    declared: TupleType = attrs["type"]
    return declared


def _not_interpreted(*arrays: object, **attrs: object) -> None:
    raise CompileError("a fused region is not interpreted")


FUSED = Op(
    name="fused",
    kind=Library("fused"),
    infer=_infer,
    numpy=_not_interpreted,
    grad=NO_GRADIENT,
    samples=(),
    doc="A fused region (attrs: region, type); made by the compiler, never by users.",
)


def accumulator_dtype(reduction: Node) -> str:
    """Return the dtype a reduction accumulates in: float32 sums and products use float64."""
    dtype: str = reduction.type.element
    return "float64" if dtype == "float32" and reduction.op.name in ("sum", "prod") else dtype
