"""Rules for multiply, divide, reciprocal, floor_divide and the scaling of adjoints."""

from __future__ import annotations

import numpy as np

from symgraph.compiler.passes.rules.matching import (
    RuleTable,
    build,
    filled,
    has_value,
    is_float,
    is_integer,
    number,
    only_input,
    uniform,
)
from symgraph.compiler.passes.rules.sums import COMMUTATIVE, merge_integer_constants
from symgraph.node import Node


def outer_product(node: Node) -> Node | None:
    """`x @ w -> x * w` where x is a column and w a row: a product without a sum."""
    x, w = node.inputs
    return build("multiply", x, w) if x.type.dims[-1] == 1 else None


def multiply_by_one(node: Node) -> Node | None:
    """`x * 1 -> x`; `x / 1 -> x`; `scale_adjoint(x, 1) -> x`."""
    return node.inputs[0] if has_value(node.inputs[1], 1) else None


def multiply_by_minus_one(node: Node) -> Node | None:
    """`x * -1 -> -x`; `x / -1 -> -x`."""
    return build("negative", node.inputs[0]) if has_value(node.inputs[1], -1) else None


def multiply_by_zero(node: Node) -> Node | None:
    """`x * 0 -> 0`, for ints and bools: a float may be NaN or infinite."""
    return filled(0, node) if not is_float(node) and has_value(node.inputs[1], 0) else None


def multiply_itself(node: Node) -> Node | None:
    """`x * x -> square(x)`, which says the same with one operand."""
    left, right = node.inputs
    number_like = is_float(node) or is_integer(node)
    return build("square", left) if left is right and number_like else None


def cancel_signs(node: Node) -> Node | None:
    """-a * -b -> a * b; -a / -b -> a / b."""
    left, right = (only_input(operand, "negative") for operand in node.inputs)
    return None if left is None or right is None else build(node.op.name, left, right)


def sign_into_constant(node: Node) -> Node | None:
    """-x * c -> x * -c; -x / c -> x / -c; c / -x -> -c / x."""
    left, right = node.inputs
    x = only_input(left, "negative")
    if x is not None and uniform(right) is not None:
        return build(node.op.name, x, build("negative", right))
    x = only_input(right, "negative")
    if x is not None and uniform(left) is not None:
        return build(node.op.name, build("negative", left), x)
    return None


def sign_outwards(node: Node) -> Node | None:
    """-a * b -> -(a * b); a / -b -> -(a / b): there it meets others of its kind."""
    left, right = node.inputs
    x = only_input(left, "negative")
    if x is not None:
        return build("negative", build(node.op.name, x, right))
    x = only_input(right, "negative")
    return None if x is None else build("negative", build(node.op.name, left, x))


def merge_powers_of_two(node: Node) -> Node | None:
    """(x * c) * d -> x * (c * d), for powers of two of at least 1: exact, overflow included."""
    inner, outer_constant = node.inputs
    if not is_float(node) or inner.op is not node.op:
        return None
    x, inner_constant = inner.inputs
    c, d = uniform(inner_constant), uniform(outer_constant)
    if c is None or d is None or not (_grows_exactly(c) and _grows_exactly(d)):
        return None
    product = float(c) * float(d)
    if product > float(np.finfo(node.type.element).max):
        return None
    return build("multiply", x, number(product, node))


def _grows_exactly(factor: float) -> bool:
    return bool(factor >= 1 and np.isfinite(factor) and np.frexp(factor)[0] == 0.5)


def divide_by_power_of_two(node: Node) -> Node | None:
    """`x / c -> x * (1 / c)`, for a power of two c whose inverse is a normal number."""
    x, divisor = node.inputs
    c = uniform(divisor)
    if c is None or not np.isfinite(c) or abs(np.frexp(c)[0]) != 0.5 or uniform(x) is not None:
        return None
    inverse = 1.0 / float(c)
    limits = np.finfo(node.type.element)
    if not float(limits.tiny) <= abs(inverse) <= float(limits.max):
        return None
    return build("multiply", x, number(inverse, node))


def one_divided(node: Node) -> Node | None:
    """1 / x -> reciprocal(x)."""
    one, x = node.inputs
    same_type = x.type.element == node.type.element
    return build("reciprocal", x) if same_type and has_value(one, 1) else None


def negative_reciprocal(node: Node) -> Node | None:
    """reciprocal(-x) -> -reciprocal(x)."""
    x = only_input(node.inputs[0], "negative")
    return build("negative", build("reciprocal", x)) if x is not None and is_float(node) else None


def floor_divide_by_one(node: Node) -> Node | None:
    """`x // 1 -> x`, for ints."""
    x, one = node.inputs
    return x if is_integer(node) and has_value(one, 1) else None


def plain_adjoint(node: Node) -> Node | None:
    """scale_adjoint(g, f) -> g * f, for constants g != 0, or f positive and finite."""
    g, factor = node.inputs
    scale, amount = uniform(g), uniform(factor)
    nonzero = scale is not None and scale != 0
    # A negative factor would give a zero in g the other sign.
    harmless = amount is not None and np.isfinite(amount) and amount > 0
    return build("multiply", g, factor) if nonzero or harmless else None


RULES: RuleTable = {
    "multiply": (
        *COMMUTATIVE,
        multiply_by_one,
        multiply_by_minus_one,
        multiply_by_zero,
        multiply_itself,
        cancel_signs,
        sign_into_constant,
        sign_outwards,
        merge_integer_constants,
        merge_powers_of_two,
    ),
    "divide": (
        multiply_by_one,
        multiply_by_minus_one,
        cancel_signs,
        sign_into_constant,
        sign_outwards,
        divide_by_power_of_two,
        one_divided,
    ),
    "reciprocal": (negative_reciprocal,),
    "floor_divide": (floor_divide_by_one,),
    "scale_adjoint": (multiply_by_one, plain_adjoint),
    "batch_matmul": (outer_product,),
}
