"""Lowering of pooling, and of the windows of images as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

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
from symgraph.runtime.plan import Argument, Kernel
from symgraph.types import Shape

if TYPE_CHECKING:
    from symgraph.compiler.lower import Lowering

__all__ = ["POOLING", "ImageKernels", "Window", "pooling_rules"]

# In the unit that regions use, of which a core does about a hundred in a nanosecond.
_WORK_OF_ELEMENT, _WORK_OF_TAP = 16, 4


class Emit(Protocol):
    """Emits one call, as `emit_call` does."""

    def __call__(
        self,
        lowering: Lowering,
        node: Node,
        source: Kernel,
        arguments: list[Argument],
        extent: Extent,
        work: Extent,
    ) -> None:
        """Emit it; `extent` is that of the CPU's loop."""


@dataclass(frozen=True)
class ImageKernels:
    """What a device has for windows of images.

    Args:
        pooling: by name of the op, what makes the kernel for a dtype and windows.
        patches: by name of the op, what makes the kernel of a node.
        told: whether the arguments of the latter tell the geometry of windows.
        emit: emits a call.
    """

    pooling: Mapping[str, Callable[[str, Window], Kernel]]
    patches: Mapping[str, Callable[[Node], Kernel]]
    told: bool
    emit: Emit


def _window(node: Node) -> Window:
    attrs = node.attrs
    return Window(attrs["kernel"], attrs["stride"], attrs["pad"])


def _emit_planes(
    kernels: ImageKernels,
    lowering: Lowering,
    node: Node,
    source: Kernel,
    images: Shape,
    windows: Shape,
) -> None:
    """Emit a kernel whose tasks are planes: of images, and of their windows."""
    lowering.place(node)
    arguments = [dense(lowering, child) for child in node.inputs]
    arguments.append(lowering.pointer(node))
    extents: tuple[Extent, ...] = (*images[2:], *windows[2:])
    arguments += [lowering.number(extent) for extent in extents]
    taps = product(windows) * product(node.attrs["kernel"])
    work = product(images) * _WORK_OF_ELEMENT + taps * _WORK_OF_TAP
    kernels.emit(lowering, node, source, arguments, product(images[:2]), work)


def lower_windows(kernels: ImageKernels, lowering: Lowering, node: Node) -> None:
    """Emit one element for every window: the largest, what lies where that is, or the mean."""
    source = kernels.pooling[node.op.name](node.type.element, _window(node))
    _emit_planes(kernels, lowering, node, source, node.inputs[-1].type.dims, node.type.dims)


def lower_max_pool_scatter(kernels: ImageKernels, lowering: Lowering, node: Node) -> None:
    """Emit sums where the largest element of every window is."""
    source = kernels.pooling[node.op.name](node.type.element, _window(node))
    _emit_planes(kernels, lowering, node, source, node.type.dims, node.inputs[0].type.dims)


def lower_window_spread(kernels: ImageKernels, lowering: Lowering, node: Node) -> None:
    """Emit equal shares in every window."""
    window, dims, windows = _window(node), node.type.dims, node.inputs[0].type.dims
    rest = tuple(size - 1 - pad for size, pad in zip(window.kernel, window.pad, strict=True))
    if window.stride == (1, 1) and min(rest) >= 0:
        # With a stride of 1, what an element receives is a mean over the windows around it.
        turned = Window(window.kernel, window.stride, (rest[0], rest[1]))
        source = kernels.pooling["window_mean2d"](node.type.element, turned)
        _emit_planes(kernels, lowering, node, source, windows, dims)
        return
    source = kernels.pooling[node.op.name](node.type.element, window)
    _emit_planes(kernels, lowering, node, source, dims, windows)


def _emit_patches(
    kernels: ImageKernels, lowering: Lowering, node: Node, images: Shape, tasks: Extent
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
    extents = (*images[1:], *windows)
    if kernels.told:
        extents = (*extents, *kernel, *stride, *pad, *dilation)
    arguments += [lowering.number(extent) for extent in extents]
    work = product(node.type.dims) + product(node.inputs[0].type.dims)
    source = kernels.patches[node.op.name](node)
    kernels.emit(lowering, node, source, arguments, tasks, work * _WORK_OF_ELEMENT)


def lower_im2col(kernels: ImageKernels, lowering: Lowering, node: Node) -> None:
    """Emit every window of images, side by side."""
    images, attrs = node.inputs[0].type.dims, node.attrs
    rows = conv_outsize(
        images[2], attrs["kernel"][0], attrs["stride"][0], attrs["pad"][0], attrs["dilation"][0]
    )
    tasks = images[0] * (rows if attrs["to_matrix"] else images[1])
    _emit_patches(kernels, lowering, node, images, tasks)


def lower_col2im(kernels: ImageKernels, lowering: Lowering, node: Node) -> None:
    """Emit the sum of windows where they lie in images."""
    images = node.type.dims
    _emit_patches(kernels, lowering, node, images, product(images[:2]))


def pooling_rules(kernels: ImageKernels) -> dict[str, Rule]:
    """Return the lowering rules for a device that has these kernels."""
    rules = {
        "max_pool2d": lower_windows,
        "max_pool2d_select": lower_windows,
        "max_pool2d_scatter": lower_max_pool_scatter,
        "window_mean2d": lower_windows,
        "window_spread2d": lower_window_spread,
        "im2col": lower_im2col,
        "col2im": lower_col2im,
    }
    return {name: partial(rule, kernels) for name, rule in rules.items()}


def _step(node: Node) -> int:
    """Return how many columns lie between what is side by side in memory."""
    axis: int = node.attrs["dilation" if node.attrs["to_matrix"] else "stride"][1]
    return axis


POOLING: dict[str, Rule] = pooling_rules(
    ImageKernels(
        pooling={
            "max_pool2d": max_pool_source,
            "max_pool2d_select": max_pool_select_source,
            "max_pool2d_scatter": max_pool_scatter_source,
            "window_mean2d": window_mean_source,
            "window_spread2d": window_spread_source,
        },
        patches={
            "im2col": lambda node: im2col_source(
                node.type.element, node.attrs["to_matrix"], _step(node)
            ),
            "col2im": lambda node: col2im_source(
                node.type.element, node.attrs["to_matrix"], _step(node)
            ),
        },
        told=True,
        emit=emit_call,
    )
)
