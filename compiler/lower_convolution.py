"""Lowering of convolution, its transpose and its weight's gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from symgraph.compiler.library_call import Rule, dense, emit_call
from symgraph.dims import Extent, floor_divide, minimum, product
from symgraph.node import Node
from symgraph.runtime.kernels.convolution import (
    PATCH_ROWS,
    SUM_BLOCK,
    ScatterTask,
    convolution_scatter_source,
    convolution_source,
    convolution_weight_source,
    pays_to_scatter,
    scatter_task,
    sum_of_parts_source,
    weight_parts,
)
from symgraph.runtime.kernels.gemm import gemm_task_shape
from symgraph.runtime.plan import Argument, Instruction, Opcode, Pointer
from symgraph.types import TensorType

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering

_PIECES = 4  # packing what chunks share is done once for each chunk
_MANY_PIECES = 64  # tasks of a weight's gradient are large, and share nothing


def _ceiling(extent: Extent, divisor: int) -> Extent:
    return floor_divide(extent + (divisor - 1), divisor)


class _Shapes:
    """The extents of a convolution, whichever of its three arrays is the result."""

    def __init__(self, inputs: Node, weight: Node, outputs: Node, groups: int) -> None:
        """Take the three arrays apart."""
        self.batch, _, *self.input = inputs.type.dims
        self.outputs = floor_divide(weight.type.dims[0], groups)
        self.inputs = weight.type.dims[1]
        self.kernel = weight.type.dims[2:]
        self.output = outputs.type.dims[2:]
        self.groups = groups

    @property
    def work(self) -> Extent:
        """Return the multiplications."""
        weights = self.groups * self.outputs * self.inputs * product(self.kernel)
        multiplications: Extent = self.batch * product(self.output) * weights
        return multiplications


def _arguments(
    lowering: Lowering,
    shapes: _Shapes,
    node: Node,
    pointers: tuple[Argument, ...],
    variant: Extent,
    task_inputs: int = 0,
) -> list[Argument]:
    """Return the argument block; `pointers` are those of the weight, the input and the output."""
    numbers = [
        shapes.batch, shapes.groups, shapes.inputs, shapes.outputs,
        *shapes.input, *shapes.output, *shapes.kernel,
        *node.attrs["stride"], *node.attrs["pad"], *node.attrs["dilation"],
        variant, task_inputs,
    ]  # fmt: skip
    return [*pointers, *(lowering.number(extent) for extent in numbers)]


def _tasks(dtype: str, batch: Extent, rows: Extent, columns: Extent) -> Extent:
    task_rows, task_columns = gemm_task_shape(dtype)
    return batch * _ceiling(rows, task_rows) * _ceiling(columns, task_columns)


def lower_convolution(lowering: Lowering, node: Node) -> None:
    """Emit a convolution."""
    images, weight = node.inputs
    shapes = _Shapes(images, weight, node, node.attrs["groups"])
    lowering.place(node)
    pointers = (dense(lowering, weight), dense(lowering, images), lowering.pointer(node))
    dtype = node.type.element
    columns = shapes.batch * product(tuple(shapes.output))
    tasks = _tasks(dtype, shapes.groups, shapes.outputs, columns)
    arguments = _arguments(lowering, shapes, node, pointers, 0)
    emit_call(
        lowering, node, convolution_source(dtype), arguments, tasks, shapes.work, pieces=_PIECES
    )


def lower_convolution_input(lowering: Lowering, node: Node) -> None:
    """Emit a transposed convolution, gathered or scattered."""
    images, weight = node.inputs
    shapes = _Shapes(node, weight, images, node.attrs["groups"])
    lowering.place(node)
    pointers = (dense(lowering, weight), lowering.pointer(node), dense(lowering, images))
    task = _scatter_task(node, shapes)
    if task is None:
        _gather(lowering, node, shapes, pointers)
        return
    blocks = _ceiling(shapes.batch, task.images) * _ceiling(shapes.inputs, task.inputs)
    source = convolution_scatter_source(node.type.element)
    arguments = _arguments(lowering, shapes, node, pointers, *task)
    tasks = shapes.groups * blocks
    emit_call(lowering, node, source, arguments, tasks, shapes.work, pieces=_MANY_PIECES)


def _scatter_task(node: Node, shapes: _Shapes) -> ScatterTask | None:
    """Return what a task of a scattered transpose covers, None where it is to be gathered."""
    extents = (shapes.inputs, shapes.outputs, *shapes.input, *shapes.output, *shapes.kernel)
    if node.attrs["stride"] != (1, 1) or not all(isinstance(e, int) and e for e in extents):
        return None
    inputs, outputs, height, width, rows, columns, *kernel = cast("list[int]", list(extents))
    waste = height * width / (rows * columns)
    if not pays_to_scatter(inputs, outputs, waste):
        return None
    return scatter_task(rows * columns, kernel[0] * kernel[1])


def _gather(
    lowering: Lowering, node: Node, shapes: _Shapes, pointers: tuple[Argument, ...]
) -> None:
    """Emit a transposed convolution as one small convolution for each residue of positions."""
    dtype = node.type.element
    stride: tuple[int, int] = node.attrs["stride"]
    grid = product(tuple(map(_ceiling, shapes.input, stride)))
    residues = stride[0] * stride[1]
    tasks = _tasks(dtype, shapes.groups * residues, shapes.inputs, shapes.batch * grid)
    arguments = _arguments(lowering, shapes, node, pointers, 1)
    emit_call(
        lowering, node, convolution_source(dtype), arguments, tasks, shapes.work, pieces=_PIECES
    )


def lower_convolution_weight(lowering: Lowering, node: Node) -> None:
    """Emit a weight's gradient: the sums over parts of the positions, then the sum of these."""
    images, gradient = node.inputs
    groups: int = node.attrs["groups"]
    shapes = _Shapes(images, node, gradient, groups)
    result = lowering.place(node)
    dtype = node.type.element
    rows = shapes.inputs * product(shapes.kernel)
    parts = _parts(node, rows)
    target: Argument = Pointer(result)
    written = result
    if parts != 1:
        apart = TensorType(dtype, (parts, *node.type.dims))
        written = lowering.arena(apart, "parts of convolution_weight")
        target = Pointer(written)
    pointers = (target, dense(lowering, images), dense(lowering, gradient))
    arguments = _arguments(lowering, shapes, node, pointers, parts)
    tasks = parts * groups * _ceiling(rows, PATCH_ROWS)
    source = convolution_weight_source(dtype)
    emit_call(
        lowering, node, source, arguments, tasks, shapes.work, pieces=_MANY_PIECES, writes=written
    )
    if parts != 1:
        _emit_sum(lowering, node, written, parts)


def _parts(node: Node, rows: Extent) -> Extent:
    """Return into how many parts a weight's gradient is cut, together no larger than its inputs.

    That depends on no more than extents, so threads do not change the order of additions.
    """
    size: Extent = node.type.size
    if not isinstance(rows, int) or not isinstance(size, int) or size == 0:
        return 1
    wanted = weight_parts(rows, node.attrs["groups"])
    given = sum((child.type.size for child in node.inputs), 0)
    return minimum(wanted, floor_divide(given, size) + 1) if wanted > 1 else 1


def _emit_sum(lowering: Lowering, node: Node, apart: int, parts: Extent) -> None:
    """Emit the sum of the parts in their order."""
    index, number = lowering.extents.index, lowering.number
    result, size = lowering.place(node), node.type.size
    lowering.emit(
        Instruction(
            Opcode.CALL,
            kernel=lowering.kernel(sum_of_parts_source(node.type.element)),
            arguments=(Pointer(apart), Pointer(result), number(parts), number(size)),
            reads=(apart,),
            writes=(result,),
            extent=index(_ceiling(size, SUM_BLOCK)),
            work=index(parts * size),
            label=f"sum of the parts of {node.op.name}",
        ),
        (node,),
    )


CONVOLUTION: dict[str, Rule] = {
    "convolution": lower_convolution,
    "convolution_input": lower_convolution_input,
    "convolution_weight": lower_convolution_weight,
}
