"""What the kernels of a region have in common on all devices: canonical text, problems reported."""

from __future__ import annotations

from symgraph.compiler.codegen.nest import Nest
from symgraph.compiler.codegen.signature import Kind
from symgraph.leaves import ARGUMENT, CONSTANT, Constant
from symgraph.node import Node
from symgraph.op import Elementwise


def region_flags(nest: Nest) -> tuple[str, ...]:
    """Return the kinds of problems that the body may report, each once."""
    found: dict[str, None] = {}
    for node in nest.order:
        if isinstance(node.op.kind, Elementwise):
            dtypes = tuple(child.type.element for child in node.inputs)
            found.update(dict.fromkeys(node.op.kind.flags(dtypes)))
    return tuple(found)


def region_text(nest: Nest, kinds: tuple[Kind, ...], *, stores: bool) -> str:
    """Return a text that is equal for regions with equal code; no user's name is in it.

    Args:
        nest: the region's loops.
        kinds: for each input whether it is memory, an affine index or an extent.
        stores: whether the outputs are written.
    """
    names: dict[Node, str] = {}
    graph = nest.region.graph
    vector = nest.vector
    loops = " ".join("reduced" if entry.reduced else "kept" for entry in nest.loops)
    lines = [
        f"{nest.mode} vector={vector} loops=[{loops}]"
        + (" chunked" if nest.region.chunk is not None else "")
        + ("" if stores else " without stores")
    ]
    for number, (leaf, operand, kind) in enumerate(
        zip(graph.inputs, nest.inputs, kinds, strict=True)
    ):
        names[leaf] = f"i{number}"
        lines.append(f"i{number} = {kind} {operand.dtype} {operand.classes(vector)}")
    for node in graph.nodes():
        if node.op is CONSTANT and node not in names:
            assert isinstance(node, Constant), "only constants carry values"
            names[node] = f"{node.value.reshape(()).item()!r}:{node.type.element}"
    for number, node in enumerate(nest.order):
        names[node] = f"v{number}"
        operands = ", ".join(names[child] for child in node.inputs)
        attrs = "".join(
            f" {key}={node.attrs[key]!r}" for key in sorted(node.attrs) if key != "keepdims"
        )
        level = " kept" if nest.is_kept(node) else ""
        if node.op.kind.__class__.__name__ == "Reduce":
            attrs = ""
        lines.append(f"v{number} = {node.op.name}({operands}){attrs} {node.type.element}{level}")
    for number, (node, operand) in enumerate(zip(graph.outputs, nest.outputs, strict=True)):
        lines.append(f"o{number} = {names[node]} {operand.dtype} {operand.classes(vector)}")
    for number, current in enumerate(nest.passes):
        written = " ".join(f"{names[node]}->o{index}" for node, index in current.store)
        reloads = " ".join(f"{names[node]}<-o{index}" for node, index in current.reload.items())
        lines.append(f"pass {number}: store {written}; reload {reloads}")
    assert all(n.op in (ARGUMENT, CONSTANT) or n in names for n in graph.nodes())
    return "\n".join(lines)
