"""Constant folding: what depends on constants only is computed now."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from symgraph.compiler.passes.fixpoint import rewrite_to_fixpoint
from symgraph.dims import Dim
from symgraph.errors import SymGraphError
from symgraph.leaves import Constant, is_constant
from symgraph.node import Graph, Node
from symgraph.op import Control, Leaf
from symgraph.types import TensorType

LARGEST_FOLDED = 1 << 16
"""Results of more bytes are left to run time; they would bloat the plan."""

Array = np.ndarray[Any, Any]


def fold(graph: Graph) -> Graph:
    """Return `graph` with nodes of constants replaced by their values.

    Example:
        multiply(x, exp(constant 0.0))  ->  multiply(x, constant 1.0)
    """
    return rewrite_to_fixpoint(graph, lambda node: (fold_node,))


def fold_node(node: Node) -> Node | None:
    """op(constants) -> constant."""
    if node.op.name == "extent":
        value = node.attrs["value"]
        return None if isinstance(value, Dim) else constant_of_type(np.asarray(value), node.type)
    if not node.inputs or isinstance(node.op.kind, Control | Leaf) or not _worth_folding(node):
        return None
    arrays = [operand.value for operand in node.inputs if is_constant(operand)]
    if len(arrays) < len(node.inputs):
        return None
    try:
        with np.errstate(all="ignore"):
            return constant_of_type(node.op.numpy(*arrays, **node.attrs), node.type)
    except SymGraphError:
        return None  # such as an index out of range: it is reported if the program gets there


def constant_of_type(value: Any, wanted: TensorType) -> Constant:
    """Return `value` as a constant of exactly this dtype and weakness."""
    array = np.asarray(value).astype(wanted.element)
    return Constant(array.item()) if wanted.weak else Constant(array)


def _worth_folding(node: Node) -> bool:
    """Tell whether the result is small, and no larger than the operands: views stay views."""
    if any(not is_constant(operand) for operand in node.inputs):
        return False
    result = static_bytes(node.type)
    operands = [static_bytes(operand.type) for operand in node.inputs]
    if result is None or result > LARGEST_FOLDED or _holds_symbols(tuple(node.attrs.values())):
        return False
    if node.op.name == "broadcast_to" and node.type.shape != node.inputs[0].type.shape:
        return False
    return all(size is not None and size <= LARGEST_FOLDED for size in operands)


def static_bytes(declared: TensorType) -> int | None:
    """Return the number of bytes of an array of this type, None while it depends on symbols."""
    extents = [extent for extent in declared.dims if isinstance(extent, int)]
    if len(extents) < declared.rank:
        return None
    return prod(extents) * np.dtype(declared.element).itemsize


def _holds_symbols(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_holds_symbols(entry) for entry in value)
    return isinstance(value, Dim)
