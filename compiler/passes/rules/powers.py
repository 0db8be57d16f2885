"""Rules for power, square, sqrt, absolute and relu."""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import (
    RuleTable,
    build,
    filled,
    has_value,
    is_float,
    non_negative,
    only_input,
)
from symgraph.node import Node


def power_of_zero(node: Node) -> Node | None:
    """`x ** 0 -> 1`; so IEEE says for NaN and the infinities too."""
    return (
        filled(1, node) if has_value(node.inputs[1], 0) or has_value(node.inputs[1], -0.0) else None
    )


def power_of_one(node: Node) -> Node | None:
    """`x ** 1 -> x`."""
    return node.inputs[0] if has_value(node.inputs[1], 1) else None


def power_of_two(node: Node) -> Node | None:
    """`x ** 2 -> square(x)`."""
    return build("square", node.inputs[0]) if has_value(node.inputs[1], 2) else None


def power_of_three(node: Node) -> Node | None:
    """`x ** 3 -> square(x) * x`, within 2 ulp, and exact for ints, zeros and infinities."""
    x, exponent = node.inputs
    return build("multiply", build("square", x), x) if has_value(exponent, 3) else None


def power_of_minus_one(node: Node) -> Node | None:
    """`x ** -1 -> reciprocal(x)`, for floats."""
    x, exponent = node.inputs
    return build("reciprocal", x) if is_float(node) and has_value(exponent, -1) else None


def power_of_half(node: Node) -> Node | None:
    """`x ** 0.5 -> sqrt(x)`, as NumPy does for an exponent of one element."""
    x, exponent = node.inputs
    scalar = exponent.type.rank == 0 or non_negative(x)
    return build("sqrt", x) if has_value(exponent, 0.5) and scalar else None


def even_function(node: Node) -> Node | None:
    """f(-x) -> f(x); f(|x|) -> f(x), for the even functions square and absolute."""
    inner = node.inputs[0]
    x = only_input(inner, "negative")
    if x is None:
        x = only_input(inner, "absolute")
    return None if x is None else build(node.op.name, x)


def already_positive(node: Node) -> Node | None:
    """|x| -> x; relu(x) -> x, for x that is never below +0.0."""
    return node.inputs[0] if non_negative(node.inputs[0]) else None


def idempotent(node: Node) -> Node | None:
    """f(f(x)) -> f(x), for relu, floor, ceil, rint, trunc, sign."""
    inner = node.inputs[0]
    return inner if inner.op is node.op and inner.attrs == node.attrs else None


RULES: RuleTable = {
    "power": (
        power_of_zero,
        power_of_one,
        power_of_two,
        power_of_three,
        power_of_minus_one,
        power_of_half,
    ),
    "square": (even_function,),
    "absolute": (already_positive, even_function),
    "relu": (already_positive, idempotent),
    **{name: (idempotent,) for name in ("floor", "ceil", "rint", "trunc", "sign")},
}
