"""Lowering of pooling, and of the windows of images as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.compiler.library_call import Rule, dense, emit_call
from symgraph.dims import Extent, product
from symgraph.node import Node
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
    work = product(images) + product(windows) * 8
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


POOLING: dict[str, Rule] = {
    "max_pool2d": lower_max_pool,
    "max_pool2d_select": lower_max_pool_select,
    "max_pool2d_scatter": lower_max_pool_scatter,
    "window_mean2d": lower_window_mean,
    "window_spread2d": lower_window_spread,
}
