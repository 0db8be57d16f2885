"""Gather along leading axes, and its adjoint.

Arguments of both, with k indices (pointers, then int64 numbers):

    0          source: x for gather, updates for scatter_add
    1          out
    2 .. k+1   the index arrays
    k+2        n, the elements of each index array
    k+3 ..     e1 .. ek, the extents that the indices select from
    2k+3       r, the elements of what remains of one row
    2k+4       address of the int64 status
    2k+5       the code stored there when an index is out of range

Negative indices count from the end. An index out of range reads zeros, and adds nothing.
"""

from __future__ import annotations

from typing import Any

from symgraph.runtime.jit import KernelSource

# Columns of one task of scatter_add: a few cache lines, so that tasks never share one for long.
COLUMN_BLOCK = 64

_VERSION = 1
_GATHER_DTYPES = ("bool", "int32", "int64", "float32", "float64")
_SCATTER_DTYPES = ("int32", "int64", "float32", "float64")
_INDEX_DTYPES = ("int32", "int64")


def gather_source(dtype: str, index_dtypes: tuple[str, ...]) -> KernelSource:
    """Describes the kernel for out[n, :r] = x[i1[n], ..., ik[n], :r]; tasks are the n.

    Args:
        dtype: dtype of x and out.
        index_dtypes: dtypes of the index arrays, each "int32" or "int64".

    Returns:
        The kernel's source.

    Raises:
        ValueError: a dtype is not supported, or there is no index.
    """
    _check("gather", dtype, _GATHER_DTYPES, index_dtypes)

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.gather_rows import emit_gather

        emit_gather(builder, dtype, index_dtypes, args, lo, hi)

    indices = _index_text(index_dtypes)
    listing = "\n".join(
        [
            f"# gather, {dtype}, indices {', '.join(index_dtypes)}",
            "for n in [lo, hi):",
            f"    out[n, :r] = x[{indices}, :r] if in range else 0, *status = code",
        ]
    )
    return KernelSource(f"gather {_VERSION} {dtype} {','.join(index_dtypes)}", build, listing)


def scatter_add_source(dtype: str, index_dtypes: tuple[str, ...]) -> KernelSource:
    """Describes the kernel for out = 0; out[i1[n], ..., ik[n], :r] += updates[n, :r] for all n.

    Tasks are blocks of `COLUMN_BLOCK` of the r columns. Each task sets and adds its own columns
    only, so the order of every sum is the order of n.

    Args:
        dtype: dtype of updates and out.
        index_dtypes: dtypes of the index arrays, each "int32" or "int64".

    Returns:
        The kernel's source.

    Raises:
        ValueError: a dtype is not supported, or there is no index.
    """
    _check("scatter_add", dtype, _SCATTER_DTYPES, index_dtypes)

    def build(builder: Any, args: Any, lo: Any, hi: Any) -> None:
        from symgraph.runtime.kernels.gather_rows import emit_scatter_add

        emit_scatter_add(builder, dtype, index_dtypes, COLUMN_BLOCK, args, lo, hi)

    indices = _index_text(index_dtypes)
    listing = "\n".join(
        [
            f"# scatter_add, {dtype}, indices {', '.join(index_dtypes)}",
            f"columns = [{COLUMN_BLOCK} * lo, min({COLUMN_BLOCK} * hi, r))",
            "out[..., columns] = 0",
            "for n in [0, N):",
            f"    out[{indices}, columns] += updates[n, columns] if in range else *status = code",
        ]
    )
    key_text = f"scatter_add {_VERSION} {COLUMN_BLOCK} {dtype} {','.join(index_dtypes)}"
    return KernelSource(key_text, build, listing)


def _check(
    name: str, dtype: str, supported: tuple[str, ...], index_dtypes: tuple[str, ...]
) -> None:
    """Rejects what the kernel of a name does not support."""
    if dtype not in supported:
        raise ValueError(f"no {name} for dtype {dtype!r}: use one of {list(supported)}")
    if not index_dtypes:
        raise ValueError(f"{name} needs at least one index")
    for index_dtype in index_dtypes:
        if index_dtype not in _INDEX_DTYPES:
            raise ValueError(
                f"no {name} by indices of dtype {index_dtype!r}: use one of {list(_INDEX_DTYPES)}"
            )


def _index_text(index_dtypes: tuple[str, ...]) -> str:
    return ", ".join(f"i{number}[n]" for number in range(1, len(index_dtypes) + 1))
