"""Stable forms: the same function, computed without overflow or cancellation.

These rules change values, for the better: where the plain form overflows, underflows or cancels,
the stable one is right. Elsewhere they agree within a few ulp.
"""

from __future__ import annotations

from symgraph.compiler.passes.rules.matching import (
    RuleTable,
    build,
    has_value,
    is_float,
    number,
    one_plus,
    only_input,
)
from symgraph.dims import never_negative
from symgraph.node import Node


def log_of_one_plus(node: Node) -> Node | None:
    """log(1 + x) -> log1p(x)."""
    x = one_plus(node.inputs[0])
    return None if x is None else build("log1p", x)


def log_of_one_minus(node: Node) -> Node | None:
    """log(1 - x) -> log1p(-x)."""
    inner = node.inputs[0]
    if inner.op.name != "subtract" or not has_value(inner.inputs[0], 1):
        return None
    return build("log1p", build("negative", inner.inputs[1]))


def exp_minus_one(node: Node) -> Node | None:
    """exp(x) - 1 -> expm1(x); also exp(x) + -1."""
    left, one = node.inputs
    x = only_input(left, "exp")
    wanted = 1 if node.op.name == "subtract" else -1
    return build("expm1", x) if x is not None and has_value(one, wanted) else None


def logistic(node: Node) -> Node | None:
    """1 / (1 + exp(-x)) -> sigmoid(x)."""
    denominator = one_plus(node.inputs[0])
    exponent = None if denominator is None else only_input(denominator, "exp")
    x = None if exponent is None else only_input(exponent, "negative")
    return None if x is None else build("sigmoid", x)


def logistic_quotient(node: Node) -> Node | None:
    """exp(x) / (1 + exp(x)) -> sigmoid(x)."""
    numerator, denominator = node.inputs
    x = only_input(numerator, "exp")
    return build("sigmoid", x) if x is not None and one_plus(denominator) is numerator else None


def log_of_sigmoid(node: Node) -> Node | None:
    """log(sigmoid(x)) -> -softplus(-x)."""
    x = only_input(node.inputs[0], "sigmoid")
    return None if x is None else build("negative", build("softplus", build("negative", x)))


def log_of_sigmoid_complement(node: Node) -> Node | None:
    """log1p(-sigmoid(x)) -> -softplus(x)."""
    inner = only_input(node.inputs[0], "negative")
    x = None if inner is None else only_input(inner, "sigmoid")
    return None if x is None else build("negative", build("softplus", x))


def log_of_one_plus_exp(node: Node) -> Node | None:
    """log1p(exp(x)) -> softplus(x)."""
    x = only_input(node.inputs[0], "exp")
    return None if x is None else build("softplus", x)


def shifted_softmax(node: Node) -> Node | None:
    """exp(x) / sum(exp(x)) -> exp(x - max(x)) / sum(exp(x - max(x)))."""
    numerator, total = node.inputs
    x = only_input(numerator, "exp")
    if x is None or only_input(total, "sum") is not numerator:
        return None
    axes = total.attrs["axis"]
    if not _may_shift(x, axes):
        return None
    shifted = build("exp", build("subtract", x, _finite_maximum(x, axes)))
    return build("divide", shifted, build("sum", shifted, axis=axes, keepdims=True))


def log_of_softmax(node: Node) -> Node | None:
    """log(exp(x) / sum(exp(x))) -> x - log(sum(exp(x)))."""
    ratio = node.inputs[0]
    if ratio.op.name != "divide":
        return None
    numerator, total = ratio.inputs
    x = only_input(numerator, "exp")
    if x is None or only_input(total, "sum") is not numerator:
        return None
    return build("subtract", x, build("log", total))


def shifted_logsumexp(node: Node) -> Node | None:
    """log(sum(exp(x))) -> m + log(sum(exp(x - m))) with m = max(x), 0 where that is not finite."""
    total = node.inputs[0]
    squeezed = only_input(total, "reshape")
    total = total if squeezed is None else squeezed
    exponential = only_input(total, "sum")
    x = None if exponential is None else only_input(exponential, "exp")
    if x is None or not _may_shift(x, total.attrs["axis"]):
        return None
    axes = total.attrs["axis"]
    shift = _finite_maximum(x, axes)
    shifted = build("exp", build("subtract", x, shift))
    rest = build("log", build("sum", shifted, axis=axes, keepdims=True))
    return build("reshape", build("add", shift, rest), shape=node.type.dims)


def _may_shift(x: Node, axes: tuple[int, ...]) -> bool:
    """Tell whether x is a float, not shifted yet, and has a maximum along `axes`."""
    # An axis that may be empty has no maximum, and the plain form takes it: it stays as it is.
    filled = all(never_negative(x.type.dims[axis] - 1) for axis in axes)
    return is_float(x) and filled and not _is_shifted(x, axes)


def _is_shifted(x: Node, axes: tuple[int, ...]) -> bool:
    """Tell whether x is already u - max(u), however that maximum is made finite."""
    if x.op.name != "subtract":
        return False
    u, shift = x.inputs
    while shift.op.name in ("where", "stop_gradient", "reshape", "broadcast_to"):
        shift = shift.inputs[1] if shift.op.name == "where" else shift.inputs[0]
    return only_input(shift, "max") is u and set(axes) <= set(shift.attrs["axis"])


def _finite_maximum(x: Node, axes: tuple[int, ...]) -> Node:
    """Return max(x), and 0 where that is not finite: inf - inf would spoil the finite elements.

    It is a constant for later derivatives, which the shift does not influence.
    """
    largest = build("stop_gradient", build("max", x, axis=axes, keepdims=True))
    return build("where", build("isfinite", largest), largest, number(0, x))


RULES: RuleTable = {
    "log": (
        log_of_sigmoid,
        log_of_softmax,
        shifted_logsumexp,
        log_of_one_plus,
        log_of_one_minus,
    ),
    "log1p": (log_of_one_plus_exp, log_of_sigmoid_complement),
    "subtract": (exp_minus_one,),
    "add": (exp_minus_one,),
    "reciprocal": (logistic,),
    "divide": (logistic_quotient, shifted_softmax),
}
