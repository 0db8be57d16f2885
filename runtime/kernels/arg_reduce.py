"""Positions of extremes: out[o, i] = the first k where x[o, k, i] is largest or smallest.

Arguments: 0 x, 1 out (pointers), 2 outer, 3 n, 4 inner (int64). Tasks are the o. The first NaN wins
over every number, as in NumPy. Where n is 0 the position is 0.
"""

from __future__ import annotations

from typing import Any

from symgraph.runtime.jit import KernelSource

_VERSION = 1
_NAMES = {"argmax": "largest", "argmin": "smallest"}
_DTYPES = ("bool", "int32", "int64", "float32", "float64")


def arg_reduce_source(name: str, dtype: str) -> KernelSource:
    """Describes the kernel of positions of extremes.

    Args:
        name: "argmax" or "argmin".
        dtype: dtype of x; out is int64.

    Returns:
        The kernel's source.

    Raises:
        ValueError: the name or the dtype is not supported.
    """
    if name not in _NAMES:
        raise ValueError(f"unknown reduction {name!r}: use one of {list(_NAMES)}")
    if dtype not in _DTYPES:
        raise ValueError(f"no {name} for dtype {dtype!r}: use one of {list(_DTYPES)}")

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.arg_reduce_rows import emit_arg_reduce

        emit_arg_reduce(builder, dtype, name == "argmax", args, lo, hi)

    listing = "\n".join(
        [
            f"# {name}, {dtype}",
            "for o, i in [lo, hi) x [0, inner):",
            f"    out[o, i] = first k in [0, n) where x[o, k, i] is {_NAMES[name]} (or NaN)",
        ]
    )
    return KernelSource(f"arg_reduce {_VERSION} {name} {dtype}", build, listing)
