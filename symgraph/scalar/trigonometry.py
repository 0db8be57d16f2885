"""Trigonometric functions of an angle in radians, accurate for angles of any size.

Method: reduction to [-pi/4, pi/4] (see `range_reduction`) and minimax polynomials in r**2 for sine
and cosine, found with the Remez exchange in 60-digit arithmetic, weighted for relative error.
"""

from symgraph.scalar.builder import SAME_WIDTH_INTEGER, ScalarBuilder, ValueT
from symgraph.scalar.compensated import fast_two_sum, two_product
from symgraph.scalar.range_reduction import (
    HALF_PI_PARTS,
    ORDINARY_LIMIT,
    reduce_huge,
    reduce_ordinary,
)

# sin r = r + r**3 P(r**2)
SINE = {
    "float32": (-0.16666667, 0.008333329, -0.00019839327, 2.718237e-06),
    "float64": (
        -0.16666666666666632,
        0.008333333333322316,
        -0.00019841269829725414,
        2.7557313662118465e-06,
        -2.5050753272081436e-08,
        1.5896505280377327e-10,
    ),
}
# cos r = 1 - r**2 / 2 + r**4 P(r**2)
COSINE = {
    "float32": (0.041666646, -0.0013887362, 2.4437726e-05),
    "float64": (
        0.0416666666666666,
        -0.0013888888888873992,
        2.480158728939551e-05,
        -2.7557314326182264e-07,
        2.087571957771697e-09,
        -1.1359449602392913e-11,
    ),
}


def _sine_cosine(
    s: ScalarBuilder[ValueT], r: ValueT, low: ValueT
) -> tuple[tuple[ValueT, ValueT], tuple[ValueT, ValueT]]:
    """Give sin(r + low) and cos(r + low), each as two terms to be added, the second small.

    Args:
        s: The builder.
        r: An angle, at most pi/4 in magnitude.
        low: What the angle exceeds r by, smaller than the last place of r.
    """
    one, half = s.like(1.0, r), s.like(0.5, r)
    square = s.mul(r, r)
    half_square = s.mul(square, half)
    leading = s.sub(one, half_square)
    cubic = s.mul(s.mul(r, square), s.polynomial(square, SINE[r.dtype]))
    lost = s.sub(s.sub(one, leading), half_square)
    quartic = s.fma(s.mul(square, square), s.polynomial(square, COSINE[r.dtype]), lost)
    return (r, s.fma(low, leading, cubic)), (leading, s.fma(s.neg(r), low, quartic))


def _negate_if_bit(s: ScalarBuilder[ValueT], x: ValueT, bits: ValueT, position: int) -> ValueT:
    """Negate x where the bit of that position is set in `bits`, an integer of x's width."""
    integer = SAME_WIDTH_INTEGER[x.dtype]
    width = 32 if integer == "int32" else 64
    sign = s.shift_left(s.bit_and(bits, s.like(1 << position, bits)), width - 1 - position)
    return s.bitcast(s.bit_xor(s.bitcast(x, integer), sign), x.dtype)


def _is_odd(s: ScalarBuilder[ValueT], n: ValueT) -> ValueT:
    return s.ne(s.bit_and(n, s.like(1, n)), s.like(0, n))


def _sine_of(s: ScalarBuilder[ValueT], n: ValueT, r: ValueT, low: ValueT) -> ValueT:
    """Give sin(n pi/2 + r + low)."""
    sine, cosine = _sine_cosine(s, r, low)
    value = s.select(_is_odd(s, n), s.add(*cosine), s.add(*sine))
    return _negate_if_bit(s, value, n, 1)


def _tangent_of(s: ScalarBuilder[ValueT], n: ValueT, r: ValueT, low: ValueT) -> ValueT:
    """Give tan(n pi/2 + r + low)."""
    sine, cosine = (fast_two_sum(s, *terms) for terms in _sine_cosine(s, r, low))
    odd = _is_odd(s, n)
    above, above_low = (s.select(odd, *terms) for terms in zip(cosine, sine, strict=True))
    below, below_low = (s.select(odd, *terms) for terms in zip(sine, cosine, strict=True))
    # One step of Newton's method on the quotient takes in the small terms of both.
    reciprocal = s.div(s.like(1.0, r), below)
    ratio = s.mul(above, reciprocal)
    rest = s.add(s.fma(s.neg(ratio), below, above), s.fma(s.neg(ratio), below_low, above_low))
    return _negate_if_bit(s, s.fma(rest, reciprocal, ratio), n, 0)


def _reduce(s: ScalarBuilder[ValueT], magnitude: ValueT) -> tuple[ValueT, ValueT, ValueT]:
    """Give n, r and low with magnitude = n pi/2 + r + low; infinity and NaN give NaN."""

    def huge() -> tuple[ValueT, ...]:
        n, r, low = reduce_huge(s, s.convert(magnitude, "float64"))
        if magnitude.dtype == "float32":
            rounded = s.convert(r, "float32")
            low = s.convert(s.add(s.sub(r, s.convert(rounded, "float64")), low), "float32")
            n, r = s.convert(n, "int32"), rounded
        infinite = s.eq(magnitude, s.like(float("inf"), magnitude))
        return n, s.select(infinite, s.like(float("nan"), magnitude), r), low

    beyond = s.lt(s.like(ORDINARY_LIMIT[magnitude.dtype], magnitude), magnitude)
    n, r, low = s.select_rare(beyond, huge, reduce_ordinary(s, magnitude))
    return n, r, low


def _with_sign_of(s: ScalarBuilder[ValueT], result: ValueT, x: ValueT) -> ValueT:
    return s.mul(result, s.copysign(s.like(1.0, x), x))


def sin(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give the sine; at most 0.77 ulp in float32, 0.77 in float64."""
    return _with_sign_of(s, _sine_of(s, *_reduce(s, s.absolute(x))), x)


def cos(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give the cosine; at most 0.78 ulp in float32, 0.72 in float64."""
    n, r, low = _reduce(s, s.absolute(x))
    return _sine_of(s, s.add(n, s.like(1, n)), r, low)


def tan(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give the tangent; at most 0.99 ulp in float32, 0.77 in float64."""
    return _with_sign_of(s, _tangent_of(s, *_reduce(s, s.absolute(x))), x)


def cos_of_turns(s: ScalarBuilder[ValueT], turns: ValueT) -> ValueT:
    """Give cos(2 pi turns) for 0 <= turns <= 1, from an exact reduction."""
    quarters = s.mul(turns, s.like(4.0, turns))
    whole = s.rint(quarters)
    fraction = s.sub(quarters, whole)
    high, low = (s.like(part, turns) for part in HALF_PI_PARTS[turns.dtype][:2])
    r, lost = two_product(s, fraction, high)
    n = s.convert(whole, SAME_WIDTH_INTEGER[turns.dtype])
    return _sine_of(s, s.add(n, s.like(1, n)), r, s.fma(fraction, low, lost))
