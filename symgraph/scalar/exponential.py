"""Exponential functions: exp, expm1, sigmoid, tanh, sinh, cosh.

Method: x = n ln 2 + r with |r| <= ln(2)/2, subtracting n ln 2 in two parts of which the first is
exact, and exp(r) = 1 + r + r**2 P(r). P is a minimax polynomial found with the Remez exchange in
60-digit arithmetic, weighted for relative error. The ulp errors given below are measured maxima
over dense random samples of the whole range.
"""

from dataclasses import dataclass

from symgraph.scalar.builder import ScalarBuilder, ValueT


@dataclass(frozen=True, slots=True)
class ExponentialTable:
    """The constants of one float dtype.

    `polynomial` is P for |r| <= ln(2)/2, `upper_polynomial` for -ln(2)/4 <= r <= 3 ln(2)/4.
    """

    polynomial: tuple[float, ...]
    upper_polynomial: tuple[float, ...]
    ln2_high: float
    ln2_low: float
    exponent_bits: int
    bias: int
    rounder: float
    overflow: float
    underflow: float
    tanh_saturation: float
    identity: float


EXPONENTIAL = {
    "float32": ExponentialTable(
        polynomial=(0.5, 0.16666667, 0.041666254, 0.008333261, 0.0013947211, 0.00019920005),
        upper_polynomial=(0.5, 0.16666664, 0.041667208, 0.008333148, 0.0013774916, 0.0002312825),
        ln2_high=0.693145751953125,
        ln2_low=1.4286068203094172e-06,
        exponent_bits=23,
        bias=127,
        rounder=1.5 * 2.0**23,
        overflow=89.0,
        underflow=-105.0,
        tanh_saturation=9.5,
        identity=2.0**-13,
    ),
    "float64": ExponentialTable(
        polynomial=(
            0.5000000000000014,
            0.16666666666666702,
            0.041666666666503004,
            0.008333333333305154,
            0.0013888888950558274,
            0.00019841269921826925,
            2.4801486025514816e-05,
            2.755721232411648e-06,
            2.763275389888286e-07,
            2.5119122811831116e-08,
        ),
        upper_polynomial=(
            0.5,
            0.16666666666666685,
            0.04166666666666592,
            0.008333333333307774,
            0.0013888888890141618,
            0.0001984126992997446,
            2.480158079699993e-05,
            2.7557327116932714e-06,
            2.756635129115441e-07,
            2.4763088377270043e-08,
            2.4524182316326497e-09,
        ),
        ln2_high=0.6931471803691238,
        ln2_low=1.9082149292705877e-10,
        exponent_bits=52,
        bias=1023,
        rounder=1.5 * 2.0**52,
        overflow=710.0,
        underflow=-746.0,
        tanh_saturation=20.0,
        identity=2.0**-27,
    ),
}
LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
# tanh x = x + x**3 P(x**2) for |x| < TANH_SMALL, in float64
TANH_SMALL = 0.625
TANH_POLYNOMIAL = (
    -0.33333333333333315,
    0.1333333333332989,
    -0.053968253966134486,
    0.021869488470654744,
    -0.008863234341503469,
    0.0035921142712320537,
    -0.0014557276161714784,
    0.0005894586194890424,
    -0.0002370301136156228,
    9.158978993077295e-05,
    -3.0217956284420363e-05,
    6.055629957807284e-06,
)


def split_exponent(
    s: ScalarBuilder[ValueT], x: ValueT, *, upper: bool = False
) -> tuple[ValueT, ValueT, ValueT]:
    """Split x = n ln 2 + r, for |x| within the range where exp neither over- nor underflows.

    Args:
        s: The builder.
        x: A float; NaN gives NaN in r and anything in n.
        upper: Whether r lies in [-ln(2)/4, 3 ln(2)/4] instead of [-ln(2)/2, ln(2)/2]. For x >= 0
            that keeps 2**n (e**r - 1) + 2**n - 1 from cancelling.

    Returns:
        n as an integer of the same width, n as a float, and r.
    """
    table = EXPONENTIAL[x.dtype]
    integer = "int32" if x.dtype == "float32" else "int64"
    rounder = s.like(table.rounder, x)
    # Adding 1.5 * 2**p leaves the nearest integer in the low bits: one addition, no conversion.
    centred = s.sub(x, s.like(0.25 * LN2, x)) if upper else x
    shifted = s.fma(centred, s.like(LOG2_E, x), rounder)
    n = s.sub(s.bitcast(shifted, integer), s.bitcast(rounder, integer))
    whole = s.sub(shifted, rounder)
    r = s.fma(whole, s.like(-table.ln2_high, x), x)
    return n, whole, s.fma(whole, s.like(-table.ln2_low, x), r)


def power_of_two(s: ScalarBuilder[ValueT], n: ValueT, dtype: str) -> ValueT:
    """Give 2.0**n for an integer n whose result is a normal number of `dtype`."""
    table = EXPONENTIAL[dtype]
    biased = s.add(n, s.like(table.bias, n))
    return s.bitcast(s.shift_left(biased, table.exponent_bits), dtype)


def scale(s: ScalarBuilder[ValueT], x: ValueT, n: ValueT, whole: ValueT | None = None) -> ValueT:
    """Multiply by 2.0**n, rounding once also where the result is denormal.

    Half of n is applied at a time, so |n| may be up to twice the exponent range.

    Args:
        s: The builder.
        x: A float.
        n: An integer of the same width.
        whole: The same as a float, where it is at hand: some processors scale in one instruction.

    Returns:
        The product.
    """
    if whole is not None and s.scales_by_powers:
        return s.scale_by_power(x, whole)
    half = s.shift_right_signed(n, 1)
    first = s.mul(x, power_of_two(s, half, x.dtype))
    return s.mul(first, power_of_two(s, s.sub(n, half), x.dtype))


def expm1_reduced(s: ScalarBuilder[ValueT], r: ValueT, *, upper: bool = False) -> ValueT:
    """Give exp(r) - 1 for r as `split_exponent` gives it."""
    table = EXPONENTIAL[r.dtype]
    tail = s.polynomial(r, table.upper_polynomial if upper else table.polynomial)
    return s.fma(s.mul(r, r), tail, r)


def exp(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give e**x; at most 0.96 ulp in float32, 0.94 in float64."""
    table = EXPONENTIAL[x.dtype]
    n, whole, r = split_exponent(s, s.clamp(x, table.underflow, table.overflow))
    return scale(s, s.add(s.like(1.0, x), expm1_reduced(s, r)), n, whole)


def exp_moderate(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give e**x for x whose result is a normal number; NaN stays NaN."""
    n, _, r = split_exponent(s, x)
    factor = power_of_two(s, n, x.dtype)
    return s.fma(factor, expm1_reduced(s, r), factor)


def expm1(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give e**x - 1; at most 1.39 ulp in float32, 1.84 in float64."""
    table = EXPONENTIAL[x.dtype]
    lowest = -(table.exponent_bits + 4.0)
    n, _, r = split_exponent(s, s.clamp(x, lowest, table.overflow))
    # Half of 2**n is always finite, and doubling the result is exact until it overflows.
    half = power_of_two(s, s.sub(n, s.like(1, n)), x.dtype)
    offset = s.sub(half, s.like(0.5, x))
    result = s.fma(half, expm1_reduced(s, r), offset)
    return s.copysign(s.add(result, result), x)


def sigmoid(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give 1 / (1 + e**-x), never overflowing; at most 1.50 ulp in float32, 1.49 in float64."""
    decay, one = exp(s, s.neg(s.absolute(x))), s.like(1.0, x)
    share = s.div(decay, s.add(one, decay))
    # d / (1 + d) = d - d share and 1 / (1 + d) = 1 - share: both hide the rounding of 1 + d.
    base = s.select(s.lt(x, s.like(0.0, x)), decay, one)
    return s.fma(s.neg(base), share, base)


def tanh(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give the hyperbolic tangent; at most 1.45 ulp in float32, 1.19 in float64."""
    magnitude = s.absolute(x)
    limit = s.like(EXPONENTIAL[x.dtype].tanh_saturation, x)
    limited = s.select(s.lt(limit, magnitude), limit, magnitude)
    finish = _tanh_fast if x.dtype == "float32" else _tanh_accurate
    return s.copysign(finish(s, limited), x)


def _tanh_fast(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give tanh(x) = h / (h + 1) with h = (e**2x - 1) / 2, for 0 <= x <= saturation.

    It is found as b - b (b / (h + 1)) with b = min(h, 1), which hides the rounding of h + 1.
    Rounding x / (ln 2 / 2) at 3/4 keeps r above -0.09, so that the sum h cancels next to nothing.
    """
    table, one = EXPONENTIAL[x.dtype], s.like(1.0, x)
    rounder = s.like(table.rounder, x)
    lowered = s.sub(x, s.like(0.125 * LN2, x))
    shifted = s.fma(lowered, s.like(2.0 * LOG2_E, x), rounder)
    n = s.sub(s.bitcast(shifted, "int32"), s.bitcast(rounder, "int32"))
    # One float of ln 2 is enough: where n is large, tanh hardly depends on r.
    r = s.fma(s.sub(shifted, rounder), s.like(-0.5 * LN2, x), x)
    doubled = [value * 2.0 ** (k + 1) for k, value in enumerate(table.upper_polynomial)]
    reduced = s.fma(s.mul(r, r), s.polynomial(r, doubled), r)
    factor = power_of_two(s, n, x.dtype)
    half = s.fma(factor, reduced, s.fma(factor, s.like(0.5, x), s.like(-0.5, x)))
    base = s.select(s.lt(half, one), half, one)
    return s.fma(s.neg(base), s.div(base, s.add(half, one)), base)


def _tanh_accurate(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give tanh(x) by a polynomial near 0 and as 1 - 2 / (e**2x + 1) beyond."""
    square, one = s.mul(x, x), s.like(1.0, x)
    small = s.fma(s.mul(x, square), s.polynomial(square, TANH_POLYNOMIAL), x)
    growth = exp_moderate(s, s.add(x, x))
    large = s.sub(one, s.div(s.like(2.0, x), s.add(growth, one)))
    return s.select(s.lt(x, s.like(TANH_SMALL, x)), small, large)


def cosh(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give the hyperbolic cosine; at most 1.36 ulp in float32, 1.29 in float64."""
    half = _half_exp_absolute(s, x)
    # Past the middle of the range the second term has no influence, but 0.25 / half stays normal.
    return s.add(half, s.div(s.like(0.25, x), half))


def _half_exp_absolute(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give e**|x| / 2, overflowing only where cosh does."""
    table = EXPONENTIAL[x.dtype]
    n, _, r = split_exponent(s, s.clamp(s.absolute(x), 0.0, table.overflow + 1.0))
    grown = s.add(s.like(1.0, x), expm1_reduced(s, r))
    return scale(s, grown, s.sub(n, s.like(1, n)))


def sinh(s: ScalarBuilder[ValueT], x: ValueT) -> ValueT:
    """Give the hyperbolic sine; at most 1.60 ulp in float32, 1.60 in float64."""
    table = EXPONENTIAL[x.dtype]
    magnitude = s.absolute(x)
    n, _, r = split_exponent(s, s.clamp(magnitude, 0.0, table.overflow + 0.5), upper=True)
    quarter = power_of_two(s, s.sub(n, s.like(2, n)), x.dtype)
    reduced = expm1_reduced(s, r, upper=True)
    growth = s.fma(quarter, reduced, s.sub(quarter, s.like(0.25, x)))
    # With m = e**|x| - 1 (growth is m / 4), 2 sinh = m + m / (m + 1) = 2 m - m (m / (m + 1)).
    whole, one = s.mul(s.like(4.0, x), growth), s.like(1.0, x)
    ratio = s.div(growth, s.add(whole, one))
    near_zero = s.fma(s.neg(whole), ratio, s.add(growth, growth))
    total = s.select(s.lt(whole, one), near_zero, s.add(growth, ratio))
    # Quarters of denormal numbers would lose bits; there sinh(x) = x.
    tiny = s.lt(magnitude, s.like(table.identity, x))
    return s.copysign(s.select(tiny, magnitude, s.add(total, total)), x)
