"""What rules are made of: recognising nodes, constants and signs, and building new nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symgraph.dims import Extent
from symgraph.leaves import Constant, is_constant
from symgraph.node import Node
from symgraph.op import REGISTRY, View
from symgraph.ops.views import permutation
from symgraph.types import FLOATS, INTEGERS

Rule = Callable[[Node], Node | None]
RuleTable = Mapping[str, tuple[Rule, ...]]

LARGEST_SCANNED = 1 << 16
"""Constants of more bytes are not searched for being uniform."""

_LOOK_THROUGH = 8
"""How deep facts about signs are derived; deeper than that they count as unknown."""


def build(name: str, *operands: Node, **attrs: Any) -> Node:
    """Return the op called `name` applied to nodes."""
    return REGISTRY[name](*operands, **attrs)


def number(value: float, like: Node) -> Constant:
    """Return `value` as a 0-d constant of the dtype of `like`."""
    return Constant(value, like.type.element)


def filled(value: float, like: Node) -> Node:
    """Return an array of the type of `like` that holds `value` everywhere."""
    return build("broadcast_to", number(value, like), shape=like.type.dims)


def is_float(node: Node) -> bool:
    """Tell whether the dtype is a float."""
    return node.type.element in FLOATS


def is_integer(node: Node) -> bool:
    """Tell whether the dtype is an integer."""
    return node.type.element in INTEGERS


def is_bool(node: Node) -> bool:
    """Tell whether the dtype is bool."""
    return bool(node.type.element == "bool")


def only_input(node: Node, name: str) -> Node | None:
    """Return the first input of `node` if its op is called `name`."""
    return node.inputs[0] if node.op.name == name else None


def uniform(node: Node) -> Any:
    """Return the one value that all elements of a constant have, None if that is not known."""
    node = through_views(node)
    if not is_constant(node) or not 0 < node.value.nbytes <= LARGEST_SCANNED:
        return None
    first = node.value.reshape(-1)[:1]
    if node.value.tobytes() != first.tobytes() * node.value.size:
        return None
    return first[0]


def has_value(node: Node, value: float) -> bool:
    """Tell whether all elements are `value`; for zero the sign counts."""
    found = uniform(node)
    if found is None or found != value:
        return False
    return bool(value != 0 or np.signbit(float(found)) == np.signbit(float(value)))


def through_views(node: Node) -> Node:
    """Return the node whose elements, rearranged or repeated, are those of `node`."""
    while isinstance(node.op.kind, View):
        node = node.inputs[0]
    return node


def one_plus(node: Node) -> Node | None:
    """Return x if `node` is x + 1 or 1 + x."""
    if node.op.name != "add":
        return None
    left, right = node.inputs
    if has_value(right, 1):
        return left
    return right if has_value(left, 1) else None


def never_minus_zero(node: Node, depth: int = _LOOK_THROUGH) -> bool:
    """Tell whether no element can be -0.0."""
    node = through_views(node)
    if not is_float(node):
        return True
    if is_constant(node):
        zeros = node.value == 0
        return node.value.nbytes <= LARGEST_SCANNED and not np.signbit(node.value[zeros]).any()
    if depth == 0:
        return False
    match node.op.name:
        case "exp" | "absolute" | "square" | "sigmoid" | "sum":  # sums begin at 0.0
            return True
        case "cast":
            # A float32 may round a tiny negative float64 to -0.0.
            return not is_float(node.inputs[0])
        case "add":  # -0.0 only as -0.0 + -0.0
            return any(never_minus_zero(operand, depth - 1) for operand in node.inputs)
        case "subtract":  # -0.0 only as -0.0 - 0.0
            return never_minus_zero(node.inputs[0], depth - 1)
        case "where":
            return all(never_minus_zero(operand, depth - 1) for operand in node.inputs[1:])
    return False


def non_negative(node: Node, depth: int = _LOOK_THROUGH) -> bool:
    """Tell whether every element of a float node is NaN or at least +0.0."""
    node = through_views(node)
    if not is_float(node):
        return False
    if is_constant(node):
        return node.value.nbytes <= LARGEST_SCANNED and not np.signbit(node.value).any()
    if depth == 0:
        return False
    match node.op.name:
        case "exp" | "absolute" | "square" | "sigmoid":
            return True
        case "add" | "multiply" | "divide" | "sum" | "max":
            return all(non_negative(operand, depth - 1) for operand in node.inputs)
    return False


def resolved_axes(node: Node) -> tuple[int, ...]:
    """Return the permutation of a transpose, counted from the front."""
    return permutation(node.attrs["axes"], node.type.rank)


def padded_dims(dims: tuple[Extent, ...], rank: int) -> tuple[Extent, ...]:
    """Return `dims` with ones in front, as broadcasting reads them at a higher rank."""
    return (1,) * (rank - len(dims)) + dims
