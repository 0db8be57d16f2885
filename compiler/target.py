"""Targets: what lowering asks of the device that a plan is to run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from symgraph.compiler.codegen.nest import Nest
from symgraph.compiler.codegen.signature import Kind, Signature
from symgraph.compiler.library_call import Rule
from symgraph.runtime.plan import Kernel


class RegionRule(Protocol):
    """Makes the kernel of a fused region."""

    def __call__(
        self, nest: Nest, kinds: tuple[Kind, ...], *, stores: bool = True
    ) -> tuple[Kernel, Signature]:
        """Return the kernel and the layout of its arguments.

        Args:
            nest: the region's loops.
            kinds: for each input whether it is memory, an affine index or an extent.
            stores: whether it writes its outputs; if not, it only reports problems.
        """


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of device.

    Args:
        name: "cpu" or "cuda".
        region: makes the kernels of fused regions.
        library: the lowering rules of the ops with kernels of their own.
        columns: how many columns the kernel of a leading reduction takes at a time.
        long_row: elements from which a row may be written over its input without slowing down.
        precision: of the factors of float32 matrix products.
    """

    name: str
    region: RegionRule
    library: Mapping[str, Rule]
    columns: Callable[[Kernel], int]
    long_row: int
    precision: str = "float32"


def cpu_target() -> Target:
    """Return what lowers to native code of the host."""
    from symgraph.compiler.codegen.region_kernel import columns_of, region_source
    from symgraph.compiler.lower_library import LIBRARY

    return Target("cpu", region_source, LIBRARY, columns_of, long_row=128)


def cuda_target(precision: str) -> Target:
    """Return what lowers to CUDA C and library calls.

    Args:
        precision: "float32", "tf32" or "bfloat16".
    """
    from symgraph.compiler.cuda.library import CUDA_LIBRARY
    from symgraph.compiler.cuda.region import cuda_region

    return Target("cuda", cuda_region, CUDA_LIBRARY, lambda kernel: 1, 0, precision)
