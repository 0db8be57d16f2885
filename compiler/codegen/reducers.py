"""How each reduction starts and combines, in scalar code for every device."""

from __future__ import annotations

import numpy as np

from symgraph.node import Node
from symgraph.op import Reduce
from symgraph.scalar.builder import ScalarBuilder, ValueT
from symgraph.types import FLOATS


def identity(builder: ScalarBuilder[ValueT], name: str, dtype: str) -> ValueT:
    """Return the value that a reduction of nothing gives."""
    if name in ("sum", "any"):
        return builder.constant(0, dtype)
    if name in ("prod", "all"):
        return builder.constant(1, dtype)
    sign = -1 if name == "max" else 1
    if dtype in FLOATS:
        return builder.constant(sign * float("inf"), dtype)
    if dtype == "bool":
        return builder.constant(name == "min", dtype)
    limits = np.iinfo(dtype)
    return builder.constant(int(limits.min if name == "max" else limits.max), dtype)


def combine(builder: ScalarBuilder[ValueT], name: str, total: ValueT, value: ValueT) -> ValueT:
    """Return `total` with one more value taken in; maxima and minima keep a NaN."""
    if name == "sum":
        return builder.add(total, value)
    if name == "prod":
        return builder.mul(total, value)
    if name == "any" or (name == "max" and value.dtype == "bool"):
        return builder.bit_or(total, value)
    if name == "all" or (name == "min" and value.dtype == "bool"):
        return builder.bit_and(total, value)
    return builder.maximum(total, value) if name == "max" else builder.minimum(total, value)


def combiner(node: Node) -> str:
    """Return the name of a reduction's combining operation."""
    assert isinstance(node.op.kind, Reduce), f"{node.op.name} is no reduction"
    return node.op.kind.combine
