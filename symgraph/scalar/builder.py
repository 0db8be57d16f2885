"""The interface through which every elementwise op describes its arithmetic, once.

A scalar function is written `fn(s, x, ...)`, where `s` is a `ScalarBuilder` and values are opaque
handles that carry a dtype. Renderers implement the primitives: LLVM vectors, a readable listing,
NumPy arrays. There is no control flow on values, only `select`, so whatever is written here runs
on whole vectors; control flow on dtypes is ordinary Python, resolved while code is generated.

IEEE 754 is kept: no primitive may be contracted, reassociated or flushed, and `fma` is the only
fused operation. A renderer therefore gives the same bits at any vector width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

FLOAT_DTYPES = ("float32", "float64")
INTEGER_DTYPES = ("int32", "int64")
BIT_WIDTH = {"bool": 1, "int32": 32, "int64": 64, "float32": 32, "float64": 64}
SAME_WIDTH_INTEGER = {"float32": "int32", "float64": "int64", "int32": "int32", "int64": "int64"}


class ScalarValue(Protocol):
    """A value of a scalar function; only its dtype is visible."""

    @property
    def dtype(self) -> str:
        """One of bool, int32, int64, float32, float64."""


ValueT = TypeVar("ValueT", bound=ScalarValue)


class ScalarBuilder(ABC, Generic[ValueT]):
    """The primitives of scalar code; operands of one primitive share a dtype unless it says so."""

    @abstractmethod
    def constant(self, value: float, dtype: str) -> ValueT:
        """Give a constant, rounded to `dtype` (a bool, an int or a float)."""

    @abstractmethod
    def add(self, x: ValueT, y: ValueT) -> ValueT:
        """Add floats (never contracted) or integers (wrapping)."""

    @abstractmethod
    def sub(self, x: ValueT, y: ValueT) -> ValueT:
        """Subtract floats or integers (wrapping)."""

    @abstractmethod
    def mul(self, x: ValueT, y: ValueT) -> ValueT:
        """Multiply floats or integers (wrapping)."""

    @abstractmethod
    def neg(self, x: ValueT) -> ValueT:
        """Negate: flips the sign bit of a float, wraps for an integer."""

    @abstractmethod
    def div(self, x: ValueT, y: ValueT) -> ValueT:
        """Divide floats."""

    @abstractmethod
    def fma(self, x: ValueT, y: ValueT, z: ValueT) -> ValueT:
        """Give x * y + z of floats, rounded once."""

    @abstractmethod
    def sqrt(self, x: ValueT) -> ValueT:
        """Give the correctly rounded square root of a float."""

    @abstractmethod
    def floor(self, x: ValueT) -> ValueT:
        """Round a float down."""

    @abstractmethod
    def ceil(self, x: ValueT) -> ValueT:
        """Round a float up."""

    @abstractmethod
    def rint(self, x: ValueT) -> ValueT:
        """Round a float to the nearest integer, ties to even."""

    @abstractmethod
    def trunc(self, x: ValueT) -> ValueT:
        """Round a float towards zero."""

    @abstractmethod
    def absolute(self, x: ValueT) -> ValueT:
        """Clear the sign of a float; of an integer, wraps for the most negative one."""

    @abstractmethod
    def copysign(self, x: ValueT, sign: ValueT) -> ValueT:
        """Give the magnitude of x with the sign bit of `sign` (floats)."""

    @abstractmethod
    def int_div(self, x: ValueT, y: ValueT) -> ValueT:
        """Divide integers, truncating; the caller promises y != 0 and no overflow."""

    @abstractmethod
    def int_rem(self, x: ValueT, y: ValueT) -> ValueT:
        """Give the remainder of `int_div`, under the same promise."""

    @abstractmethod
    def lt(self, x: ValueT, y: ValueT) -> ValueT:
        """Compare x < y (signed; False on NaN)."""

    @abstractmethod
    def le(self, x: ValueT, y: ValueT) -> ValueT:
        """Compare x <= y (signed; False on NaN)."""

    @abstractmethod
    def eq(self, x: ValueT, y: ValueT) -> ValueT:
        """Compare x == y (False on NaN)."""

    @abstractmethod
    def ne(self, x: ValueT, y: ValueT) -> ValueT:
        """Compare x != y (True on NaN)."""

    @abstractmethod
    def ult(self, x: ValueT, y: ValueT) -> ValueT:
        """Compare integers x < y as unsigned."""

    @abstractmethod
    def select(self, condition: ValueT, x: ValueT, y: ValueT) -> ValueT:
        """Give x where the bool `condition` holds, else y; the other value has no influence."""

    @abstractmethod
    def bit_and(self, x: ValueT, y: ValueT) -> ValueT:
        """And integers or bools."""

    @abstractmethod
    def bit_or(self, x: ValueT, y: ValueT) -> ValueT:
        """Or integers or bools."""

    @abstractmethod
    def bit_xor(self, x: ValueT, y: ValueT) -> ValueT:
        """Xor integers or bools."""

    @abstractmethod
    def bit_not(self, x: ValueT) -> ValueT:
        """Invert every bit of an integer, or a bool."""

    @abstractmethod
    def shl(self, x: ValueT, count: ValueT) -> ValueT:
        """Shift an integer left; the caller promises 0 <= count < width."""

    @abstractmethod
    def lshr(self, x: ValueT, count: ValueT) -> ValueT:
        """Shift an integer right, filling with zeros, under the same promise."""

    @abstractmethod
    def ashr(self, x: ValueT, count: ValueT) -> ValueT:
        """Shift an integer right, filling with its sign, under the same promise."""

    @abstractmethod
    def bitcast(self, x: ValueT, dtype: str) -> ValueT:
        """Reinterpret the bits: float32 <-> int32, float64 <-> int64."""

    @abstractmethod
    def convert(self, x: ValueT, dtype: str) -> ValueT:
        """Convert between any two dtypes as NumPy does on x86.

        Float to integer truncates; NaN and what is out of range give the most negative integer.
        To bool means != 0.
        """

    # What follows is derived from the primitives and shared by every renderer.

    def select_rare(
        self,
        condition: ValueT,
        rare: Callable[[], tuple[ValueT, ...]],
        usual: tuple[ValueT, ...],
    ) -> tuple[ValueT, ...]:
        """Give the values of `rare()` where `condition` holds, else those of `usual`.

        The meaning is that of `select`. A renderer that can branch may skip `rare` where the
        condition holds in no lane, so that a slow path costs nothing on ordinary data.
        """
        pairs = zip(rare(), usual, strict=True)
        return tuple(self.select(condition, slow, fast) for slow, fast in pairs)

    def repeat(
        self,
        count: int,
        step: Callable[[tuple[ValueT, ...]], tuple[ValueT, ...]],
        state: tuple[ValueT, ...],
    ) -> tuple[ValueT, ...]:
        """Apply `step` to `state` a fixed number of times; a renderer may emit a loop."""
        for _ in range(count):
            state = step(state)
        return state

    @property
    def scales_by_powers(self) -> bool:
        """Tell whether `scale_by_power` is a single instruction here."""
        return False

    def scale_by_power(self, x: ValueT, n: ValueT) -> ValueT:
        """Give x * 2**n for a float n that is whole, rounded once; only where it is offered."""
        raise NotImplementedError(f"{type(self).__name__} does not scale by powers")

    def like(self, value: float, x: ValueT) -> ValueT:
        """Give a constant of the dtype of x."""
        return self.constant(value, x.dtype)

    def gt(self, x: ValueT, y: ValueT) -> ValueT:
        """Compare x > y (False on NaN)."""
        return self.lt(y, x)

    def ge(self, x: ValueT, y: ValueT) -> ValueT:
        """Compare x >= y (False on NaN)."""
        return self.le(y, x)

    def is_nan(self, x: ValueT) -> ValueT:
        """Tell whether a float is NaN."""
        return self.ne(x, x)

    def is_negative_bit(self, x: ValueT) -> ValueT:
        """Tell whether the sign bit of a number is set (True for -0.0)."""
        bits = self.bitcast(x, SAME_WIDTH_INTEGER[x.dtype]) if x.dtype in FLOAT_DTYPES else x
        return self.lt(bits, self.like(0, bits))

    def maximum(self, x: ValueT, y: ValueT) -> ValueT:
        """Give the larger; NaN where either is NaN; y where both are zeros, as NumPy on x86."""
        return self._pick(self.lt(y, x), x, y)

    def minimum(self, x: ValueT, y: ValueT) -> ValueT:
        """Give the smaller; NaN where either is NaN; y where both are zeros, as NumPy on x86."""
        return self._pick(self.lt(x, y), x, y)

    def _pick(self, wins: ValueT, x: ValueT, y: ValueT) -> ValueT:
        # A NaN in y makes the comparison false, which already gives y; only x needs a test.
        if x.dtype in FLOAT_DTYPES:
            wins = self.bit_or(wins, self.is_nan(x))
        return self.select(wins, x, y)

    def clamp(self, x: ValueT, low: float, high: float) -> ValueT:
        """Limit x to [low, high]; a NaN stays NaN."""
        smallest, largest = self.like(low, x), self.like(high, x)
        x = self.select(self.lt(x, smallest), smallest, x)
        return self.select(self.lt(largest, x), largest, x)

    def polynomial(self, x: ValueT, coefficients: Sequence[float]) -> ValueT:
        """Evaluate sum(coefficients[k] * x**k) by Horner's rule with `fma`."""
        result = self.like(coefficients[-1], x)
        for coefficient in reversed(coefficients[:-1]):
            result = self.fma(result, x, self.like(coefficient, x))
        return result

    def shift_left(self, x: ValueT, count: int) -> ValueT:
        """Shift left by a fixed count."""
        return self.shl(x, self.like(count, x))

    def shift_right(self, x: ValueT, count: int) -> ValueT:
        """Shift right by a fixed count, filling with zeros."""
        return self.lshr(x, self.like(count, x))

    def shift_right_signed(self, x: ValueT, count: int) -> ValueT:
        """Shift right by a fixed count, filling with the sign."""
        return self.ashr(x, self.like(count, x))
