"""The option `check_finite`: outputs and updates report NaNs and infinities while they are made."""

from __future__ import annotations

from typing import Any

from symgraph.compiler.rewrite import rebuild, with_inputs
from symgraph.node import Graph, Node
from symgraph.op import NO_GRADIENT, Elementwise, Leaf, Op
from symgraph.types import FLOATS, TensorType

NON_FINITE = "non_finite"
"""The kind of problem that kernels report."""

_SAME_ELEMENTS = ("reshape", "transpose", "broadcast_to")


def _check_scalar(s: Any, x: Any) -> Any:  # handles are opaque
    finite = s.lt(s.absolute(x), s.constant(float("inf"), x.dtype))
    s.flag(s.bit_not(finite), NON_FINITE)
    return x


CHECK_FINITE = Op(
    name="check_finite",
    kind=Elementwise(_check_scalar, flags=lambda dtypes: (NON_FINITE,)),
    infer=lambda types, attrs: types[0],
    numpy=lambda x: x.copy(),
    grad=NO_GRADIENT,
    samples=(),
    doc="The operand itself, reporting whether it is finite; made by the compiler, never by users.",
)


def check_outputs(graph: Graph) -> Graph:
    """Return `graph` with a check on each float output, in the kernel that computes it.

    All other uses of a checked value go through the check too, so that it is stored once.
    """
    wanted = {_origin(node) for node in graph.outputs if _is_float(node)}

    def transform(node: Node, inputs: tuple[Node, ...]) -> Node:
        rebuilt = with_inputs(node, inputs)
        if node not in wanted or isinstance(node.op.kind, Leaf):
            return rebuilt
        return CHECK_FINITE(rebuilt)

    checked = rebuild(graph, transform)
    outputs = tuple(
        CHECK_FINITE(new) if isinstance(_origin(old).op.kind, Leaf) and _is_float(old) else new
        for old, new in zip(graph.outputs, checked.outputs, strict=True)
    )
    return Graph(checked.inputs, outputs)


def _is_float(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.element in FLOATS


def _origin(node: Node) -> Node:
    """Return the node whose elements are those of `node`, only arranged in another way."""
    while node.op.name in _SAME_ELEMENTS:
        node = node.inputs[0]
    return node
