"""Sums and products that keep their rounding error: pairs high + low of about twice the bits."""

from symgraph.scalar.builder import ScalarBuilder, ValueT


def two_sum(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> tuple[ValueT, ValueT]:
    """Give x + y and exactly what its rounding lost (Knuth)."""
    total = s.add(x, y)
    y_part = s.sub(total, x)
    x_part = s.sub(total, y_part)
    return total, s.add(s.sub(x, x_part), s.sub(y, y_part))


def fast_two_sum(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> tuple[ValueT, ValueT]:
    """Give x + y and exactly what its rounding lost, for |x| >= |y| (Dekker)."""
    total = s.add(x, y)
    return total, s.sub(y, s.sub(total, x))


def two_product(s: ScalarBuilder[ValueT], x: ValueT, y: ValueT) -> tuple[ValueT, ValueT]:
    """Give x * y and exactly what its rounding lost."""
    product = s.mul(x, y)
    return product, s.fma(x, y, s.neg(product))
