"""Rules for the reductions sum, prod, max, min, any and all, whose axes are kept with extent 1."""

from __future__ import annotations

from math import prod

from symgraph.compiler.passes.rules.matching import (
    RuleTable,
    build,
    never_minus_zero,
    number,
    only_input,
    padded_dims,
)
from symgraph.dims import Extent
from symgraph.node import Node


def reduce_single_elements(node: Node) -> Node | None:
    """reduce(x, axes) -> reduce(x, those of the axes with more than one element).

    A sum of floats without such axes becomes x + 0.0, as the sum of a single -0.0 is 0.0.
    """
    x = node.inputs[0]
    axes = tuple(axis for axis in node.attrs["axis"] if x.type.dims[axis] != 1)
    if not node.attrs["keepdims"] or len(axes) == len(node.attrs["axis"]):
        return None
    if axes:
        return _reduce(node, x, axes)
    return _without_minus_zero(x) if node.op.name == "sum" else x


def reduce_of_reduce(node: Node) -> Node | None:
    """reduce(reduce(x, a), b) -> reduce(x, a and b), for one and the same reduction."""
    inner = node.inputs[0]
    if inner.op is not node.op or not (node.attrs["keepdims"] and inner.attrs["keepdims"]):
        return None
    axes = tuple(sorted({*inner.attrs["axis"], *node.attrs["axis"]}))
    return _reduce(node, inner.inputs[0], axes)


def reduce_of_squeezed_reduce(node: Node) -> Node | None:
    """reduce(reshape(reduce(x, a)), b) -> reshape(reduce(x, a and b)), where axes a are dropped."""
    squeezed = node.inputs[0]
    inner = only_input(squeezed, "reshape")
    if inner is None or inner.op is not node.op:
        return None
    if not (node.attrs["keepdims"] and inner.attrs["keepdims"]):
        return None
    kept = [axis for axis in range(inner.type.rank) if axis not in inner.attrs["axis"]]
    if tuple(inner.type.dims[axis] for axis in kept) != squeezed.type.dims:
        return None
    axes = {*inner.attrs["axis"], *(kept[axis] for axis in node.attrs["axis"])}
    reduced = _reduce(node, inner.inputs[0], tuple(sorted(axes)))
    return build("reshape", reduced, shape=node.type.dims)


def reduce_of_broadcast(node: Node) -> Node | None:
    """sum(broadcast_to(x)) -> sum(x) * n; max(broadcast_to(x)) -> max(x); also min, any, all.

    Only axes of static extent at least 1: an empty sum is 0 even if x is infinite.
    """
    wide = node.inputs[0]
    x = only_input(wide, "broadcast_to")
    if x is None or not node.attrs["keepdims"] or x.type.element != node.type.element:
        return None
    narrow = padded_dims(x.type.dims, wide.type.rank)
    repeated = [axis for axis in node.attrs["axis"] if _repeats(narrow[axis], wide.type.dims[axis])]
    if not repeated:
        return None
    result = build("reshape", x, shape=narrow)
    others = tuple(axis for axis in node.attrs["axis"] if axis not in repeated)
    if any(narrow[axis] != wide.type.dims[axis] for axis in others):
        result = build("broadcast_to", result, shape=_widened(narrow, wide.type.dims, others))
    if others:
        result = _reduce(node, result, others)
    if node.op.name == "sum":
        count = prod(int(wide.type.dims[axis]) for axis in repeated)
        result = build("multiply", _without_minus_zero(result), number(count, node))
    return result


def _without_minus_zero(x: Node) -> Node:
    return x if never_minus_zero(x) else build("add", x, number(0, x))


def _repeats(narrow: Extent, wide: Extent) -> bool:
    return narrow == 1 and isinstance(wide, int) and wide > 1


def _widened(
    narrow: tuple[Extent, ...], wide: tuple[Extent, ...], axes: tuple[int, ...]
) -> tuple[Extent, ...]:
    return tuple(wide[axis] if axis in axes else narrow[axis] for axis in range(len(narrow)))


def _reduce(node: Node, x: Node, axes: tuple[int, ...]) -> Node:
    return build(node.op.name, x, axis=axes, keepdims=True)


_COMMON = (reduce_single_elements, reduce_of_reduce, reduce_of_squeezed_reduce)

RULES: RuleTable = {
    "prod": _COMMON,
    **{name: (*_COMMON, reduce_of_broadcast) for name in ("sum", "max", "min", "any", "all")},
}
