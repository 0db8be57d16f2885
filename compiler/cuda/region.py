"""The kernel of a fused region in CUDA C."""

from __future__ import annotations

from symgraph.compiler.codegen.nest import Nest
from symgraph.compiler.codegen.region_text import region_flags, region_text
from symgraph.compiler.codegen.signature import Kind, Signature
from symgraph.compiler.cuda import region_columns, region_flat, region_patch, region_rows
from symgraph.compiler.cuda.region_code import RegionCode
from symgraph.compiler.cuda.region_order import coalesced
from symgraph.runtime.plan import CudaKernel, LaunchRule, cuda_kernel

CODE_VERSION = 2
"""Part of every key; raised when the emitted code changes for the same text."""
THREADS = {
    "scalar": 1,
    "elementwise": region_flat.THREADS,
    "trailing": region_rows.MOST_LANES,
    "leading": region_columns.MOST_THREADS,
}


def cuda_region(
    nest: Nest, kinds: tuple[Kind, ...], *, stores: bool = True
) -> tuple[CudaKernel, Signature]:
    """Return the kernel of a region and the layout of its arguments.

    Args:
        nest: the region's loops.
        kinds: for each input whether it is memory, an affine index or an extent.
        stores: whether it writes its outputs; if not, it only reports problems.
    """
    nest = coalesced(nest, kinds)
    signature = Signature(nest, kinds, region_flags(nest))
    code = RegionCode(nest, signature, stores=stores)
    turned = region_patch.turned_inputs(code)
    launch = region_patch.patch_region(code, turned) if turned else _write(code)
    text = f"cuda region v{CODE_VERSION} turned={turned} {region_text(nest, kinds, stores=stores)}"
    kernel = cuda_kernel(
        text, code.body(), len(signature.slots), launch, code.helpers(), THREADS[nest.mode]
    )
    return kernel, signature


def _write(code: RegionCode) -> LaunchRule:
    match code.nest.mode:
        case "scalar":
            return region_flat.single_region(code)
        case "elementwise":
            return region_flat.flat_region(code)
        case "trailing":
            return region_rows.row_region(code)
        case _:
            return region_columns.column_region(code)
