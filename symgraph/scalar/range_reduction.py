"""Reduces an angle to n quarter turns plus a rest in [-pi/4, pi/4], to more bits than one float.

Ordinary angles use a three-part pi/2 with fma (Cody and Waite). Larger ones multiply by the window
of the binary expansion of 2/pi that decides the result (Payne and Hanek), in float64: exact
products by fma, whole turns dropped as soon as they appear.
"""

from symgraph.scalar.builder import ScalarBuilder, ValueT
from symgraph.scalar.compensated import fast_two_sum, two_product, two_sum
from symgraph.scalar.exponential import EXPONENTIAL

# pi/2 as a sum of three floats of each dtype.
HALF_PI_PARTS = {
    "float32": (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    "float64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
# Up to here `reduce_ordinary` is accurate.
ORDINARY_LIMIT = {"float32": 2.0**16, "float64": 2.0**29}
TWO_OVER_PI = 0.6366197723675814
# The binary expansion of 2/pi, 53 bits in each integer.
TWO_OVER_PI_BITS = (
    0x145F306DC9C882,
    0x14A7F09D5F47D4,
    0x1A6EE06DB14ACC,
    0x13C439041FE516,
    0x757BD778AC36E,
    0x91B8E909374B8,
    0x324977504E8C,
    0x121CFE1DEB1CB1,
    0x534E7DD1046BE,
    0x14BAED1213A671,
    0x18135A2FBF209C,
    0x191D639835339F,
    0x93908BF177BF2,
    0xA0EC7FE25FFF7,
    0x102CC07F79788C,
    0xB5A0A6D1F6D36,
    0xFD9E4F96136E9,
    0x1D18FD9A797FA8,
    0x16BA93DD63F5F2,
    0x1F17B3D0739F78,
    0x14A525D4D7F6BF,
    0xC47E357421580,
)
WINDOW = 5


def reduce_ordinary(s: ScalarBuilder[ValueT], x: ValueT) -> tuple[ValueT, ValueT, ValueT]:
    """Give n (an integer), r and a correction to r with x = n pi/2 + r, for |x| up to the limit."""
    first, second, third = (s.like(-part, x) for part in HALF_PI_PARTS[x.dtype])
    rounder = s.like(EXPONENTIAL[x.dtype].rounder, x)
    shifted = s.fma(x, s.like(TWO_OVER_PI, x), rounder)
    integer = "int32" if x.dtype == "float32" else "int64"
    n, whole = s.bitcast(shifted, integer), s.sub(shifted, rounder)
    # Exact, because x and the first product are multiples of a common unit and nearly cancel.
    coarse = s.fma(whole, first, x)
    product, product_lost = two_product(s, whole, second)
    # The fast sum is exact although `coarse` may be smaller: it is a multiple of the other's ulp.
    r, lost = fast_two_sum(s, coarse, product)
    return n, r, s.add(lost, s.fma(whole, third, product_lost))


def reduce_huge(s: ScalarBuilder[ValueT], x: ValueT) -> tuple[ValueT, ValueT, ValueT]:
    """Give n (an int64), r and a correction to r with x = n pi/2 + r modulo whole turns.

    Args:
        s: The builder.
        x: A float64 of any size; NaN and infinities give NaN.
    """
    exponent = s.sub(
        s.bit_and(s.shift_right(s.bitcast(x, "int64"), 52), s.constant(0x7FF, "int64")),
        s.constant(1023 + 54, "int64"),
    )
    zero = s.constant(0, "int64")
    exponent = s.select(s.lt(exponent, zero), zero, exponent)
    # floor(exponent / 53): chunks before this one contribute only whole turns.
    start = s.shift_right(s.mul(exponent, s.constant(1237, "int64")), 16)
    scaled = _scale_down(s, x, s.mul(start, s.constant(53, "int64")))
    turns, lost = s.constant(0.0, "float64"), s.constant(0.0, "float64")
    for position, chunk in enumerate(_window(s, start), 1):
        factor = s.mul(s.convert(chunk, "float64"), s.constant(2.0 ** (-53 * position), "float64"))
        product, product_lost = two_product(s, scaled, factor)
        # Only the first two products can exceed a turn, and only the first loses whole turns.
        product = _drop_turns(s, product) if position <= 2 else product
        product_lost = _drop_turns(s, product_lost) if position == 1 else product_lost
        for part in (product, product_lost):
            turns, more_lost = two_sum(s, turns, part)
            lost = s.add(lost, more_lost)
    whole = s.rint(turns)
    fraction, fraction_low = two_sum(s, s.sub(turns, whole), lost)
    high, low = (s.constant(part, "float64") for part in HALF_PI_PARTS["float64"][:2])
    r, r_lost = two_product(s, fraction, high)
    r_low = s.fma(fraction, low, s.fma(fraction_low, high, r_lost))
    return s.convert(whole, "int64"), r, r_low


def _drop_turns(s: ScalarBuilder[ValueT], quarters: ValueT) -> ValueT:
    """Subtract the multiple of four quarter turns that is nearest."""
    turns = s.rint(s.mul(quarters, s.constant(0.25, "float64")))
    return s.fma(turns, s.constant(-4.0, "float64"), quarters)


def _scale_down(s: ScalarBuilder[ValueT], x: ValueT, bits: ValueT) -> ValueT:
    """Give x * 2**-bits for 0 <= bits <= 1022."""
    biased = s.sub(s.constant(1023, "int64"), bits)
    return s.mul(x, s.bitcast(s.shift_left(biased, 52), "float64"))


def _window(s: ScalarBuilder[ValueT], start: ValueT) -> list[ValueT]:
    """Give consecutive chunks of 2/pi from number `start` on, by a shifter of selects."""
    chunks = [s.constant(bits, "int64") for bits in TWO_OVER_PI_BITS]
    for distance in (16, 8, 4, 2, 1):
        needed = WINDOW + distance - 1
        bit = s.bit_and(start, s.constant(distance, "int64"))
        moved = s.ne(bit, s.constant(0, "int64"))
        chunks = [
            s.select(moved, chunks[index + distance], chunks[index])
            if index + distance < len(chunks)
            else chunks[index]
            for index in range(min(needed, len(chunks)))
        ]
    return chunks
