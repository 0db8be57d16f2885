"""Running sums: out[o, k, i] = x[o, 0, i] + ... + x[o, k, i], added in order of k.

Arguments: 0 x, 1 out (pointers), 2 outer, 3 n, 4 inner (int64). Tasks are the o. Sums are made in
the array's own dtype; integers wrap.
"""

from __future__ import annotations

from typing import Any

from symgraph.runtime.jit import KernelSource

_VERSION = 1
_DTYPES = ("int32", "int64", "float32", "float64")


def cumsum_source(dtype: str) -> KernelSource:
    """Describes the kernel of running sums.

    Args:
        dtype: dtype of x and out.

    Returns:
        The kernel's source.

    Raises:
        ValueError: the dtype is not supported.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"no cumsum for dtype {dtype!r}: use one of {list(_DTYPES)}")

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.scan_rows import emit_cumsum

        emit_cumsum(builder, dtype, args, lo, hi)

    listing = "\n".join(
        [
            f"# cumsum, {dtype}",
            "for o, k, i in [lo, hi) x [0, n) x [0, inner):",
            "    out[o, k, i] = (out[o, k - 1, i] if k > 0 else -0) + x[o, k, i]",
        ]
    )
    return KernelSource(f"cumsum {_VERSION} {dtype}", build, listing)
