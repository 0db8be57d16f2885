"""The kernel of a fused region: its canonical text, its lanes, and its native code."""

from __future__ import annotations

from functools import cache
from typing import Any

from symgraph.compiler.codegen.llvm_types import MEMORY_BYTES
from symgraph.compiler.codegen.nest import Nest
from symgraph.compiler.codegen.region_text import region_flags, region_text
from symgraph.compiler.codegen.signature import Kind, Signature
from symgraph.compiler.costs import cost_of
from symgraph.runtime.plan import Kernel, KernelSource

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
    signature = Signature(nest, kinds, region_flags(nest))
    lanes = _lanes(nest)
    text = f"region v{CODE_VERSION} lanes={lanes} {region_text(nest, kinds, stores=stores)}"

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.compiler.codegen.emit import RegionEmitter

        RegionEmitter(nest, signature, lanes, builder, args, stores=stores).emit(lo, hi)

    return KernelSource(text, build, text), signature


def columns_of(source: Kernel) -> int:
    """Return how many columns the kernel of a leading reduction takes at a time: its lanes."""
    return int(source.key_text.split("lanes=")[1].split()[0])


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
