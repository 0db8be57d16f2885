"""Lowering of the ops that have kernels of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.direct_writes import covered, placed
from symgraph.compiler.library_call import Rule, dense, emit_call
from symgraph.compiler.lower_convolution import CONVOLUTION
from symgraph.compiler.lower_pooling import POOLING
from symgraph.compiler.lower_region import lower_region
from symgraph.compiler.materialise import COPY
from symgraph.compiler.region import FUSED, Access, Region
from symgraph.compiler.views import View, row_major
from symgraph.dims import Extent, floor_divide, product
from symgraph.leaves import ARGUMENT, Constant
from symgraph.node import Graph, Node
from symgraph.runtime.kernels.arg_reduce import arg_reduce_source
from symgraph.runtime.kernels.gather import COLUMN_BLOCK, gather_source, scatter_add_source
from symgraph.runtime.kernels.gemm import gemm_source, gemm_task_shape
from symgraph.runtime.kernels.scan import cumsum_source
from symgraph.runtime.plan import Argument, KernelSource, StatusAddress
from symgraph.types import Shape, TensorType, TupleType, normalise_axis

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering


def _batch_stride(view: View) -> Extent:
    """Return the stride of the innermost batch axis, which the outer ones continue."""
    for extent, stride in zip(view.shape[-3::-1], view.strides[-3::-1], strict=True):
        if extent != 1:
            return stride
    return 0


def lower_matmul(lowering: Lowering, node: Node) -> None:
    """Emit a batched matrix product; transposes and slices are read in place through strides."""
    left, right = (lowering.view(child) for child in node.inputs)
    dims = node.type.dims
    rows, columns, depth = dims[-2], dims[-1], left.shape[-1]
    batch = product(dims[:-2])
    number = lowering.number
    lowering.place(node)
    pointers: list[Argument] = [
        lowering.pointer(left.base, left.offset),
        lowering.pointer(right.base, right.offset),
        lowering.pointer(node),
        number(0),
    ]
    numbers = [
        rows, columns, depth,
        left.strides[-2], left.strides[-1], right.strides[-2], right.strides[-1], columns,
        _batch_stride(left), _batch_stride(right), rows * columns, 0,
    ]  # fmt: skip
    task_rows, task_columns = gemm_task_shape(node.type.element)
    tasks = (
        batch
        * floor_divide(rows + task_rows - 1, task_rows)
        * floor_divide(columns + task_columns - 1, task_columns)
    )
    arguments = [*pointers, *(number(extent) for extent in numbers)]
    work = batch * rows * columns * (depth + 8)
    emit_call(lowering, node, gemm_source(node.type.element), arguments, tasks, work, pieces=4)


def indexed_arguments(lowering: Lowering, node: Node, shape: Shape) -> list[Argument]:
    """Return the arguments of a gather from an array of this shape, or of a sum at indices to one.

    Its inputs are an array and the indices; one that is out of range is a problem of the node.
    """
    array, *indices = node.inputs
    count = product(indices[0].type.dims)
    row = product(shape[len(indices) :])
    lowering.place(node)
    arguments = [dense(lowering, array), lowering.pointer(node)]
    arguments += [dense(lowering, index) for index in indices]
    arguments += [lowering.number(extent) for extent in (count, *shape[: len(indices)], row)]
    return [*arguments, StatusAddress(), lowering.number(lowering.problem_code("bounds", (node,)))]


def index_dtypes(node: Node) -> tuple[str, ...]:
    """Return the dtypes of the indices of a node."""
    return tuple(index.type.element for index in node.inputs[1:])


def lower_gather(lowering: Lowering, node: Node) -> None:
    """Emit reads of rows at indices that are checked when they are used."""
    array, *indices = node.inputs
    count = product(indices[0].type.dims)
    source = gather_source(array.type.element, index_dtypes(node))
    arguments = indexed_arguments(lowering, node, array.type.dims)
    emit_call(lowering, node, source, arguments, count, product(node.type.dims) * 8)


def lower_scatter_add(lowering: Lowering, node: Node) -> None:
    """Emit an accumulation of rows at indices, in the order of the indices."""
    updates, *indices = node.inputs
    shape = node.type.dims
    row = product(shape[len(indices) :])
    source = scatter_add_source(updates.type.element, index_dtypes(node))
    arguments = indexed_arguments(lowering, node, shape)
    blocks = floor_divide(row + COLUMN_BLOCK - 1, COLUMN_BLOCK)
    work = (product(updates.type.dims) + product(shape)) * 8
    emit_call(lowering, node, source, arguments, blocks, work)


def walked_axis(lowering: Lowering, node: Node) -> int:
    """Return the axis that a node walks; that of a position must not be empty."""
    dims = node.inputs[0].type.dims
    axis = normalise_axis(node.attrs["axis"], len(dims))
    if node.op.name != "cumsum":
        lowering.require(
            "at least", dims[axis], 1,
            f"{node.op.name} of an empty axis has no value (made at {node.loc})",
        )  # fmt: skip
    return axis


def _along_axis(lowering: Lowering, node: Node, source: KernelSource) -> None:
    """Emit a kernel that walks one axis of an array seen as (outer, axis, inner)."""
    (array,) = node.inputs
    dims, axis = array.type.dims, walked_axis(lowering, node)
    outer, inner = product(dims[:axis]), product(dims[axis + 1 :])
    lowering.place(node)
    arguments = [dense(lowering, array), lowering.pointer(node)]
    arguments += [lowering.number(extent) for extent in (outer, dims[axis], inner)]
    emit_call(lowering, node, source, arguments, outer, product(dims) * 16)


def lower_cumsum(lowering: Lowering, node: Node) -> None:
    """Emit a running sum."""
    _along_axis(lowering, node, cumsum_source(node.type.element))


def lower_arg_reduce(lowering: Lowering, node: Node) -> None:
    """Emit the position of a maximum or minimum."""
    _along_axis(lowering, node, arg_reduce_source(node.op.name, node.inputs[0].type.element))


def lower_assemble(lowering: Lowering, node: Node) -> None:
    """Emit one kernel that fills the array (unless the parts cover it) and one for each part."""
    result = lowering.place(node)
    shape = node.type.dims
    if not covered(node):
        fill = Constant(node.attrs["fill"], node.type.element)
        _write(lowering, node, fill, (0,) * len(shape), shape, Access(0, row_major(shape)), result)
    for part, (starts, steps) in zip(node.inputs, node.attrs["placements"], strict=True):
        if lowering.writes_directly(part):
            continue
        view = lowering.view(part)
        whole = placed(node, starts)
        strides = tuple(
            0 if extent == 1 else stride * step
            for extent, stride, step in zip(view.shape, whole.strides, steps, strict=True)
        )
        read = view.broadcast_strides(len(shape))
        _write(lowering, node, part, read, view.shape, Access(whole.offset, strides), result)


def _write(
    lowering: Lowering,
    node: Node,
    part: Node,
    strides: tuple[Extent, ...],
    domain: tuple[Extent, ...],
    write: Access,
    result: int,
) -> None:
    """Emit a region that copies `part` into a place of the result."""
    declared = TensorType(part.type.dtype, domain if isinstance(part, Constant) else part.type.dims)
    leaf = Node(ARGUMENT, (), {"type": declared}, declared, node.loc)
    view = lowering.view(part)
    region = Region(
        Graph((leaf,), (COPY(leaf),)), domain, (), (Access(view.offset, strides),), None, (node,)
    )
    type_ = TupleType((declared,))
    fused = Node(FUSED, (view.base,), {"region": region, "type": type_}, type_, node.loc)
    lower_region(lowering, fused, (write,), (result,))


LIBRARY: dict[str, Rule] = {
    "batch_matmul": lower_matmul,
    "gather": lower_gather,
    "scatter_add": lower_scatter_add,
    "cumsum": lower_cumsum,
    "argmax": lower_arg_reduce,
    "argmin": lower_arg_reduce,
    "assemble": lower_assemble,
    **CONVOLUTION,
    **POOLING,
}
