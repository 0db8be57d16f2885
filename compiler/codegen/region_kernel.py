"""The kernel of a fused region: its canonical text, its lanes, and its native code."""

from __future__ import annotations

from functools import cache
from typing import Any

from symgraph.compiler.codegen.llvm_types import MEMORY_BYTES
from symgraph.compiler.codegen.nest import Nest
from symgraph.compiler.codegen.signature import Kind, Signature
from symgraph.compiler.costs import cost_of
from symgraph.leaves import ARGUMENT, CONSTANT, Constant
from symgraph.node import Node
from symgraph.op import Elementwise
from symgraph.runtime.plan import KernelSource

CODE_VERSION = 7
"""Part of every key; raised when the emitted code changes for the same text."""


def region_source(
    nest: Nest, kinds: tuple[Kind, ...], *, stores: bool = True
) -> tuple[KernelSource, Signature]:
    """Return the kernel of a region and the layout of its arguments.

    Args:
        nest: the region's loops.
        kinds: for each input whether it is memory, an affine index or an extent.
        stores: whether it writes its outputs; if not, it only reports problems.
    """
    signature = Signature(nest, kinds, _flags(nest))
    lanes = _lanes(nest)
    text = _canonical_text(nest, kinds, lanes) + ("" if stores else "\nwithout stores")

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.compiler.codegen.emit import RegionEmitter

        RegionEmitter(nest, signature, lanes, builder, args, stores=stores).emit(lo, hi)

    return KernelSource(text, build, text), signature


def _flags(nest: Nest) -> tuple[str, ...]:
    """Return the kinds of problems that the body may report, each once."""
    found: dict[str, None] = {}
    for node in nest.order:
        if isinstance(node.op.kind, Elementwise):
            dtypes = tuple(child.type.element for child in node.inputs)
            found.update(dict.fromkeys(node.op.kind.flags(dtypes)))
    return tuple(found)


@cache
def vector_bytes() -> int:
    """Return the width of the widest vector registers of this machine."""
    from symgraph.runtime.host import host_features

    return 64 if "avx512f" in host_features() else 32


def _lanes(nest: Nest) -> int:
    if nest.mode == "scalar":
        return 1
    vector = nest.vector
    if any(output.classes(vector)[vector] == "s" for output in nest.outputs):
        return 1
    widest = max(
        (MEMORY_BYTES[node.type.element] for node in nest.order if not nest.is_kept(node)),
        default=4,
    )
    widest = max(
        [widest, *(MEMORY_BYTES[o.dtype] for o in nest.inputs if o.classes(vector)[vector] != "0")]
    )
    lanes = vector_bytes() // max(widest, 4)
    if nest.mode == "elementwise" and len(nest.loops) == 1:
        return lanes * _unrolling(sum(cost_of(node) for node in nest.order))
    # A leading reduction walks down columns: wider blocks use whole cache lines of each row.
    return lanes * 2 if nest.mode == "leading" and len(nest.order) <= 24 else lanes


def _unrolling(primitives: int) -> int:
    """Return how many vectors to work on at a time.

    Several hide the latency of long chains of operations, the longer the more; for bodies of
    hundreds of operations that is not worth the time to compile them.
    """
    if primitives > 180:
        return 1
    return 1 if primitives < 36 else 2 if primitives < 60 else 4 if primitives < 90 else 8


def _canonical_text(nest: Nest, kinds: tuple[Kind, ...], lanes: int) -> str:
    """Return a text that is equal for regions with equal code; no user's name is in it."""
    names: dict[Node, str] = {}
    graph = nest.region.graph
    vector = nest.vector
    loops = " ".join("reduced" if entry.reduced else "kept" for entry in nest.loops)
    lines = [
        f"region v{CODE_VERSION} {nest.mode} lanes={lanes} vector={vector} loops=[{loops}]"
        + (" chunked" if nest.region.chunk is not None else "")
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
        stores = " ".join(f"{names[node]}->o{index}" for node, index in current.store)
        reloads = " ".join(f"{names[node]}<-o{index}" for node, index in current.reload.items())
        lines.append(f"pass {number}: store {stores}; reload {reloads}")
    assert all(n.op in (ARGUMENT, CONSTANT) or n in names for n in graph.nodes())
    return "\n".join(lines)
