"""Comparisons, logic, bits, and the choices made by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.op import NO_GRADIENT, Op
from symgraph.ops.elementwise import (
    Array,
    Draw,
    DTypeKey,
    between,
    elementwise,
    halves,
    promoting,
    truths,
)
from symgraph.types import FLOATS

Scalar = Callable[..., Any]
BYTES: Draw = lambda rng, shape: np.asarray(rng.integers(-9, 10, shape))  # noqa: E731


def _predicate(name: str, ufunc: np.ufunc, scalar: Scalar, doc: str, domain: Sequence[Draw]) -> Op:
    return elementwise(name, numpy=ufunc, scalar=scalar, grad=NO_GRADIENT, domain=domain, doc=doc)


_TWO = (between(-3, 3), halves(0.1))
equal = _predicate(
    "equal", np.equal, lambda s, x, y: s.eq(x, y), "x == y, False on NaN.", (BYTES, BYTES)
)
not_equal = _predicate(
    "not_equal", np.not_equal, lambda s, x, y: s.ne(x, y), "x != y, True on NaN.", (BYTES, BYTES)
)
less = _predicate("less", np.less, lambda s, x, y: s.lt(x, y), "x < y, False on NaN.", _TWO)
less_equal = _predicate(
    "less_equal", np.less_equal, lambda s, x, y: s.le(x, y), "x <= y, False on NaN.", _TWO
)
greater = _predicate(
    "greater", np.greater, lambda s, x, y: s.gt(x, y), "x > y, False on NaN.", _TWO
)
greater_equal = _predicate(
    "greater_equal", np.greater_equal, lambda s, x, y: s.ge(x, y), "x >= y, False on NaN.", _TWO
)


def _logic(name: str, ufunc: np.ufunc, scalar: Scalar, doc: str) -> Op:
    return elementwise(
        name,
        numpy=ufunc,
        scalar=scalar,
        grad=NO_GRADIENT,
        domain=(truths,) * ufunc.nin,
        dtypes=lambda keys: ("bool",) * (len(keys) + 1),
        doc=doc,
    )


logical_and = _logic(
    "logical_and",
    np.logical_and,
    lambda s, x, y: s.bit_and(x, y),
    "x and y as truth values; NaN counts as true.",
)
logical_or = _logic(
    "logical_or",
    np.logical_or,
    lambda s, x, y: s.bit_or(x, y),
    "x or y as truth values; NaN counts as true.",
)
logical_xor = _logic(
    "logical_xor",
    np.logical_xor,
    lambda s, x, y: s.bit_xor(x, y),
    "Whether exactly one of x and y is true.",
)
logical_not = _logic("logical_not", np.logical_not, lambda s, x: s.bit_not(x), "Whether x is zero.")

bitwise_and = _predicate(
    "bitwise_and",
    np.bitwise_and,
    lambda s, x, y: s.bit_and(x, y),
    "x & y: bit by bit for integers, `and` for bools.",
    (BYTES, BYTES),
)
bitwise_or = _predicate(
    "bitwise_or",
    np.bitwise_or,
    lambda s, x, y: s.bit_or(x, y),
    "x | y: bit by bit for integers, `or` for bools.",
    (BYTES, BYTES),
)
bitwise_xor = _predicate(
    "bitwise_xor",
    np.bitwise_xor,
    lambda s, x, y: s.bit_xor(x, y),
    "x ^ y: bit by bit for integers, `not equal` for bools.",
    (BYTES, BYTES),
)
invert = _predicate(
    "invert",
    np.invert,
    lambda s, x: s.bit_not(x),
    "~x: every bit of an integer, `not` for bools.",
    (BYTES,),
)


def _float_test(test: Scalar, for_integers: bool) -> Scalar:
    def scalar(s: Any, x: Any) -> Any:  # handles are opaque
        return test(s, x) if x.dtype in FLOATS else s.constant(for_integers, "bool")

    return scalar


def _infinite(s: Any, x: Any) -> Any:  # handles are opaque
    return s.eq(s.absolute(x), s.like(float("inf"), x))


_ONE = (between(-3, 3),)
isnan = _predicate(
    "isnan", np.isnan, _float_test(lambda s, x: s.is_nan(x), False), "Whether x is NaN.", _ONE
)
isinf = _predicate(
    "isinf", np.isinf, _float_test(_infinite, False), "Whether x is +inf or -inf.", _ONE
)
isfinite = _predicate(
    "isfinite",
    np.isfinite,
    _float_test(lambda s, x: s.lt(s.absolute(x), s.like(float("inf"), x)), True),
    "Whether x is neither NaN nor infinite.",
    _ONE,
)


def _where_dtypes(keys: tuple[DTypeKey, ...]) -> tuple[str, ...]:
    return ("bool", *promoting(keys[1:]))


def _where_reference(condition: Array, x: Array, y: Array) -> Array:
    return np.where(condition, x, y)


where: Op = elementwise(
    "where",
    numpy=_where_reference,
    scalar=lambda s, condition, x, y: s.select(condition, x, y),
    grad=lambda g, z, condition, x, y: (None, where(condition, g, 0), where(condition, 0, g)),
    domain=(truths, between(-3, 3), between(-3, 3)),
    dtypes=_where_dtypes,
    differentiable=(1, 2),
    doc="x where the condition holds (is not zero), else y; nothing leaks from the other one.",
)
