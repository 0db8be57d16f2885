"""The lowering rules of the ops that have kernels of their own, for CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.cuda import arg_reduce, scan
from symgraph.compiler.cuda.convolution import CONVOLUTION
from symgraph.compiler.cuda.gather import gather_kernel
from symgraph.compiler.cuda.matmul import MATMUL, emit
from symgraph.compiler.cuda.patches import col2im_kernel, geometry_of, im2col_kernel
from symgraph.compiler.cuda.pieces import Pieces, pieces_of
from symgraph.compiler.cuda.pooling import (
    max_pool_kernel,
    max_pool_scatter_kernel,
    max_pool_select_kernel,
    window_mean_kernel,
    window_spread_kernel,
)
from symgraph.compiler.cuda.scatter import scatter_add_kernel, tile_columns, tile_rows
from symgraph.compiler.library_call import Rule, dense, emit_call
from symgraph.compiler.lower_library import (
    index_dtypes,
    indexed_arguments,
    lower_assemble,
    walked_axis,
)
from symgraph.compiler.lower_pooling import ImageKernels, pooling_rules
from symgraph.dims import Extent, product
from symgraph.node import Node
from symgraph.runtime.plan import Argument, CudaKernel, Kernel, Pointer
from symgraph.types import TensorType

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering


def lower_gather(lowering: Lowering, node: Node) -> None:
    """Emit reads of rows at indices that are checked when they are used."""
    array, *indices = node.inputs
    source = gather_kernel(array.type.element, index_dtypes(node))
    arguments = indexed_arguments(lowering, node, array.type.dims)
    count = product(indices[0].type.dims)
    emit_call(lowering, node, source, arguments, count, product(node.type.dims) * 8)


def lower_scatter_add(lowering: Lowering, node: Node) -> None:
    """Emit sums at indices, in the order of the indices."""
    updates, *indices = node.inputs
    shape = node.type.dims
    targets, row = product(shape[: len(indices)]), product(shape[len(indices) :])
    source = scatter_add_kernel(updates.type.element, index_dtypes(node), tile_columns(row))
    arguments = indexed_arguments(lowering, node, shape)
    arguments += [lowering.number(extent) for extent in tile_rows(targets, row)]
    work = (product(updates.type.dims) + product(shape)) * 8
    emit_call(lowering, node, source, arguments, row, work)


def _pieces(
    lowering: Lowering, node: Node, smallest: tuple[int, int], dtype: str
) -> tuple[Pieces, list[Argument], int]:
    """Cut the axis that a node walks, and make room for a number for each of several pieces.

    Args:
        lowering: what to emit to.
        node: the op.
        smallest: the least that a piece has: of a row, and of a column.
        dtype: of the numbers.

    Returns:
        The pieces, the words of all kernels of the walk, and the buffer of the numbers or -1.
    """
    (array,) = node.inputs
    pieces = pieces_of(array.type.dims, walked_axis(lowering, node), *smallest)
    lowering.place(node)
    words = [dense(lowering, array), lowering.pointer(node)]
    words += [lowering.number(extent) for extent in pieces]
    if pieces.number == 1:
        return pieces, [*words, lowering.number(0)], -1
    partial = lowering.arena(TensorType(dtype, pieces.partial), f"pieces of {node.op.name}")
    return pieces, [*words, Pointer(partial)], partial


def _emit_walk(
    lowering: Lowering,
    node: Node,
    source: Kernel,
    words: list[Argument],
    buffers: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    """Emit one call of a walk, which reads and writes these buffers."""
    size = product(node.inputs[0].type.dims)
    emit(lowering, node, source, words, *buffers, (size, size * 16))


def lower_cumsum(lowering: Lowering, node: Node) -> None:
    """Emit running sums; those of a piece begin with the sum of the pieces before it."""
    dtype = node.type.element
    summed = "float64" if dtype == "float32" else dtype
    smallest = (scan.ROW_CHUNK, scan.COLUMN_CHUNK)
    pieces, words, partial = _pieces(lowering, node, smallest, summed)
    rows = pieces.inner == 1
    read, result = lowering.buffer(lowering.view(node.inputs[0]).base), lowering.place(node)
    reads: tuple[int, ...] = (read,)
    if partial >= 0:
        totals = scan.totals_kernel(dtype, rows=rows)
        _emit_walk(lowering, node, totals, words, ((read,), (partial,)))
        extents = (pieces.outer, pieces.number, pieces.inner, pieces.number, 1, 0)
        place: list[Argument] = [Pointer(partial), Pointer(partial)]
        place += [lowering.number(extent) for extent in extents]
        sums = scan.cumsum_kernel(summed, rows=rows)
        _emit_walk(lowering, node, sums, place, ((partial,), (partial,)))
        reads = (read, partial)
    _emit_walk(lowering, node, scan.cumsum_kernel(dtype, rows=rows), words, (reads, (result,)))


def lower_arg_reduce(lowering: Lowering, node: Node) -> None:
    """Emit positions of extremes: of each piece, and then the best of them."""
    name, dtype = node.op.name, node.inputs[0].type.element
    smallest = (arg_reduce.ROW_CHUNK, arg_reduce.COLUMN_CHUNK)
    pieces, words, partial = _pieces(lowering, node, smallest, "int64")
    read, result = lowering.buffer(lowering.view(node.inputs[0]).base), lowering.place(node)
    # With one piece, the first call writes the result itself.
    writes = (result,) if partial < 0 else (result, partial)
    source = arg_reduce.arg_reduce_kernel(name, dtype, rows=pieces.inner == 1)
    _emit_walk(lowering, node, source, words, ((read,), writes))
    if partial >= 0:
        source = arg_reduce.meet_kernel(name, dtype)
        _emit_walk(lowering, node, source, words, ((read, partial), (result,)))


def _emit_with_extent(
    lowering: Lowering,
    node: Node,
    source: Kernel,
    arguments: list[Argument],
    extent: Extent,
    work: Extent,
) -> None:
    """Emit a call whose last word is the extent, which on the CPU says itself where to work."""
    words = [*arguments, lowering.number(extent)]
    emit_call(lowering, node, source, words, extent, work)


def _im2col(node: Node) -> CudaKernel:
    return im2col_kernel(node.type.element, geometry_of(node), to_matrix=node.attrs["to_matrix"])


def _col2im(node: Node) -> CudaKernel:
    return col2im_kernel(node.type.element, geometry_of(node), to_matrix=node.attrs["to_matrix"])


CUDA_LIBRARY: dict[str, Rule] = {
    "gather": lower_gather,
    "scatter_add": lower_scatter_add,
    "cumsum": lower_cumsum,
    "argmax": lower_arg_reduce,
    "argmin": lower_arg_reduce,
    "assemble": lower_assemble,
    **pooling_rules(
        ImageKernels(
            pooling={
                "max_pool2d": max_pool_kernel,
                "max_pool2d_select": max_pool_select_kernel,
                "max_pool2d_scatter": max_pool_scatter_kernel,
                "window_mean2d": window_mean_kernel,
                "window_spread2d": window_spread_kernel,
            },
            patches={"im2col": _im2col, "col2im": _col2im},
            told=False,
            emit=_emit_with_extent,
        )
    ),
    **CONVOLUTION,
    **MATMUL,
}
