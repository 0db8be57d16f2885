"""Rules for where, comparisons and logic."""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import (
    RuleTable,
    build,
    filled,
    has_value,
    is_bool,
    is_float,
    only_input,
)
from symgraph.compiler.passes.rules.sums import COMMUTATIVE
from symgraph.node import Node


def same_choice(node: Node) -> Node | None:
    """where(c, a, a) -> a."""
    _, left, right = node.inputs
    return left if left is right else None


def known_condition(node: Node) -> Node | None:
    """where(True, a, b) -> a; where(False, a, b) -> b."""
    condition, left, right = node.inputs
    if has_value(condition, 1):
        return left
    return right if has_value(condition, 0) else None


def negated_condition(node: Node) -> Node | None:
    """where(not c, a, b) -> where(c, b, a)."""
    condition, left, right = node.inputs
    c = only_input(condition, "logical_not")
    return None if c is None or not is_bool(c) else build("where", c, right, left)


def choice_of_truths(node: Node) -> Node | None:
    """where(c, True, False) -> c; where(c, False, True) -> not c."""
    condition, left, right = node.inputs
    if not is_bool(node) or not is_bool(condition):
        return None
    if has_value(left, 1) and has_value(right, 0):
        return condition
    if has_value(left, 0) and has_value(right, 1):
        return build("logical_not", condition)
    return None


def nested_choice(node: Node) -> Node | None:
    """where(c, where(c, a, _), d) -> where(c, a, d); where(c, a, where(c, _, d)) -> the same."""
    condition, left, right = node.inputs
    if left.op is node.op and left.inputs[0] is condition:
        return build("where", condition, left.inputs[1], right)
    if right.op is node.op and right.inputs[0] is condition:
        return build("where", condition, left, right.inputs[2])
    return None


def strictly_itself(node: Node) -> Node | None:
    """`x < x -> False`; `x > x -> False`; NaN agrees."""
    left, right = node.inputs
    return filled(0, node) if left is right else None


def equal_itself(node: Node) -> Node | None:
    """`x == x -> True`, likewise `<=`, `>=`, for ints and bools: NaN differs from itself."""
    left, right = node.inputs
    return filled(1, node) if left is right and not is_float(left) else None


def differ_from_itself(node: Node) -> Node | None:
    """`x != x -> False` for ints and bools, `isnan(x)` for floats."""
    left, right = node.inputs
    if left is not right:
        return None
    return build("isnan", left) if is_float(left) else filled(0, node)


def negated_logic(node: Node) -> Node | None:
    """`not not c -> c`; `not (a == b) -> a != b`, and the reverse; NaN agrees."""
    inner = node.inputs[0]
    if not is_bool(inner):
        return None
    match inner.op.name:
        case "logical_not" if is_bool(inner.inputs[0]):
            return inner.inputs[0]
        case "equal":
            return build("not_equal", *inner.inputs)
        case "not_equal":
            return build("equal", *inner.inputs)
    return None


def same_truth(node: Node) -> Node | None:
    """`c and c -> c`; `c or c -> c`, for bools; `max(x, x) -> x`; `min(x, x) -> x`."""
    left, right = node.inputs
    return left if left is right and left.type == node.type else None


def and_constant(node: Node) -> Node | None:
    """`c and True -> c`; `c and False -> False`."""
    c, other = node.inputs
    if has_value(other, 0):
        return filled(0, node)
    return c if is_bool(c) and is_bool(other) and has_value(other, 1) else None


def or_constant(node: Node) -> Node | None:
    """`c or False -> c`; `c or True -> True`."""
    c, other = node.inputs
    if is_bool(other) and has_value(other, 1):
        return filled(1, node)
    return c if is_bool(c) and has_value(other, 0) else None


RULES: RuleTable = {
    "where": (same_choice, known_condition, negated_condition, choice_of_truths, nested_choice),
    "less": (strictly_itself,),
    "greater": (strictly_itself,),
    "less_equal": (equal_itself,),
    "greater_equal": (equal_itself,),
    "equal": (*COMMUTATIVE, equal_itself),
    "not_equal": (*COMMUTATIVE, differ_from_itself),
    "logical_not": (negated_logic,),
    "logical_and": (*COMMUTATIVE, same_truth, and_constant),
    "logical_or": (*COMMUTATIVE, same_truth, or_constant),
    "logical_xor": COMMUTATIVE,
    "maximum": (same_truth,),
    "minimum": (same_truth,),
}
