"""Evaluates scalar code with NumPy, one array operation a primitive: an independent check."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.scalar.builder import ScalarBuilder

Array = NDArray[Any]
UNSIGNED = {"int32": np.uint32, "int64": np.uint64}


@dataclass(frozen=True, slots=True)
class ArrayValue:
    """A value of the evaluation: an array."""

    array: Array

    @property
    def dtype(self) -> str:
        """The name of the array's dtype."""
        return self.array.dtype.name


def _exact_fma(x: Array, y: Array, z: Array) -> Array:
    """Give x * y + z rounded once, through exact rational arithmetic."""
    from fractions import Fraction

    plain: Array = x * y + z
    result = np.array(np.broadcast_to(plain, np.broadcast(x, y, z).shape))
    triples = np.broadcast(x, y, z)
    for index, (a, b, c) in enumerate(triples):
        # An exact zero keeps the sign that IEEE gives it, and what is not finite needs no rounding.
        if np.isfinite(a) and np.isfinite(b) and np.isfinite(c):
            exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
            if exact:
                result.flat[index] = _round_fraction(exact, x.dtype)
    return result


def _round_fraction(exact: Any, dtype: Any) -> float:
    """Round a fraction to the nearest float of `dtype`, ties to even."""
    limits = np.finfo(dtype)
    magnitude = abs(exact)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < 2**exponent if exponent >= 0 else magnitude * 2**-exponent < 1:
        exponent -= 1
    unit = max(exponent, int(limits.minexp)) - int(limits.nmant)
    scaled = exact / 2**unit if unit >= 0 else exact * 2**-unit
    rounded = round(scaled)
    if abs(rounded) >= 2 ** (int(limits.maxexp) - unit):
        return float("inf") if exact > 0 else float("-inf")
    return float(np.copysign(np.ldexp(float(rounded), unit), 1.0 if exact > 0 else -1.0))


class NumpyBuilder(ScalarBuilder[ArrayValue]):
    """Evaluates every primitive at once on whole arrays."""

    def constant(self, value: float, dtype: str) -> ArrayValue:
        """Give a constant."""
        return ArrayValue(np.array(value, dtype))

    def add(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Add."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(x.array + y.array))

    def sub(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Subtract."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(x.array - y.array))

    def mul(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Multiply."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(x.array * y.array))

    def neg(self, x: ArrayValue) -> ArrayValue:
        """Negate."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(-x.array))

    def div(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Divide floats."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(x.array / y.array))

    def fma(self, x: ArrayValue, y: ArrayValue, z: ArrayValue) -> ArrayValue:
        """Multiply and add, rounded once."""
        with np.errstate(all="ignore"):
            return ArrayValue(_exact_fma(x.array, y.array, z.array))

    def sqrt(self, x: ArrayValue) -> ArrayValue:
        """Take the square root."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.sqrt(x.array)))

    def floor(self, x: ArrayValue) -> ArrayValue:
        """Round down."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.floor(x.array)))

    def ceil(self, x: ArrayValue) -> ArrayValue:
        """Round up."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.ceil(x.array)))

    def rint(self, x: ArrayValue) -> ArrayValue:
        """Round to even."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.rint(x.array)))

    def trunc(self, x: ArrayValue) -> ArrayValue:
        """Round towards zero."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.trunc(x.array)))

    def absolute(self, x: ArrayValue) -> ArrayValue:
        """Take the magnitude."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.abs(x.array)))

    def copysign(self, x: ArrayValue, sign: ArrayValue) -> ArrayValue:
        """Combine magnitude and sign."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.copysign(x.array, sign.array)))

    def int_div(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Divide integers, truncating."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray((x.array - np.fmod(x.array, y.array)) // y.array))

    def int_rem(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Give the remainder."""
        with np.errstate(all="ignore"):
            return ArrayValue(np.asarray(np.fmod(x.array, y.array)))

    def lt(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Compare x < y."""
        return ArrayValue(np.asarray(x.array < y.array))

    def le(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Compare x <= y."""
        return ArrayValue(np.asarray(x.array <= y.array))

    def eq(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Compare x == y."""
        return ArrayValue(np.asarray(x.array == y.array))

    def ne(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Compare x != y."""
        return ArrayValue(np.asarray(x.array != y.array))

    def ult(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Compare as unsigned."""
        unsigned = UNSIGNED[x.dtype]
        return ArrayValue(np.asarray(x.array.view(unsigned) < y.array.view(unsigned)))

    def select(self, condition: ArrayValue, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Choose."""
        return ArrayValue(np.where(condition.array, x.array, y.array))

    def bit_and(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """And bits."""
        return ArrayValue(np.asarray(x.array & y.array))

    def bit_or(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Or bits."""
        return ArrayValue(np.asarray(x.array | y.array))

    def bit_xor(self, x: ArrayValue, y: ArrayValue) -> ArrayValue:
        """Xor bits."""
        return ArrayValue(np.asarray(x.array ^ y.array))

    def bit_not(self, x: ArrayValue) -> ArrayValue:
        """Invert bits."""
        return ArrayValue(np.asarray(~x.array))

    def shl(self, x: ArrayValue, count: ArrayValue) -> ArrayValue:
        """Shift left."""
        return ArrayValue(np.asarray(x.array << count.array))

    def lshr(self, x: ArrayValue, count: ArrayValue) -> ArrayValue:
        """Shift right, filling with zeros."""
        unsigned = UNSIGNED[x.dtype]
        shifted = np.asarray(x.array.view(unsigned) >> count.array.view(unsigned))
        return ArrayValue(shifted.view(x.array.dtype))

    def ashr(self, x: ArrayValue, count: ArrayValue) -> ArrayValue:
        """Shift right, filling with the sign."""
        return ArrayValue(np.asarray(x.array >> count.array))

    def bitcast(self, x: ArrayValue, dtype: str) -> ArrayValue:
        """Reinterpret the bits."""
        return ArrayValue(x.array.view(dtype))

    def convert(self, x: ArrayValue, dtype: str) -> ArrayValue:
        """Convert."""
        with np.errstate(all="ignore"):
            return ArrayValue(x.array.astype(dtype))
