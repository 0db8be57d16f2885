"""Arithmetic, rounding and extremes, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.leaves import Constant, is_constant, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.op import NO_GRADIENT, REGISTRY, Attrs, Composite, Op
from symgraph.ops.adjoint import scaled
from symgraph.ops.comparison import where
from symgraph.ops.elementwise import Array, between, cast, elementwise, halves, like, samples_of
from symgraph.scalar import arithmetic as scalar_arithmetic
from symgraph.scalar import power as scalar_power
from symgraph.types import FLOATS, INTEGERS, TensorType

REAL = between(-3, 3)
NONZERO = between(0.3, 3, signed=True)
POSITIVE = between(0.3, 3)


def _is_bool(x: Any) -> bool:
    return bool(x.dtype == "bool")


add = elementwise(
    "add",
    numpy=np.add,
    scalar=lambda s, x, y: s.bit_or(x, y) if _is_bool(x) else s.add(x, y),
    grad=lambda g, y, a, b: (g, g),
    domain=(REAL, REAL),
    doc="x + y, element by element; `or` for bools.",
)
subtract = elementwise(
    "subtract",
    numpy=np.subtract,
    scalar=lambda s, x, y: s.sub(x, y),
    grad=lambda g, y, a, b: (g, -g),
    domain=(REAL, REAL),
    doc="x - y, element by element.",
)
multiply = elementwise(
    "multiply",
    numpy=np.multiply,
    scalar=lambda s, x, y: s.bit_and(x, y) if _is_bool(x) else s.mul(x, y),
    grad=lambda g, y, a, b: (scaled(g, b), scaled(g, a)),
    domain=(REAL, REAL),
    doc="x * y, element by element; `and` for bools.",
)
divide = elementwise(
    "divide",
    numpy=np.divide,
    scalar=lambda s, x, y: s.div(x, y),
    grad=lambda g, y, a, b: (scaled(g, 1.0 / b), scaled(g, -(y / b))),
    domain=(REAL, NONZERO),
    doc="x / y, element by element; integers divide as float64.",
)
floor_divide = elementwise(
    "floor_divide",
    numpy=np.floor_divide,
    scalar=scalar_arithmetic.floor_divide,
    grad=NO_GRADIENT,
    domain=(REAL, NONZERO),
    doc="x / y rounded down; an integer divided by zero gives 0.",
)
mod = elementwise(
    "mod",
    numpy=np.remainder,
    scalar=scalar_arithmetic.mod,
    grad=lambda g, y, a, b: (g, scaled(g, -floor_divide(a, b))),
    domain=(halves(0.5), lambda rng, shape: np.asarray(rng.choice([-2.0, -1.0, 1.0, 2.0], shape))),
    doc="The remainder of floor division, with the sign of y; an integer modulo zero gives 0.",
)
negative = elementwise(
    "negative",
    numpy=np.negative,
    scalar=lambda s, x: s.neg(x),
    grad=lambda g, y, x: (-g,),
    domain=(REAL,),
    doc="-x.",
)


def _power_reference(x: Array, y: Array) -> Array:
    if x.dtype.kind == "i" and np.any(y < 0):
        raise DTypeError(_NEGATIVE_POWER)
    return np.asarray(np.power(x, y))


def _power_scalar(s: Any, x: Any, y: Any) -> Any:  # handles are opaque
    if x.dtype in FLOATS:
        return scalar_power.power(s, x, y)
    s.flag(s.lt(y, s.like(0, y)), "negative_power")
    return scalar_power.power_int(s, x, y)


def _power_gradient(g: Node, y: Node, base: Node, exponent: Node) -> tuple[Node | None, ...]:
    if is_constant(exponent) and np.all(exponent.value != 0):
        lower = Constant(exponent.value.item() - 1) if exponent.type.weak else exponent.value - 1
        by_base = scaled(g, exponent * POWER(base, lower))
    else:
        never_zero = where(exponent == 0, 1, exponent)
        by_base = scaled(g, where(exponent == 0, 0, exponent * POWER(base, never_zero - 1)))
    if exponent.type.weak or exponent.type.element not in FLOATS:
        return by_base, None
    # At 0 the logarithm is infinite, but x**y stays at 0 (or at 1 for y = 0) as y moves.
    logarithm = REGISTRY["log"](where(base == 0, 1, base))
    return by_base, scaled(g, where(base == 0, 0, y * logarithm))


_NEGATIVE_POWER = (
    "integers to negative integer powers are not allowed; cast the base to a float dtype first"
)
POWER = elementwise(
    "power",
    numpy=_power_reference,
    scalar=_power_scalar,
    grad=_power_gradient,
    domain=(POSITIVE, between(-2.5, 2.5)),
    dtypes=like(np.power),
    flags=lambda dtypes: ("negative_power",) if dtypes[0] in INTEGERS else (),
    doc="x to the power y; 0**0 is 1.",
)


def power(x: Operand, y: Operand) -> Node:
    """Raise x to the power y, element by element, with broadcasting.

    Args:
        x: the base; integers stay integers when the exponent is one too.
        y: the exponent.

    Returns:
        A node of the promoted dtype and the broadcast shape.

    Raises:
        DTypeError: an integer to a constant negative integer power.

    Example:
        >>> power(Placeholder("x", shape=(3,), dtype="float32"), 2)
        <power: float32[3]>
    """
    base, exponent = lift(x), lift(y)
    integers = base.type.dtype in (*INTEGERS, "bool") and exponent.type.dtype in INTEGERS
    if integers and is_constant(exponent) and np.any(exponent.value < 0):
        raise DTypeError(
            f"power: {_NEGATIVE_POWER}\n  base: {describe(base)}\n"
            f"  exponent: {describe(exponent)}\n  at {user_location()}"
        )
    return POWER(base, exponent)


square = elementwise(
    "square",
    numpy=np.square,
    scalar=lambda s, x: s.mul(x, x),
    grad=lambda g, y, x: (scaled(g, 2 * x),),
    domain=(REAL,),
    doc="x * x.",
)
reciprocal = elementwise(
    "reciprocal",
    numpy=np.reciprocal,
    scalar=lambda s, x: _reciprocal(s, x),
    grad=lambda g, y, x: (scaled(g, -square(y)),),
    domain=(NONZERO,),
    doc="1 / x; for integers truncated, as in NumPy.",
)


def _reciprocal(s: Any, x: Any) -> Any:  # handles are opaque
    if x.dtype in FLOATS:
        return s.div(s.like(1, x), x)
    return s.convert(s.div(s.constant(1.0, "float64"), s.convert(x, "float64")), x.dtype)


sqrt = elementwise(
    "sqrt",
    numpy=np.sqrt,
    scalar=lambda s, x: s.sqrt(x),
    grad=lambda g, y, x: (scaled(g, 0.5 / y),),
    domain=(POSITIVE,),
    doc="The square root; NaN below zero.",
)
rsqrt = elementwise(
    "rsqrt",
    numpy=lambda x: np.reciprocal(np.sqrt(x)),
    scalar=scalar_arithmetic.rsqrt,
    grad=lambda g, y, x: (scaled(g, -0.5 * y / x),),
    domain=(POSITIVE,),
    dtypes=like(np.sqrt),
    doc="1 / sqrt(x).",
)
absolute = elementwise(
    "absolute",
    numpy=np.absolute,
    scalar=lambda s, x: x if _is_bool(x) else s.absolute(x),
    grad=lambda g, y, x: (scaled(g, sign(x)),),
    domain=(NONZERO,),
    doc="|x|; the gradient at 0 is 0.",
)
sign: Op = elementwise(
    "sign",
    numpy=np.sign,
    scalar=scalar_arithmetic.sign,
    grad=NO_GRADIENT,
    domain=(NONZERO,),
    doc="-1, 0 or 1; NaN for NaN.",
)


def _rounding(name: str, ufunc: np.ufunc, doc: str) -> Op:
    return elementwise(
        name,
        numpy=ufunc,
        scalar=lambda s, x: getattr(s, name)(x) if x.dtype in FLOATS else x,
        grad=NO_GRADIENT,
        domain=(halves(0.3),),
        doc=doc,
    )


floor = _rounding("floor", np.floor, "x rounded down; integers as they are.")
ceil = _rounding("ceil", np.ceil, "x rounded up; integers as they are.")
trunc = _rounding("trunc", np.trunc, "x rounded towards zero; integers as they are.")
rint = _rounding("rint", np.rint, "x rounded to the nearest integer, ties to even, as a float.")


def _expand_round(x: Node, decimals: int) -> Node:
    whole = x.type.element not in FLOATS
    if whole and decimals >= 0:
        return cast(x, x.type.element)
    if decimals == 0:
        return rint(x)
    factor = 10.0 ** abs(decimals)
    rounded = rint(x * factor) / factor if decimals > 0 else rint(x / factor) * factor
    return cast(rounded, x.type.element) if whole else rounded


def _infer_round(types: tuple[Any, ...], _attrs: Attrs) -> TensorType:
    entry: TensorType = types[0]
    if entry.element == "bool":
        raise DTypeError("NumPy rounds bools to float16, which is not supported; cast first")
    return entry


ROUND = Op(
    name="round",
    kind=Composite(_expand_round),
    infer=_infer_round,
    numpy=lambda x, decimals: np.asarray(np.round(x, decimals)),
    grad=NO_GRADIENT,
    samples=samples_of((halves(0.314),), (), [{"decimals": 0}, {"decimals": 1}, {"decimals": -1}]),
    doc="x rounded to a number of decimals, ties to even; integers stay integers.",
)


def round(x: Operand, decimals: int = 0) -> Node:
    """Round to `decimals` decimals, ties to even, as NumPy's `round`.

    Args:
        x: any shape; integers stay integers.
        decimals: how many digits behind the point stay; negative for before it.

    Returns:
        A node of the type of x. Its derivative is zero.

    Raises:
        DTypeError: x is bool.

    Example:
        >>> round(Placeholder("x", shape=(3,), dtype="float32"), 2)
        <round: float32[3]>
    """
    return ROUND(x, decimals=int(decimals))
