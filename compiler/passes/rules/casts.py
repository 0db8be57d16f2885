"""Rules for cast and, at the last stage, stop_gradient."""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import RuleTable, build, only_input
from symgraph.node import Node

LOSSLESS = frozenset(
    {
        *(("bool", wider) for wider in ("int32", "int64", "float32", "float64")),
        ("int32", "int64"),
        ("int32", "float64"),
        ("float32", "float64"),
    }
)
"""Conversions that keep every value apart, so that one after them sees the original."""


def same_dtype(node: Node) -> Node | None:
    """cast(x, dtype of x) -> x."""
    x = node.inputs[0]
    return x if x.type.element == node.type.element else None


def cast_of_cast(node: Node) -> Node | None:
    """cast(cast(x, wider), dtype) -> cast(x, dtype), where the first cast loses nothing."""
    x = only_input(node.inputs[0], "cast")
    if x is None or (x.type.element, node.inputs[0].type.element) not in LOSSLESS:
        return None
    return build("cast", x, dtype=node.type.element)


def no_gradient_wanted(node: Node) -> Node | None:
    """stop_gradient(x) -> x, once all differentiation is done."""
    return node.inputs[0]


RULES: RuleTable = {"cast": (same_dtype, cast_of_cast)}

FINAL_RULES: RuleTable = {"stop_gradient": (no_gradient_wanted,)}
