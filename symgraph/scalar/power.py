"""Powers of floats and of integers.

Method: e**(y log x). float32 does it in float64, where 40 accurate bits of log x are enough.
float64 needs log x to 65 bits and more: log m = 2 t + t**3 (2/3 + t**2 P(t**2)) with
t = (m - 1) / (m + 1), the leading terms as pairs high + low. P is a minimax polynomial from the
Remez exchange in 60-digit arithmetic, weighted for relative error.
"""

from symgraph.scalar.builder import ScalarBuilder, ValueT
from symgraph.scalar.compensated import fast_two_sum, two_product, two_sum
from symgraph.scalar.exponential import EXPONENTIAL, expm1_reduced, scale, split_exponent
from symgraph.scalar.logarithm import TINY, split_power_of_two

# log(1 + f) = f - f**2 / 2 + f**3 P(f), to 40 bits
LOG_SHORT = (
    0.33333333317310593,
    -0.2500000016397074,
    0.20000003474421085,
    -0.16666648649359084,
    0.1428546802438531,
    -0.12500603468712948,
    0.11119140142372642,
    -0.09994449960810362,
    0.08959923064531104,
    -0.08263338384924052,
    0.08688601025236413,
    -0.08634480071933631,
    0.04520009892285963,
)
# exp(r) = 1 + r + r**2 P(r), to 39 bits
EXP_SHORT = (
    0.4999999999948477,
    0.16666666793942003,
    0.04166666707494256,
    0.008333279173650418,
    0.001388879311640367,
    0.00019910600579672728,
    2.488915410885856e-05,
)
# log m = 2 t + t**3 (2/3 + t**2 P(t**2))
LOG_LONG = (
    0.40000000000002256,
    0.2857142857009996,
    0.22222222519841386,
    0.1818178437515462,
    0.15386756925921985,
    0.1325682790719,
    0.1319622839250209,
)
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
# ln 2 in two parts, the first times any exponent being exact.
LN2_PARTS = (0.6931471805598903, 5.497923018708371e-14)
Pair = tuple[ValueT, ValueT]


def power(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give x**y of floats; at most 0.51 ulp in float32, 1.05 in float64.

    Every special case is that of C's pow.
    """
    magnitude = s.absolute(x)
    if x.dtype == "float32":
        result = s.convert(_power_short(s, magnitude, y), "float32")
    else:
        result = _power_long(s, magnitude, y)
    return _power_special_cases(s, x, y, result)


def _power_special_cases(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT, result: ValueT) -> ValueT:
    """Put in the sign and the special values, given |x|**y for ordinary x and y."""
    zero, one, infinity = (s.like(value, x) for value in (0.0, 1.0, float("inf")))
    result = s.select(s.eq(s.absolute(x), one), one, result)
    unknown = s.bit_or(s.is_nan(x), s.is_nan(y))
    result = s.select(unknown, s.add(x, y), result)
    half = s.mul(y, s.like(0.5, y))
    whole = s.eq(s.rint(y), y)
    odd = s.bit_and(whole, s.ne(s.rint(half), half))
    negated = s.bit_and(odd, s.is_negative_bit(x))
    result = s.select(negated, s.neg(result), result)
    finite_negative = s.bit_and(s.lt(x, zero), s.lt(s.neg(infinity), x))
    undefined = s.bit_and(finite_negative, s.bit_not(whole))
    result = s.select(undefined, s.like(float("nan"), x), result)
    return s.select(s.bit_or(s.eq(x, one), s.eq(y, zero)), one, result)


def _log_at_the_edges(s: ScalarBuilder[ValueT], x: ValueT, result: ValueT) -> ValueT:
    """Put in log's values at 0 and infinity, for x >= 0."""
    infinity = s.like(float("inf"), x)
    result = s.select(s.eq(x, s.like(0.0, x)), s.neg(infinity), result)
    return s.select(s.eq(x, infinity), infinity, result)


def _power_short(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give x**y of float32, x >= 0, as a float64."""
    wide, exponent = s.convert(x, "float64"), s.convert(y, "float64")
    n, m = split_power_of_two(s, wide)
    f = s.sub(m, s.like(1.0, m))
    inner = s.fma(f, s.polynomial(f, LOG_SHORT), s.like(-0.5, f))
    log_m = s.fma(s.mul(f, f), inner, f)
    whole = s.convert(s.convert(n, "int32"), "float64")
    log_x = s.fma(whole, s.like(0.6931471805599453, whole), log_m)
    product = s.mul(exponent, _log_at_the_edges(s, wide, log_x))
    # Far beyond the range of float32, well within that of float64.
    n, _, r = split_exponent(s, s.clamp(product, -120.0, 120.0))
    grown = s.fma(s.mul(r, r), s.polynomial(r, EXP_SHORT), s.add(s.like(1.0, r), r))
    bits = s.add(s.bitcast(grown, "int64"), s.shift_left(n, 52))
    return s.select(s.is_nan(product), product, s.bitcast(bits, "float64"))


def _log_pair(s: ScalarBuilder[ValueT], x: ValueT) -> Pair[ValueT]:
    """Give log x of a positive finite float64 as a pair."""
    denormal = s.lt(x, s.like(TINY["float64"], x))
    n, m = split_power_of_two(s, s.select(denormal, s.mul(x, s.like(2.0**53, x)), x))
    n = s.sub(n, s.select(denormal, s.like(53, n), s.like(0, n)))
    mantissa, mantissa_low = _log_mantissa(s, m)
    whole = s.convert(n, "float64")
    high, low = two_sum(s, s.mul(whole, s.like(LN2_PARTS[0], x)), mantissa)
    low = s.add(low, s.fma(whole, s.like(LN2_PARTS[1], x), mantissa_low))
    return fast_two_sum(s, high, low)


def _log_mantissa(s: ScalarBuilder[ValueT], m: ValueT) -> Pair[ValueT]:
    """Give log m for m in [sqrt(1/2), sqrt(2)] as a pair."""
    f = s.sub(m, s.like(1.0, m))
    divisor, divisor_low = fast_two_sum(s, s.like(2.0, m), f)
    t = s.div(f, divisor)
    rest = s.fma(s.neg(t), divisor_low, s.fma(s.neg(t), divisor, f))
    t_low = s.div(rest, divisor)
    square, square_lost = two_product(s, t, t)
    square_low = s.fma(s.add(t, t), t_low, square_lost)
    # factor = 2/3 + t**2 P(t**2)
    series = s.polynomial(square, LOG_LONG)
    added, added_lost = two_product(s, square, series)
    factor, factor_low = fast_two_sum(s, s.like(TWO_THIRDS[0], m), added)
    factor_low = s.add(factor_low, s.add(s.like(TWO_THIRDS[1], m), added_lost))
    factor_low = s.fma(square_low, series, factor_low)
    # scaled = t**2 * factor, cubic = t * scaled
    scaled, scaled_lost = two_product(s, square, factor)
    scaled_low = s.fma(square, factor_low, s.fma(square_low, factor, scaled_lost))
    cubic, cubic_lost = two_product(s, t, scaled)
    cubic_low = s.fma(t, scaled_low, s.fma(t_low, scaled, cubic_lost))
    high, low = fast_two_sum(s, s.add(t, t), cubic)
    return high, s.add(low, s.add(cubic_low, s.add(t_low, t_low)))


def _power_long(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give x**y of float64, x >= 0."""
    log_high, log_low = _log_pair(s, x)
    log_high = _log_at_the_edges(s, x, log_high)
    product, lost = two_product(s, y, log_high)
    low = s.fma(y, log_low, lost)
    # Out of range the low part may be infinity - infinity, and has no influence anyway.
    ordinary = s.lt(s.absolute(product), s.like(800.0, x))
    low = s.select(ordinary, low, s.like(0.0, x))
    table = EXPONENTIAL["float64"]
    n, whole, r = split_exponent(s, s.clamp(product, table.underflow, table.overflow))
    grown = s.add(s.like(1.0, x), expm1_reduced(s, s.add(r, low)))
    return scale(s, grown, n, whole)


def power_int(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> ValueT:
    """Give x**y of integers for y >= 0, wrapping, by repeated squaring over all bits of y.

    Where y is negative the result is meaningless; NumPy raises there, so the caller must rule it
    out beforehand.
    """
    one, zero = s.like(1, x), s.like(0, x)

    def step(state: tuple[ValueT, ...]) -> tuple[ValueT, ...]:
        result, base, exponent = state
        odd = s.ne(s.bit_and(exponent, one), zero)
        result = s.select(odd, s.mul(result, base), result)
        return result, s.mul(base, base), s.lshr(exponent, one)

    return s.repeat(32 if x.dtype == "int32" else 64, step, (one, x, y))[0]
