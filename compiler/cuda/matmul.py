"""Lowering of matrix products for CUDA: floats go to cuBLAS, integers to a kernel of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.cuda.matmul_kernel import WORDS, matmul_kernel
from symgraph.compiler.library_call import Rule
from symgraph.compiler.lower_copy import lower_copy
from symgraph.compiler.views import Strides, View
from symgraph.dims import Extent, product
from symgraph.node import Node
from symgraph.runtime.plan import Argument, CudaCall, Instruction, Kernel, Opcode, Pointer
from symgraph.types import TensorType

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering

FLOATS = ("float32", "float64")
COPY_FOR_PRODUCT = "copy for a matrix product"


class Operand:
    """Where an operand of a matrix product lies.

    Attributes:
        argument: points to it.
        buffer: what is read.
        strides: of rows, columns and the matrices of a stack.
    """

    def __init__(self, lowering: Lowering, node: Node, strict: bool) -> None:
        """Find it; where cuBLAS could not read it (`strict`), emit a copy that it can."""
        view = lowering.view(node)
        step = _batch_stride(view)
        if strict and not may_be_read(view):
            if step == 0:
                view = View(view.base, view.offset, view.strides[-2:], view.shape[-2:])
            declared = TensorType(node.type.element, view.shape)
            self.buffer = lowering.arena(declared, COPY_FOR_PRODUCT)
            lower_copy(lowering, view, declared, self.buffer, node.loc, COPY_FOR_PRODUCT)
            rows, columns = view.shape[-2:]
            self.argument: Argument = Pointer(self.buffer)
            self.strides: Strides = (columns, 1, step if step == 0 else rows * columns)
            return
        self.buffer = lowering.buffer(view.base)
        self.argument = lowering.pointer(view.base, view.offset)
        self.strides = (view.strides[-2], view.strides[-1], step)


def _batch_stride(view: View) -> Extent:
    """Return the stride of the innermost batch axis, which the outer ones continue."""
    for extent, stride in zip(view.shape[-3::-1], view.strides[-3::-1], strict=True):
        if extent != 1:
            return stride
    return 0


def may_be_read(view: View) -> bool:
    """Tell whether cuBLAS might read a stack of matrices in place, for some extents at least.

    One of the last two axes has to be dense, and the other one must not repeat or run backwards.
    What only extents can tell, as the sign of a stride, is looked at when the product is computed.
    """
    axes = [
        stride
        for extent, stride in zip(view.shape[-2:], view.strides[-2:], strict=True)
        if extent != 1
    ]
    step = _batch_stride(view)
    unfit = any(isinstance(stride, int) and stride <= 0 for stride in axes)
    if unfit or (isinstance(step, int) and step < 0):
        return False
    return len(axes) < 2 or 1 in axes


def gemm_call(dtype: str, precision: str) -> CudaCall:
    """Return the call of cuBLAS for a product of floats.

    Args:
        dtype: "float32" or "float64".
        precision: to what float32 factors may be rounded.
    """
    rounded = precision if dtype == "float32" else dtype
    text = f"cuda gemm {dtype} precision={rounded}"
    options = {"dtype": dtype, "precision": rounded}
    listing = f"// cublasGemmStridedBatchedEx: {dtype}, factors as {rounded}\n"
    return CudaCall(text, "gemm", options, listing, (matmul_kernel(dtype),))


def lower_matmul(lowering: Lowering, node: Node) -> None:
    """Emit a batched matrix product; transposes and most slices are read in place."""
    dtype = node.type.element
    strict = dtype in FLOATS
    left, right = (Operand(lowering, child, strict) for child in node.inputs)
    dims = node.type.dims
    rows, columns, depth = dims[-2], dims[-1], node.inputs[0].type.dims[-1]
    count = product(dims[:-2])
    result = lowering.place(node)
    numbers = {
        "rows": rows, "columns": columns, "depth": depth, "count": count,
        "left_row": left.strides[0], "left_column": left.strides[1],
        "right_row": right.strides[0], "right_column": right.strides[1],
        "result_row": columns, "left_step": left.strides[2], "right_step": right.strides[2],
        "result_step": rows * columns,
    }  # fmt: skip
    pointers = [left.argument, right.argument, lowering.pointer(node)]
    arguments = [*pointers, *(lowering.number(numbers[name]) for name in WORDS[3:])]
    emit(
        lowering,
        node,
        gemm_call(dtype, lowering.target.precision) if strict else matmul_kernel(dtype),
        arguments,
        (left.buffer, right.buffer),
        (result,),
        (count * rows * columns, count * rows * columns * (depth + 8)),
    )


def emit(
    lowering: Lowering,
    node: Node,
    source: Kernel,
    arguments: list[Argument],
    reads: tuple[int, ...],
    writes: tuple[int, ...],
    sizes: tuple[Extent, Extent],
) -> None:
    """Emit one call with buffers of its own choice.

    Args:
        lowering: what to emit to.
        node: what is computed.
        source: the kernel or call.
        arguments: its words.
        reads: the buffers it reads.
        writes: the result, and what else it works in.
        sizes: the extent of which 0 says that there is nothing to do, and the work.
    """
    extent, work = sizes
    lowering.emit(
        Instruction(
            Opcode.CALL,
            kernel=lowering.kernel(source),
            arguments=tuple(arguments),
            reads=tuple(dict.fromkeys(reads)),
            writes=writes,
            extent=lowering.extents.index(extent),
            work=lowering.extents.index(work),
            label=node.op.name,
        ),
        (node,),
    )


MATMUL: dict[str, Rule] = {"batch_matmul": lower_matmul}
