"""Lowering of convolution, its transpose and its weight's gradient for CUDA.

Floats go through columns and cuBLAS, tile by tile (`symgraph.runtime.cuda.tiles`), unless a group
has few filters; those and integers have kernels that read windows from the images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symgraph.compiler.cuda.column_kernels import (
    columns_kernel,
    images_kernel,
    merging_kernel,
    parting_kernel,
    sum_of_parts_kernel,
)
from symgraph.compiler.cuda.direct_convolution import (
    LEAST_POSITIONS,
    direct_convolution_kernel,
    direct_transpose_kernel,
    direct_weight_kernel,
    taps_together,
)
from symgraph.compiler.cuda.matmul import FLOATS, emit
from symgraph.compiler.cuda.window_text import Window
from symgraph.compiler.library_call import Rule, dense
from symgraph.dims import Extent, floor_divide, maximum, minimum, product
from symgraph.node import Node
from symgraph.runtime.plan import Argument, CudaCall, CudaKernel, Pointer
from symgraph.types import TensorType

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering

TILE_BYTES = 64 << 20
"""What the columns of one tile may take.

With much less a product would have too few tiles for all multiprocessors of a large GPU; with more
the arena would grow and nothing be gained.
"""
ALIGNED = 4
"""Rows of columns begin at multiples of so many elements: cuBLAS then loads several at a time."""
FEW_FILTERS = 8
"""Filters in a group up to which columns do not pay."""
MERGING_COST = 64
"""What rearranging one number costs, in multiplications that a product does meanwhile: 8 bytes are
moved at some 4 TB/s while some 20 T of them are done in a second."""
_WANTED_TILES = 264
"""Tiles of a product that keep a large GPU busy: two for each of its 132 multiprocessors."""
_PRODUCT_TILE = 64


@dataclass(frozen=True)
class Shapes:
    """What a convolution is of, whichever of its three arrays is the result.

    Args:
        node: the op.
        images: the node (N, groups * inputs, H, W).
        weight: (groups * filters, inputs, KH, KW).
        outputs: (N, groups * filters, OH, OW).
    """

    node: Node
    images: Node
    weight: Node
    outputs: Node

    @property
    def dtype(self) -> str:
        """Return the dtype of all three."""
        dtype: str = self.node.type.element
        return dtype

    @property
    def groups(self) -> int:
        """Return into how many convolutions it falls."""
        groups: int = self.node.attrs["groups"]
        return groups

    @property
    def batch(self) -> Extent:
        """Return the number of images."""
        batch: Extent = self.images.type.dims[0]
        return batch

    @property
    def inputs(self) -> Extent:
        """Return the channels of images in a group."""
        inputs: Extent = self.weight.type.dims[1]
        return inputs

    @property
    def filters(self) -> Extent:
        """Return the channels of outputs in a group."""
        return floor_divide(self.weight.type.dims[0], self.groups)

    @property
    def window(self) -> Window:
        """Return how windows lie."""
        images, weight, outputs = (
            entry.type.dims for entry in (self.images, self.weight, self.outputs)
        )
        attrs = self.node.attrs
        return Window(
            (images[2], images[3]), (outputs[2], outputs[3]), (weight[2], weight[3]),
            attrs["stride"], attrs["pad"], attrs["dilation"],
        )  # fmt: skip

    @property
    def positions(self) -> Extent:
        """Return the windows of an image."""
        return product(self.window.windows)

    @property
    def taken(self) -> Extent:
        """Return the elements of a window in one group."""
        return self.inputs * product(self.window.kernel)

    @property
    def work(self) -> Extent:
        """Return the multiplications."""
        return self.batch * self.positions * self.groups * self.filters * self.taken

    @property
    def direct(self) -> bool:
        """Tell whether windows are read from the images."""
        few = isinstance(self.filters, int) and self.filters <= FEW_FILTERS
        return self.dtype not in FLOATS or few

    @property
    def pointwise(self) -> bool:
        """Tell whether a window is one element and every element has one."""
        window = self.window
        plain = (window.kernel, window.stride, window.pad) == ((1, 1), (1, 1), (0, 0))
        return plain and self.groups == 1

    @property
    def form(self) -> str:
        """Return how columns are arranged: "pointwise" (not at all), "images" or "merged"."""
        if self.groups > 1 or self._pays_to_merge():
            return "merged"
        return "pointwise" if self.pointwise else "images"

    def _pays_to_merge(self) -> bool:
        """Tell whether it pays to merge all images of a tile, for one group.

        A product works in tiles of `_PRODUCT_TILE` columns. Those of one image may leave much of
        the last one empty, what grows with the products of a sum; merging them has to rearrange all
        outputs, and images too where they would be their own columns.
        """
        positions, taken, filters = self.positions, self.taken, self.filters
        if not isinstance(positions, int) or positions == 0:
            return False
        empty = -positions % _PRODUCT_TILE / positions
        if not all(isinstance(extent, int) and extent for extent in (taken, filters)):
            return empty > 1
        cost = MERGING_COST / taken + (MERGING_COST / filters if self.pointwise else 0)
        return bool(empty > cost)

    @property
    def capacity(self) -> Extent:
        """Return how many images a tile has at most."""
        elements = TILE_BYTES // np.dtype(self.dtype).itemsize
        fitting = floor_divide(elements, self.groups * self.taken * self.positions)
        return maximum(minimum(self.batch, fitting), 1)

    def arguments(self, lowering: Lowering, pointers: dict[Node, Argument]) -> list[Argument]:
        """Return the words that direct kernels begin with."""
        number = lowering.number
        arrays = [pointers[node] for node in (self.weight, self.images, self.outputs)]
        extents = (self.batch, self.groups, self.inputs, self.filters, *self.window.extents)
        return [*arrays, *(number(extent) for extent in extents)]


def _aligned(extent: Extent) -> Extent:
    return floor_divide(extent + (ALIGNED - 1), ALIGNED) * ALIGNED


def _pointers(lowering: Lowering, shapes: Shapes) -> dict[Node, Argument]:
    """Return where the three arrays are, having made room for the result."""
    node = shapes.node
    result = lowering.place(node)
    pointers: dict[Node, Argument] = {child: dense(lowering, child) for child in node.inputs}
    return {**pointers, node: Pointer(result)}


def _reads(lowering: Lowering, node: Node) -> tuple[int, ...]:
    return tuple(lowering.buffer(lowering.view(child).base) for child in node.inputs)


def _emit_direct(lowering: Lowering, shapes: Shapes, kernel: CudaKernel) -> None:
    """Emit a kernel without scratch memory."""
    node = shapes.node
    arguments = shapes.arguments(lowering, _pointers(lowering, shapes))
    writes, sizes = (lowering.place(node),), (product(node.type.dims), shapes.work)
    emit(lowering, node, kernel, arguments, _reads(lowering, node), writes, sizes)


def _emit_tiled(
    lowering: Lowering, shapes: Shapes, call: CudaCall, scratch: tuple[Extent, Extent, Extent]
) -> None:
    """Emit a call that goes over tiles.

    Args:
        lowering: what to emit to.
        shapes: of the convolution.
        call: what the host does.
        scratch: the elements of columns, of merged outputs, and of parts.
    """
    node = shapes.node
    pointers = _pointers(lowering, shapes)
    number = lowering.number
    weight, images, outputs, *extents = shapes.arguments(lowering, pointers)
    names = ("columns", "merged outputs", "parts of a gradient")
    writes: list[int] = [lowering.place(node)]
    memory: list[Argument] = []
    for elements, name in zip(scratch, names, strict=True):
        if elements == 0:
            memory.append(number(0))
        else:
            buffer = lowering.arena(TensorType(shapes.dtype, (elements,)), name)
            writes.append(buffer)
            memory.append(Pointer(buffer))
    arguments = [weight, images, outputs, *memory, *extents, number(shapes.capacity)]
    emit(
        lowering,
        node,
        call,
        arguments,
        _reads(lowering, node),
        tuple(writes),
        (product(node.type.dims), shapes.work),
    )


def _call(
    lowering: Lowering, shapes: Shapes, options: dict[str, object], kernels: tuple[CudaKernel, ...]
) -> CudaCall:
    """Return a call with its options; the kernels say the rest of what makes it different."""
    name, dtype = shapes.node.op.name, shapes.dtype
    precision = lowering.target.precision if dtype == "float32" else dtype
    options = {"dtype": dtype, "precision": precision, "aligned": ALIGNED, **options}
    shown = " ".join(f"{key}={value}" for key, value in options.items())
    text = "\n".join((f"cuda {name} {shown}", *(kernel.key_text for kernel in kernels)))
    listing = "\n".join((f"// {name} by cuBLAS: {shown}", *(kernel.code for kernel in kernels)))
    return CudaCall(text, name, options, listing, kernels)


def _scratch(shapes: Shapes) -> tuple[Extent, Extent]:
    """Return the elements of columns and of merged outputs."""
    if shapes.form == "pointwise":
        return 0, 0
    if shapes.form == "images":
        return shapes.capacity * shapes.taken * _aligned(shapes.positions), 0
    columns = _aligned(shapes.capacity * shapes.positions)
    return shapes.groups * shapes.taken * columns, shapes.groups * shapes.filters * columns


def lower_convolution(lowering: Lowering, node: Node) -> None:
    """Emit a convolution."""
    images, weight = node.inputs
    shapes = Shapes(node, images, weight, node)
    dtype, window, form = shapes.dtype, shapes.window, shapes.form
    if shapes.direct:
        kernel = direct_convolution_kernel(dtype, window, shapes.inputs, shapes.filters)
        _emit_direct(lowering, shapes, kernel)
        return
    kernels: tuple[CudaKernel, ...] = ()
    if form != "pointwise":
        kernels = (columns_kernel(dtype, window, shapes.groups * shapes.inputs),)
    if form == "merged":
        kernels = (*kernels, parting_kernel(dtype))
    call = _call(lowering, shapes, {"form": form}, kernels)
    _emit_tiled(lowering, shapes, call, (*_scratch(shapes), 0))


def lower_convolution_input(lowering: Lowering, node: Node) -> None:
    """Emit a transposed convolution."""
    outputs, weight = node.inputs
    shapes = Shapes(node, node, weight, outputs)
    dtype, window, form = shapes.dtype, shapes.window, shapes.form
    if shapes.direct:
        kernel = direct_transpose_kernel(dtype, window, shapes.inputs, shapes.filters)
        _emit_direct(lowering, shapes, kernel)
        return
    kernels: tuple[CudaKernel, ...] = ()
    if form != "pointwise":
        kernels = (images_kernel(dtype, window, shapes.groups * shapes.inputs),)
    if form == "merged":
        kernels = (*kernels, merging_kernel(dtype))
    call = _call(lowering, shapes, {"form": form}, kernels)
    _emit_tiled(lowering, shapes, call, (*_scratch(shapes), 0))


def lower_convolution_weight(lowering: Lowering, node: Node) -> None:
    """Emit a weight's gradient: sums over parts of the positions, then the sum of these."""
    images, outputs = node.inputs
    shapes = Shapes(node, images, node, outputs)
    if shapes.direct:
        _direct_weight(lowering, shapes)
        return
    dtype, window = shapes.dtype, shapes.window
    parts = _parts_of_product(shapes)
    kernels = (
        columns_kernel(dtype, window, shapes.groups * shapes.inputs),
        merging_kernel(dtype),
        *((sum_of_parts_kernel(dtype),) if parts > 1 else ()),
    )
    call = _call(lowering, shapes, {"parts": parts}, kernels)
    columns = _aligned(shapes.capacity * shapes.positions) + ALIGNED * parts
    scratch = (
        shapes.groups * shapes.taken * columns,
        shapes.groups * shapes.filters * columns,
        parts * product(node.type.dims) if parts > 1 else 0,
    )
    _emit_tiled(lowering, shapes, call, scratch)


def _parts_of_product(shapes: Shapes) -> int:
    """Return into how many parts the sum of a weight's gradient is cut at most.

    As many as give the product enough tiles; that depends on the extents of the weight alone.
    """
    if not isinstance(shapes.filters, int) or not isinstance(shapes.taken, int):
        return 1
    down, across = -(-shapes.filters // _PRODUCT_TILE), -(-shapes.taken // _PRODUCT_TILE)
    tiles = shapes.groups * down * across
    return max(1, _WANTED_TILES // max(tiles, 1))


def _direct_weight(lowering: Lowering, shapes: Shapes) -> None:
    """Emit the two kernels of a weight's gradient without columns."""
    node, dtype, window = shapes.node, shapes.dtype, shapes.window
    pointers = _pointers(lowering, shapes)
    result = lowering.place(node)
    size: Extent = product(node.type.dims)
    parts: Extent = 1
    if isinstance(size, int) and size:
        blocks = size // taps_together(window)
        most = max(1, 4 * _WANTED_TILES // blocks)
        wanted = floor_divide(shapes.batch * shapes.positions, LEAST_POSITIONS)
        parts = maximum(minimum(wanted, most), 1)
    written = result
    if parts != 1:
        written = lowering.arena(TensorType(dtype, (parts * size,)), "parts of a gradient")
    arguments = shapes.arguments(lowering, pointers)
    arguments += [Pointer(written), lowering.number(parts)]
    kernel = direct_weight_kernel(dtype, window, shapes.inputs, shapes.filters)
    reads = _reads(lowering, node)
    emit(lowering, node, kernel, arguments, reads, (written,), (size, shapes.work))
    if written != result:
        numbers = [lowering.number(size), lowering.number(parts)]
        arguments = [Pointer(written), Pointer(result), *numbers]
        kernel, sizes = sum_of_parts_kernel(dtype), (size, parts * size)
        emit(lowering, node, kernel, arguments, (written,), (result,), sizes)


CONVOLUTION: dict[str, Rule] = {
    "convolution": lower_convolution,
    "convolution_input": lower_convolution_input,
    "convolution_weight": lower_convolution_weight,
}
