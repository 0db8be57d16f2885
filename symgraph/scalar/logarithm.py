"""Logarithms: log, log1p, softplus.

Method: x = 2**n (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), log x = n ln 2 + log(1 + f), added up
with the rounding error of the leading sum carried along. log(1 + f) is a minimax polynomial in f
(float32) or in (f / (2 + f))**2 (float64), found with the Remez exchange in 60-digit arithmetic,
weighted for relative error.
"""

from symgraph.scalar.builder import ScalarBuilder, ValueT
from symgraph.scalar.exponential import EXPONENTIAL, exp

SQRT_HALF = 0.7071067811865476
TINY = {"float32": 2.0**-126, "float64": 2.0**-1022}

# log(1 + f) = f - f**2 / 2 + f**3 P(f)
LOG_FLOAT32 = (
    0.33333316,
    -0.2500081,
    0.20002286,
    -0.16624554,
    0.14181192,
    -0.13128763,
    0.12881655,
    -0.07859611,
)
# log(1 + f) = 2 t + t**3 P(t**2) with t = f / (2 + f)
LOG_FLOAT64 = (
    0.6666666666666734,
    0.39999999999414687,
    0.2857142874238506,
    0.22222198573459473,
    0.18183564311416206,
    0.15314050938367127,
    0.14795945737478294,
)


def split_power_of_two(s: ScalarBuilder[ValueT], x: ValueT) -> tuple[ValueT, ValueT]:
    """Split a positive normal number x = 2**n m with sqrt(1/2) <= m < sqrt(2).

    Args:
        s: The builder.
        x: A float; anything that is not positive, normal and finite gives meaningless results.

    Returns:
        n, as an integer of the same width, and m.
    """
    table = EXPONENTIAL[x.dtype]
    root = s.bitcast(s.like(SQRT_HALF, x), "int32" if x.dtype == "float32" else "int64")
    bits = s.bitcast(x, root.dtype)
    n = s.shift_right_signed(s.sub(bits, root), table.exponent_bits)
    return n, s.bitcast(s.sub(bits, s.shift_left(n, table.exponent_bits)), x.dtype)


def log1p_tail(s: ScalarBuilder[ValueT], f: ValueT) -> ValueT:
    """Give log(1 + f) - f for 1 + f in [sqrt(1/2), sqrt(2)]."""
    if f.dtype == "float32":
        inner = s.fma(f, s.polynomial(f, LOG_FLOAT32), s.like(-0.5, f))
        return s.mul(s.mul(f, f), inner)
    t = s.div(f, s.add(s.like(2.0, f), f))
    square = s.mul(t, t)
    half_square = s.mul(s.mul(s.like(0.5, f), f), f)
    # 2 t = f - t f and t f = f**2 / 2 - t f**2 / 2, which keeps the leading terms exact.
    series = s.mul(square, s.polynomial(square, LOG_FLOAT64))
    return s.fma(t, s.add(half_square, series), s.neg(half_square))


def _assemble(s: ScalarBuilder[ValueT], n: ValueT, f: ValueT, correction: ValueT | None) -> ValueT:
    """Give n ln 2 + log(1 + f) + correction."""
    table = EXPONENTIAL[f.dtype]
    whole = s.convert(n, f.dtype)
    leading = s.mul(whole, s.like(table.ln2_high, f))
    total = s.add(leading, f)
    lost = s.sub(f, s.sub(total, leading))
    small = s.fma(whole, s.like(table.ln2_low, f), log1p_tail(s, f))
    if correction is not None:
        small = s.add(small, correction)
    return s.add(total, s.add(lost, small))


def log(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give the natural logarithm; at most 0.77 ulp in float32, 0.70 in float64."""
    table = EXPONENTIAL[x.dtype]
    denormal = s.lt(x, s.like(TINY[x.dtype], x))
    lift = float(table.exponent_bits + 1)
    n, m = split_power_of_two(s, s.select(denormal, s.mul(x, s.like(2.0**lift, x)), x))
    n = s.sub(n, s.select(denormal, s.like(lift, n), s.like(0, n)))
    result = _assemble(s, n, s.sub(m, s.like(1.0, x)), None)
    return _at_the_edges(s, x, result)


def _at_the_edges(s: ScalarBuilder[ValueT], x: ValueT, result: ValueT) -> ValueT:
    """Put in log's values at 0, infinity, negative numbers and NaN."""
    infinity, zero = s.like(float("inf"), x), s.like(0.0, x)
    result = s.select(s.eq(x, infinity), infinity, result)
    outside = s.select(s.eq(x, zero), s.neg(infinity), s.like(float("nan"), x))
    return s.select(s.lt(zero, x), result, outside)


def log1p(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give log(1 + x), accurate near 0; at most 0.88 ulp in float32, 0.68 in float64."""
    one = s.like(1.0, x)
    total = s.add(one, x)
    # What the addition lost, whichever operand is the larger.
    larger = s.lt(one, s.absolute(x))
    big, little = s.select(larger, x, one), s.select(larger, one, x)
    lost = s.sub(little, s.sub(total, big))
    n, m = split_power_of_two(s, total)
    f = s.sub(m, one)
    # For n = 0 the lost part is as large as the error of f; for others it shrinks by 2**-n.
    relative = s.div(lost, total)
    result = _assemble(s, n, f, relative)
    result = _at_the_edges(s, total, result)
    # Where 1 + x rounds to 1, log(1 + x) = x to the last bit, sign of zero included.
    return s.select(s.eq(total, one), x, result)


def softplus(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give log(1 + e**x), never overflowing; at most 1.57 ulp in float32, 1.37 in float64."""
    zero = s.like(0.0, x)
    positive = s.select(s.lt(x, zero), zero, x)
    return s.add(positive, log1p(s, exp(s, s.neg(s.absolute(x)))))
