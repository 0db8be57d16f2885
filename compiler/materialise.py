"""Materialisation: makes a copy wherever a view cannot be read in place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from symgraph.compiler.rewrite import rebuild, with_inputs
from symgraph.compiler.views import View, ViewResolver
from symgraph.location import located_at
from symgraph.node import Graph, Node
from symgraph.op import NO_GRADIENT, Control, Elementwise, Leaf, Library, Op
from symgraph.ops.control import PROJECT
from symgraph.ops.layout import broadcast_to
from symgraph.types import Shape

COPY = Op(
    name="copy",
    kind=Elementwise(lambda s, x: x),
    infer=lambda types, attrs: types[0],
    numpy=lambda x: x.copy(),
    grad=NO_GRADIENT,
    samples=(),
    doc="A dense copy; made by the compiler, never by users.",
)


def materialise(graph: Graph) -> Graph:
    """Return `graph` with copies where a reshape, a library op or an output needs a dense array."""
    views = ViewResolver()

    def transform(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name == "reshape":
            reshaped = with_inputs(node, inputs)
            if views.resolve(reshaped) is None:
                return with_inputs(node, (COPY(inputs[0]),))
            return reshaped
        if node.op.name == "batch_matmul":
            batch = node.type.dims[:-2]
            inputs = tuple(_with_batch(child, batch) for child in inputs)
        if isinstance(node.op.kind, Library) and node.op.name in _READABLE:
            readable = _READABLE[node.op.name]
            inputs = tuple(
                child if _reads(views, child, readable) else COPY(child) for child in inputs
            )
        elif isinstance(node.op.kind, Library | Control) and node.op is not PROJECT:
            inputs = tuple(
                child if _reads(views, child, _is_dense) else COPY(child) for child in inputs
            )
        return with_inputs(node, inputs)

    rebuilt = rebuild(graph, transform)
    return Graph(rebuilt.inputs, _own_arrays(rebuilt.outputs, views))


def _with_batch(operand: Node, batch: Shape) -> Node:
    dims: Shape = operand.type.dims
    return operand if dims[:-2] == batch else broadcast_to(operand, (*batch, *dims[-2:]))


def _reads(views: ViewResolver, node: Node, readable: Callable[[View], bool]) -> bool:
    view = views.resolve(node)
    return view is not None and readable(view)


def _is_dense(view: View) -> bool:
    return view.contiguous and view.base.op.name not in ("affine_index", "extent")


def is_matrix_stack(view: View) -> bool:
    """Tell whether matmul can read a view: its batch axes collapse to one stride."""
    if view.base.op.name in ("affine_index", "extent"):
        return False
    shape, strides = view.shape[:-2], view.strides[:-2]
    axes = [(e, s) for e, s in zip(shape, strides, strict=True) if e != 1]
    return all(outer[1] == inner[1] * inner[0] for outer, inner in pairwise(axes))


_READABLE: dict[str, Callable[[View], bool]] = {
    "batch_matmul": is_matrix_stack,
    "assemble": lambda view: True,
}


def _own_arrays(outputs: tuple[Node, ...], views: ViewResolver) -> tuple[Node, ...]:
    """Return outputs that are each an array of their own: no leaf, no part, no repetition.

    An output may be another shape of a computed array, if that array is no output itself.
    """
    seen: set[Node] = set()
    owned = []
    for node in outputs:
        view = views.resolve(node)
        whole = view is not None and view.contiguous and view.base.type.size == node.type.size
        base = view.base if view is not None and whole else node
        if not whole or isinstance(base.op.kind, Leaf) or base.op is PROJECT or base in seen:
            with located_at(node.loc):
                node = base = COPY(node)
        seen.add(base)
        owned.append(node)
    return tuple(owned)
