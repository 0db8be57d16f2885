"""Lowering of pooling, and of the windows of images as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.library_call import Rule, dense, emit_call
from symgraph.dims import Extent, product
from symgraph.node import Node
from symgraph.ops.windows import conv_outsize
from symgraph.runtime.kernels.patches import col2im_source, im2col_source
from symgraph.runtime.kernels.pooling import (
    Window,
    max_pool_scatter_source,
    max_pool_select_source,
    max_pool_source,
    window_mean_source,
    window_spread_source,
)
from symgraph.runtime.plan import KernelSource
from symgraph.types import Shape

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering

# In the unit that regions use, of which a core does about a hundred in a nanosecond.
_WORK_OF_ELEMENT, _WORK_OF_TAP = 16, 4


def _window(node: Node) -> Window:
    attrs = node.attrs
    return Window(attrs["kernel"], attrs["stride"], attrs["pad"])


def _emit_planes(
    lowering: Lowering, node: Node, source: KernelSource, images: Shape, windows: Shape
) -> None:
    """Emit a kernel whose tasks are planes: of images, and of their windows."""
    lowering.place(node)
    arguments = [dense(lowering, child) for child in node.inputs]
    arguments.append(lowering.pointer(node))
    extents: tuple[Extent, ...] = (*images[2:], *windows[2:])
    arguments += [lowering.number(extent) for extent in extents]
    taps = product(windows) * product(node.attrs["kernel"])
    work = product(images) * _WORK_OF_ELEMENT + taps * _WORK_OF_TAP
    emit_call(lowering, node, source, arguments, product(images[:2]), work)


def lower_max_pool(lowering: Lowering, node: Node) -> None:
    """Emit the largest element of every window."""
    source = max_pool_source(node.type.element, _window(node))
    _emit_planes(lowering, node, source, node.inputs[0].type.dims, node.type.dims)


def lower_max_pool_select(lowering: Lowering, node: Node) -> None:
    """Emit what another array has where the largest element of every window is."""
    source = max_pool_select_source(node.type.element, _window(node))
    _emit_planes(lowering, node, source, node.inputs[1].type.dims, node.type.dims)


def lower_max_pool_scatter(lowering: Lowering, node: Node) -> None:
    """Emit sums where the largest element of every window is."""
    source = max_pool_scatter_source(node.type.element, _window(node))
    _emit_planes(lowering, node, source, node.type.dims, node.inputs[0].type.dims)


def lower_window_mean(lowering: Lowering, node: Node) -> None:
    """Emit the mean of every window."""
    source = window_mean_source(node.type.element, _window(node))
    _emit_planes(lowering, node, source, node.inputs[0].type.dims, node.type.dims)


def lower_window_spread(lowering: Lowering, node: Node) -> None:
    """Emit equal shares in every window."""
    window, dims, windows = _window(node), node.type.dims, node.inputs[0].type.dims
    rest = tuple(size - 1 - pad for size, pad in zip(window.kernel, window.pad, strict=True))
    if window.stride == (1, 1) and min(rest) >= 0:
        # With a stride of 1, what an element receives is a mean over the windows around it.
        turned = Window(window.kernel, window.stride, (rest[0], rest[1]))
        source = window_mean_source(node.type.element, turned)
        _emit_planes(lowering, node, source, windows, dims)
        return
    _emit_planes(lowering, node, window_spread_source(node.type.element, window), dims, windows)


def _emit_patches(
    lowering: Lowering, node: Node, source: KernelSource, images: Shape, tasks: Extent
) -> None:
    """Emit a kernel that copies windows of images."""
    attrs = node.attrs
    kernel, stride, pad, dilation = (
        attrs[name] for name in ("kernel", "stride", "pad", "dilation")
    )
    windows = (
        conv_outsize(extent, kernel[i], stride[i], pad[i], dilation[i])
        for i, extent in enumerate(images[2:])
    )
    lowering.place(node)
    arguments = [dense(lowering, node.inputs[0]), lowering.pointer(node)]
    extents = (*images[1:], *windows, *kernel, *stride, *pad, *dilation)
    arguments += [lowering.number(extent) for extent in extents]
    work = product(node.type.dims) + product(node.inputs[0].type.dims)
    emit_call(lowering, node, source, arguments, tasks, work * _WORK_OF_ELEMENT)


def lower_im2col(lowering: Lowering, node: Node) -> None:
    """Emit every window of images, side by side."""
    images, attrs = node.inputs[0].type.dims, node.attrs
    to_matrix = attrs["to_matrix"]
    step = attrs["dilation" if to_matrix else "stride"][1]
    source = im2col_source(node.type.element, to_matrix, step)
    rows = conv_outsize(
        images[2], attrs["kernel"][0], attrs["stride"][0], attrs["pad"][0], attrs["dilation"][0]
    )
    _emit_patches(lowering, node, source, images, images[0] * (rows if to_matrix else images[1]))


def lower_col2im(lowering: Lowering, node: Node) -> None:
    """Emit the sum of windows where they lie in images."""
    images, attrs = node.type.dims, node.attrs
    step = attrs["dilation" if attrs["to_matrix"] else "stride"][1]
    source = col2im_source(node.type.element, attrs["to_matrix"], step)
    _emit_patches(lowering, node, source, images, product(images[:2]))


POOLING: dict[str, Rule] = {
    "max_pool2d": lower_max_pool,
    "max_pool2d_select": lower_max_pool_select,
    "max_pool2d_scatter": lower_max_pool_scatter,
    "window_mean2d": lower_window_mean,
    "window_spread2d": lower_window_spread,
    "im2col": lower_im2col,
    "col2im": lower_col2im,
}
