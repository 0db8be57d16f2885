"""Arithmetic whose special cases follow NumPy: mod, floor_divide, sign, rsqrt, extremes."""

from symgraph.scalar.builder import FLOAT_DTYPES, ScalarBuilder, ValueT

# Bits of quotient that one step of `fmod` removes, and the steps that exhaust the exponent range.
FMOD_STEPS = {"float32": 13, "float64": 42}
EXACT_QUOTIENT = {"float32": 2.0**22, "float64": 2.0**51}
FMOD_LIFT = {"float32": 2.0**64, "float64": 2.0**512}


def maximum(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give the larger; NaN where either is NaN."""
    return s.maximum(x, y)


def minimum(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give the smaller; NaN where either is NaN."""
    return s.minimum(x, y)


def rint(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Round to the nearest integer, ties to even."""
    return s.rint(x) if x.dtype in FLOAT_DTYPES else x


def cast(s: ScalarBuilder[ValueT], x: ValueT, dtype: str) -> ValueT:
    """Convert to another dtype as `astype` does on x86."""
    return s.convert(x, dtype)


def rsqrt(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give 1 / sqrt(x), as these two correctly rounded operations."""
    return s.div(s.like(1.0, x), s.sqrt(x))


def sign(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give -1, 0 or 1; 0.0 for both zeros and NaN for NaN."""
    zero = s.like(0, x)
    at_least = s.select(s.lt(zero, x), s.like(1, x), zero)
    result = s.select(s.lt(x, zero), s.like(-1, x), at_least)
    return s.select(s.is_nan(x), x, result) if x.dtype in FLOAT_DTYPES else result


def fmod(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give the exact remainder of truncating float division, with the sign of x (C's fmod)."""
    quotient = s.div(x, y)
    close = s.fma(s.neg(s.trunc(quotient)), y, x)
    far = s.bit_not(s.lt(s.absolute(quotient), s.like(EXACT_QUOTIENT[x.dtype], x)))
    (rest,) = s.select_rare(far, lambda: _fmod_far(s, x, y), (close,))
    # The quotient may have been rounded up by one, which leaves a rest of the wrong sign.
    differs = s.ne(s.is_negative_bit(rest), s.is_negative_bit(x))
    wrong = s.bit_and(s.ne(rest, s.like(0.0, x)), differs)
    rest = s.select(wrong, s.add(rest, s.copysign(y, x)), rest)
    infinity = s.like(float("inf"), x)
    bounded = s.bit_and(s.eq(s.absolute(y), infinity), s.lt(s.absolute(x), infinity))
    return s.select(bounded, x, s.copysign(rest, x))


def _fmod_far(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> tuple[ValueT, ...]:
    """Give a remainder in (-|y|, |y|), of either sign, however large the quotient is."""
    lift = s.like(FMOD_LIFT[x.dtype], x)

    def reduce(state: tuple[ValueT, ...]) -> tuple[ValueT, ...]:
        rest = state[0]
        divisor = s.absolute(y)
        # A multiple of y as divisor keeps the quotient finite; it never exceeds the rest.
        for _ in range(3):
            lifted = s.mul(divisor, lift)
            divisor = s.select(s.le(lifted, s.absolute(rest)), lifted, divisor)
        # x - q y is exact: q is x / y rounded to nearest, or an integer below it.
        return (s.fma(s.neg(s.trunc(s.div(rest, divisor))), divisor, rest),)

    return s.repeat(FMOD_STEPS[x.dtype], reduce, (x,))


def _integer_parts(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> tuple[ValueT, ValueT, ValueT]:
    """Give the truncated quotient, its rest and whether flooring must go one lower.

    Division by zero gives quotient 0 and rest 0, as in NumPy.
    """
    zero, one = s.like(0, x), s.like(1, x)
    by_zero = s.eq(y, zero)
    by_minus_one = s.eq(y, s.like(-1, y))
    divisor = s.select(s.bit_or(by_zero, by_minus_one), one, y)
    quotient = s.int_div(x, divisor)
    rest = s.sub(x, s.mul(quotient, divisor))
    # x / -1 is -x also where that wraps, and its rest is 0 like that of x / 1.
    quotient = s.select(by_minus_one, s.neg(x), quotient)
    quotient = s.select(by_zero, zero, quotient)
    lower = s.bit_and(s.ne(rest, zero), s.lt(s.bit_xor(rest, y), zero))
    return quotient, rest, lower


def mod(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give x % y with the sign of y; x % 0 is 0 for integers and NaN for floats, as in NumPy."""
    if x.dtype not in FLOAT_DTYPES:
        _, rest, lower = _integer_parts(s, x, y)
        return s.select(lower, s.add(rest, y), rest)
    zero = s.like(0.0, x)
    rest = fmod(s, x, y)
    differs = s.ne(s.lt(y, zero), s.lt(rest, zero))
    moved = s.select(differs, s.add(rest, y), rest)
    return s.select(s.eq(rest, zero), s.copysign(zero, y), moved)


def floor_divide(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give x // y rounded down, with NumPy's results for zeros, infinities and INT_MIN // -1."""
    if x.dtype not in FLOAT_DTYPES:
        quotient, _, lower = _integer_parts(s, x, y)
        return s.select(lower, s.sub(quotient, s.like(1, x)), quotient)
    zero, one = s.like(0.0, x), s.like(1.0, x)
    rest = fmod(s, x, y)
    whole = s.div(s.sub(x, rest), y)
    differs = s.bit_and(s.ne(rest, zero), s.ne(s.lt(y, zero), s.lt(rest, zero)))
    whole = s.select(differs, s.sub(whole, one), whole)
    floored = s.floor(whole)
    nearly = s.lt(s.like(0.5, x), s.sub(whole, floored))
    floored = s.select(nearly, s.add(floored, one), floored)
    ratio = s.div(x, y)
    floored = s.select(s.eq(whole, zero), s.copysign(zero, ratio), floored)
    return s.select(s.eq(y, zero), ratio, floored)
