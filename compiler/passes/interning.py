"""Recognising equal nodes."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from symgraph.dims import Dim
from symgraph.leaves import ARGUMENT, CONSTANT, PARAMETER, PLACEHOLDER, Constant, is_constant
from symgraph.node import Node
from symgraph.types import TensorType

COMMUTATIVE = frozenset({"add", "multiply", "equal", "not_equal"}) | {
    f"logical_{name}" for name in ("and", "or", "xor")
}
"""Ops whose operands may be swapped bit for bit; `maximum` is not one: it may pick either zero."""

LARGEST_COMPARED_CONSTANT = 1 << 16
"""Constants of more bytes are equal only to themselves: comparing them costs more than it saves."""

_UNIQUE_LEAVES = (PLACEHOLDER, PARAMETER, ARGUMENT)


class Interner:
    """Remembers nodes and gives back the first one that is equal to a new one."""

    def __init__(self) -> None:
        """Know no node yet."""
        self._known: dict[Hashable, Node] = {}

    def intern(self, node: Node) -> Node:
        """Return the first node seen that computes the same as `node`, which may be itself."""
        key = _key(node)
        return node if key is None else self._known.setdefault(key, node)


def _key(node: Node) -> Hashable:
    """Return what two equal nodes have in common, None for a node equal only to itself."""
    if node.op in _UNIQUE_LEAVES:
        return None
    if isinstance(node, Constant):
        if node.value.nbytes > LARGEST_COMPARED_CONSTANT:
            return None
        return CONSTANT.name, node.type, node.value.tobytes()
    operands = [id(operand) for operand in node.inputs]
    if node.op.name in COMMUTATIVE and not any(is_constant(operand) for operand in node.inputs):
        # Which of two stays is decided by order, but a constant belongs second (see `rules.sums`).
        operands.sort()
    attrs = frozenset((name, freeze(value)) for name, value in node.attrs.items())
    return id(node.op), tuple(operands), attrs, node.type


def freeze(value: Any) -> Hashable:
    """Return a hashable stand-in that is equal for equal attrs only.

    Python says 1 == 1.0 == True, nan != nan and 0.0 == -0.0; here the type and the bits count.
    Objects of unknown types, and graphs, are equal only to themselves.
    """
    if isinstance(value, float):
        return "float", struct.pack("d", value)
    if value is None or isinstance(value, bool | int | str | bytes):
        return type(value).__name__, value
    if isinstance(value, tuple | list):
        return type(value).__name__, tuple(freeze(entry) for entry in value)
    if isinstance(value, np.ndarray | np.generic):
        return "array", value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return "mapping", frozenset((freeze(name), freeze(entry)) for name, entry in value.items())
    if isinstance(value, Dim | TensorType | np.dtype):
        return type(value).__name__, value
    return "object", id(value)
