"""Counter-based random numbers: threefry2x32 and the distributions made from its bits.

Threefry (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011) turns a
key and a counter into two words, so element k of a random array needs no state but k.
"""

from symgraph.scalar.builder import ScalarBuilder, ValueT
from symgraph.scalar.logarithm import log
from symgraph.scalar.trigonometry import cos_of_turns

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
KEY_PARITY = 0x1BD11BDA


def _rotate_left(s: ScalarBuilder[ValueT], x: ValueT, count: int) -> ValueT:
    return s.bit_or(s.shift_left(x, count), s.shift_right(x, 32 - count))


def threefry2x32(
    s: ScalarBuilder[ValueT], key: tuple[ValueT, ValueT], counter: tuple[ValueT, ValueT]
) -> tuple[ValueT, ValueT]:
    """Give two random int32 words from a key and a counter of two int32 words (20 rounds)."""
    parity = s.bit_xor(s.bit_xor(key[0], key[1]), s.like(KEY_PARITY, key[0]))
    keys = (key[0], key[1], parity)
    x, y = s.add(counter[0], keys[0]), s.add(counter[1], keys[1])
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x = s.add(x, y)
            y = s.bit_xor(_rotate_left(s, y, rotation), x)
        x = s.add(x, keys[(block + 1) % 3])
        y = s.add(s.add(y, keys[(block + 2) % 3]), s.like(block + 1, y))
    return x, y


def join_words(s: ScalarBuilder[ValueT], high: ValueT, low: ValueT) -> ValueT:
    """Give the int64 made of two int32 words."""
    wide_low = s.bit_and(s.convert(low, "int64"), s.constant(0xFFFFFFFF, "int64"))
    return s.bit_or(s.shift_left(s.convert(high, "int64"), 32), wide_low)


def uniform(s: ScalarBuilder[ValueT], bits: ValueT) -> ValueT:
    """Give a float in [0, 1): float32 with 24 bits from int32, float64 with 53 from int64.

    All multiples of 2**-24 (2**-53) are equally likely.
    """
    if bits.dtype == "int32":
        return s.mul(s.convert(s.shift_right(bits, 8), "float32"), s.constant(2.0**-24, "float32"))
    return s.mul(s.convert(s.shift_right(bits, 11), "float64"), s.constant(2.0**-53, "float64"))


def normal(s: ScalarBuilder[ValueT], first: ValueT, second: ValueT) -> ValueT:
    """Give a standard normal number from two random words (Box-Muller).

    int32 words give a float32, int64 words a float64. The radius uses all but one bit of its word:
    tails reach 6.66 (float32) and 9.42 (float64) standard deviations, with the right probabilities.
    """
    dtype, width = ("float32", 32) if first.dtype == "int32" else ("float64", 64)
    # The upper width - 1 bits w give (w + 1/2) / 2**(width - 1), which is never 0.
    magnitude = s.convert(s.shift_right(first, 1), dtype)
    unit = s.mul(s.add(magnitude, s.constant(0.5, dtype)), s.constant(2.0 ** (1 - width), dtype))
    radius = s.sqrt(s.mul(s.constant(-2.0, dtype), log(s, unit)))
    return s.mul(radius, cos_of_turns(s, uniform(s, second)))
