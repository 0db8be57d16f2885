"""Expansion to the canonical graph: few ops, one dtype for all operands, axes always kept.

Afterwards: no composites; the operands of an elementwise op have one dtype (`where` and its bool
condition apart), brought about by explicit casts; reductions name their axes in a sorted tuple and
keep them with extent 1; no type is weak.
"""

from __future__ import annotations

from dataclasses import replace

from symgraph.compiler.rewrite import map_subgraphs, rebuild, with_inputs
from symgraph.leaves import CONSTANT, Constant
from symgraph.node import Graph, Node
from symgraph.op import Composite, Elementwise, Leaf, Reduce
from symgraph.ops.elementwise import cast, operand_dtypes
from symgraph.ops.layout import broadcast_to, reshape
from symgraph.ops.loop import LOOP
from symgraph.types import TensorType, broadcast_shapes, normalise_axes


def expand(graph: Graph) -> Graph:
    """Return the canonical form of a graph whose types are all known."""
    while any(isinstance(node.op.kind, Composite) for node in graph):
        graph = rebuild(graph, _expand_composite)
    return rebuild(graph, _canonical)


def _expand_composite(node: Node, inputs: tuple[Node, ...]) -> Node:
    if isinstance(node.op.kind, Composite):
        expanded = node.op.kind.expand(*inputs, **node.attrs)
        return _matching(expanded, node.type)
    return with_inputs(node, inputs, map_subgraphs(node, expand))


def _matching(expanded: Node, wanted: TensorType) -> Node:
    """Return `expanded` in the dtype that the composite promised."""
    if expanded.type.dtype == wanted.dtype:
        return expanded
    return cast(expanded, dtype=wanted.element)


def _canonical(node: Node, inputs: tuple[Node, ...]) -> Node:
    if node.op is CONSTANT:
        return _strong(node, node.type.element)
    if isinstance(node.op.kind, Elementwise):
        wanted = operand_dtypes(node.op, tuple(child.type for child in node.inputs), node.attrs)
        inputs = tuple(
            _converted(child, dtype) for child, dtype in zip(inputs, wanted, strict=True)
        )
        return _result(with_inputs(node, inputs), node.type)
    if isinstance(node.op.kind, Reduce):
        return _result(_kept_axes(node, inputs[0]), node.type)
    if node.op.name == "cumsum":
        inputs = (_converted(inputs[0], node.type.element),)
    elif node.op.name in ("gather", "scatter_add"):
        inputs = (inputs[0], *_alike(inputs[1:]))
    elif node.op.name == "cond":
        dtypes = tuple(item.element for item in node.type.items)
        return with_inputs(node, inputs, map_subgraphs(node, lambda g: _branch(g, dtypes)))
    elif node.op is LOOP:
        return _loop(node, inputs)
    return with_inputs(node, inputs, map_subgraphs(node, expand))


def _loop(node: Node, inputs: tuple[Node, ...]) -> Node:
    """Return a loop whose carries begin and end with the dtypes that its results have."""
    dtypes = tuple(item.element for item in node.type.items)
    first, carries = int(node.attrs["counted"]), node.attrs["carries"]
    starts = map(_converted, inputs[first : first + carries], dtypes)
    inputs = (*inputs[:first], *starts, *inputs[first + carries :])
    body: Graph = node.attrs["body"]
    attrs = {**map_subgraphs(node, expand), "body": _branch(body, dtypes)}
    return with_inputs(node, inputs, attrs)


def _alike(indices: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return index arrays broadcast to one shape, which is what kernels walk over."""
    shape = broadcast_shapes(index.type.dims for index in indices)
    return tuple(
        index if index.type.dims == shape else broadcast_to(index, shape) for index in indices
    )


def _branch(graph: Graph, dtypes: tuple[str, ...]) -> Graph:
    """Return a branch whose outputs have the dtypes that both branches agreed on."""
    expanded = expand(graph)
    outputs = tuple(
        _converted(output, dtype) for output, dtype in zip(expanded.outputs, dtypes, strict=True)
    )
    return Graph(expanded.inputs, outputs)


def _strong(node: Node, dtype: str) -> Node:
    assert isinstance(node, Constant), "constants carry values"
    if node.type.weak or node.type.element != dtype:
        return Constant(node.value, dtype)
    return node


def _converted(node: Node, dtype: str) -> Node:
    """Return `node` as `dtype`; constants are converted on the spot."""
    if node.op is CONSTANT:
        return _strong(node, dtype)
    return node if node.type.element == dtype else cast(node, dtype=dtype)


def _result(node: Node, wanted: TensorType) -> Node:
    """Return `node` strong and in the dtype inferred for the user's node."""
    if node.type.element != wanted.element:
        return cast(node, dtype=wanted.element)
    # A leaf is what its graph names as an input, so there can be no other in its place.
    if node.type.weak and not isinstance(node.op.kind, Leaf):
        return Node(node.op, node.inputs, node.attrs, replace(node.type, weak=False), node.loc)
    return node


def _kept_axes(node: Node, operand: Node) -> Node:
    axes = normalise_axes(node.attrs["axis"], operand.type.rank)
    if operand.type.element != node.type.element and node.op.name in ("sum", "prod"):
        operand = cast(operand, dtype=node.type.element)
    if not axes:
        return operand if node.op.name not in ("any", "all") else cast(operand, dtype="bool")
    kept = with_inputs(node, (operand,), {"axis": axes, "keepdims": True})
    return kept if node.attrs["keepdims"] else reshape(kept, node.type.dims)
