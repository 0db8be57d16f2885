"""Rules for add, subtract and negative."""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import (
    Rule,
    RuleTable,
    build,
    filled,
    has_value,
    is_bool,
    is_float,
    is_integer,
    never_minus_zero,
    number,
    only_input,
    uniform,
)
from symgraph.leaves import is_constant
from symgraph.node import Node


def constant_second(node: Node) -> Node | None:
    """op(constant, x) -> op(x, constant), for a commutative op."""
    left, right = node.inputs
    if is_constant(left) and not is_constant(right):
        return build(node.op.name, right, left)
    return None


def add_nothing(node: Node) -> Node | None:
    """`x + 0 -> x` for ints and bools; `x + -0.0 -> x`; `x + 0.0 -> x` where x is never -0.0."""
    x, zero = node.inputs
    if is_float(node):
        # -0.0 + 0.0 is 0.0, so a plain zero disappears only where x cannot be -0.0.
        harmless = has_value(zero, -0.0) or (has_value(zero, 0.0) and never_minus_zero(x))
        return x if harmless else None
    return x if has_value(zero, 0) else None


def add_negative(node: Node) -> Node | None:
    """`a + -b -> a - b`; `-a + b -> b - a`."""
    left, right = node.inputs
    negated = only_input(right, "negative")
    if negated is not None:
        return build("subtract", left, negated)
    negated = only_input(left, "negative")
    return None if negated is None else build("subtract", right, negated)


def merge_integer_constants(node: Node) -> Node | None:
    """(x op c) op d -> x op (c op d), for wrapping ints only: floats would round differently."""
    inner, outer_constant = node.inputs
    if not is_integer(node) or inner.op is not node.op or uniform(outer_constant) is None:
        return None
    x, inner_constant = inner.inputs
    if uniform(inner_constant) is None:
        return None
    return build(node.op.name, x, build(node.op.name, inner_constant, outer_constant))


def subtract_nothing(node: Node) -> Node | None:
    """`x - 0 -> x`."""
    return node.inputs[0] if has_value(node.inputs[1], 0.0) else None


def subtract_negative(node: Node) -> Node | None:
    """`a - -b -> a + b`."""
    negated = only_input(node.inputs[1], "negative")
    return None if negated is None else build("add", node.inputs[0], negated)


def subtract_from_nothing(node: Node) -> Node | None:
    """0 - x -> -x for ints; -0.0 - x -> -x for floats (0.0 - 0.0 is 0.0, not -0.0)."""
    zero, x = node.inputs
    return build("negative", x) if has_value(zero, -0.0 if is_float(node) else 0) else None


def subtract_itself(node: Node) -> Node | None:
    """`x - x -> 0`, for ints: a float may be NaN or infinite."""
    left, right = node.inputs
    return filled(0, node) if left is right and is_integer(node) else None


def double_negation(node: Node) -> Node | None:
    """-(-x) -> x."""
    return only_input(node.inputs[0], "negative")


def negated_scaling(node: Node) -> Node | None:
    """-(x * c) -> x * -c; -(x / c) -> x / -c, for a constant c."""
    inner = node.inputs[0]
    if inner.op.name not in ("multiply", "divide") or is_bool(node):
        return None
    x, factor = inner.inputs
    if uniform(factor) is None or uniform(x) is not None:
        return None
    return build(inner.op.name, x, build("negative", factor))


COMMUTATIVE: tuple[Rule, ...] = (constant_second,)


def add_itself(node: Node) -> Node | None:
    """`x + x -> x * 2`, exact; doublings in a row then merge into one product."""
    x, other = node.inputs
    if x is not other or is_bool(node) or is_constant(x):
        return None
    return build("multiply", x, number(2, x))


RULES: RuleTable = {
    "add": (*COMMUTATIVE, add_itself, add_nothing, add_negative, merge_integer_constants),
    "subtract": (subtract_nothing, subtract_negative, subtract_from_nothing, subtract_itself),
    "negative": (double_negation, negated_scaling),
}
