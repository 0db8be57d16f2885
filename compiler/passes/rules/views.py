"""Rules for transpose, reshape, broadcast_to, slice and assemble: views of views become one."""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import (
    RuleTable,
    build,
    only_input,
    padded_dims,
    resolved_axes,
)
from symgraph.node import Node


def unchanged_shape(node: Node) -> Node | None:
    """reshape(x, shape of x) -> x; broadcast_to(x, shape of x) -> x."""
    x = node.inputs[0]
    return x if x.type.shape == node.type.shape else None


def reshape_of_reshape(node: Node) -> Node | None:
    """reshape(reshape(x)) -> reshape(x)."""
    x = only_input(node.inputs[0], "reshape")
    return None if x is None else build("reshape", x, shape=node.type.dims)


def transpose_in_order(node: Node) -> Node | None:
    """transpose(x, (0, 1, ...)) -> x."""
    in_order = resolved_axes(node) == tuple(range(node.type.rank))
    return node.inputs[0] if in_order else None


def transpose_of_transpose(node: Node) -> Node | None:
    """transpose(transpose(x)) -> transpose(x)."""
    inner = node.inputs[0]
    x = only_input(inner, "transpose")
    if x is None:
        return None
    first = resolved_axes(inner)
    return build("transpose", x, axes=tuple(first[axis] for axis in resolved_axes(node)))


def broadcast_of_broadcast(node: Node) -> Node | None:
    """broadcast_to(broadcast_to(x)) -> broadcast_to(x)."""
    x = only_input(node.inputs[0], "broadcast_to")
    return None if x is None else build("broadcast_to", x, shape=node.type.dims)


def broadcast_of_added_ones(node: Node) -> Node | None:
    """broadcast_to(reshape(x, (1, ...) + shape of x)) -> broadcast_to(x)."""
    inner = node.inputs[0]
    x = only_input(inner, "reshape")
    if x is None or x.type.rank > inner.type.rank:
        return None
    if padded_dims(x.type.dims, inner.type.rank) != inner.type.dims:
        return None
    return build("broadcast_to", x, shape=node.type.dims)


def slice_of_everything(node: Node) -> Node | None:
    """x[:, :] -> x."""
    x = node.inputs[0]
    from_start = all(start == 0 for start in node.attrs["starts"])
    in_steps = all(step == 1 for step in node.attrs["steps"])
    return x if from_start and in_steps and x.type.shape == node.type.shape else None


def slice_of_slice(node: Node) -> Node | None:
    """slice(slice(x)) -> slice(x)."""
    inner = node.inputs[0]
    x = only_input(inner, "slice")
    if x is None:
        return None
    outer_axes = zip(node.attrs["starts"], node.attrs["steps"], strict=True)
    inner_axes = zip(inner.attrs["starts"], inner.attrs["steps"], strict=True)
    # Element k of the inner slice is element first + k * stride of x.
    axes = [
        (first + start * stride, step * stride)
        for (start, step), (first, stride) in zip(outer_axes, inner_axes, strict=True)
    ]
    return build(
        "slice",
        x,
        starts=tuple(start for start, _ in axes),
        steps=tuple(step for _, step in axes),
        lengths=node.attrs["lengths"],
    )


def assemble_of_whole(node: Node) -> Node | None:
    """assemble(part that fills the whole) -> part."""
    if len(node.inputs) != 1 or node.inputs[0].type.shape != node.type.shape:
        return None
    starts, steps = node.attrs["placements"][0]
    whole = all(start == 0 for start in starts) and all(step == 1 for step in steps)
    return node.inputs[0] if whole else None


RULES: RuleTable = {
    "reshape": (unchanged_shape, reshape_of_reshape),
    "transpose": (transpose_in_order, transpose_of_transpose),
    "broadcast_to": (unchanged_shape, broadcast_of_broadcast, broadcast_of_added_ones),
    "slice": (slice_of_everything, slice_of_slice),
    "assemble": (assemble_of_whole,),
}
