"""Renders scalar code as readable text, one line for each value, for people to look at.

Only numbered values appear: no name that a user chose ever reaches the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from symgraph.scalar.builder import ScalarBuilder


@dataclass(frozen=True, slots=True)
class ListedValue:
    """A value of the listing: its name or literal, and its dtype."""

    text: str
    dtype: str


@dataclass
class ListingBuilder(ScalarBuilder[ListedValue]):
    """Appends a line such as `v3: float32 = fma(v0, v1, 0.5)` for every primitive."""

    lines: list[str] = field(default_factory=list)
    depth: int = 0
    count: int = 0

    def operand(self, dtype: str, description: str) -> ListedValue:
        """Name a value that comes from outside, such as `argument 0`."""
        return self.emit(dtype, description)

    def emit(self, dtype: str, expression: str) -> ListedValue:
        """Append a line and give the value it names."""
        value = ListedValue(f"v{self.count}", dtype)
        self.count += 1
        self.note(f"{value.text}: {dtype} = {expression}")
        return value

    def note(self, text: str) -> None:
        """Append a line as it is."""
        self.lines.append("    " * self.depth + text)

    def source(self) -> str:
        """Give the whole listing."""
        return "\n".join(self.lines)

    def flag(self, condition: ListedValue, kind: str) -> None:
        """List a check that reports a problem."""
        self.note(f"if {condition.text}: report {kind!r}")

    def constant(self, value: float, dtype: str) -> ListedValue:
        """Give a literal; it takes no line of its own."""
        return ListedValue(repr(np.dtype(dtype).type(value).item()), dtype)

    def _infix(self, symbol: str, x: ListedValue, y: ListedValue, dtype: str = "") -> ListedValue:
        return self.emit(dtype or x.dtype, f"{x.text} {symbol} {y.text}")

    def _call(self, name: str, *operands: ListedValue) -> ListedValue:
        arguments = ", ".join(operand.text for operand in operands)
        return self.emit(operands[0].dtype, f"{name}({arguments})")

    def add(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Add."""
        return self._infix("+", x, y)

    def sub(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Subtract."""
        return self._infix("-", x, y)

    def mul(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Multiply."""
        return self._infix("*", x, y)

    def div(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Divide."""
        return self._infix("/", x, y)

    def neg(self, x: ListedValue) -> ListedValue:
        """Negate."""
        return self._call("neg", x)

    def fma(self, x: ListedValue, y: ListedValue, z: ListedValue) -> ListedValue:
        """Multiply and add, rounded once."""
        return self._call("fma", x, y, z)

    def sqrt(self, x: ListedValue) -> ListedValue:
        """Take the square root."""
        return self._call("sqrt", x)

    def floor(self, x: ListedValue) -> ListedValue:
        """Round down."""
        return self._call("floor", x)

    def ceil(self, x: ListedValue) -> ListedValue:
        """Round up."""
        return self._call("ceil", x)

    def rint(self, x: ListedValue) -> ListedValue:
        """Round to even."""
        return self._call("rint", x)

    def trunc(self, x: ListedValue) -> ListedValue:
        """Round towards zero."""
        return self._call("trunc", x)

    def absolute(self, x: ListedValue) -> ListedValue:
        """Take the magnitude."""
        return self._call("absolute", x)

    def copysign(self, x: ListedValue, sign: ListedValue) -> ListedValue:
        """Combine magnitude and sign."""
        return self._call("copysign", x, sign)

    def int_div(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Divide integers."""
        return self._call("int_div", x, y)

    def int_rem(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Give the remainder."""
        return self._call("int_rem", x, y)

    def lt(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Compare."""
        return self._infix("<", x, y, "bool")

    def le(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Compare."""
        return self._infix("<=", x, y, "bool")

    def eq(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Compare."""
        return self._infix("==", x, y, "bool")

    def ne(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Compare."""
        return self._infix("!=", x, y, "bool")

    def ult(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Compare as unsigned."""
        return self._infix("<u", x, y, "bool")

    def bit_and(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """And bits."""
        return self._infix("&", x, y)

    def bit_or(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Or bits."""
        return self._infix("|", x, y)

    def bit_xor(self, x: ListedValue, y: ListedValue) -> ListedValue:
        """Xor bits."""
        return self._infix("^", x, y)

    def bit_not(self, x: ListedValue) -> ListedValue:
        """Invert bits."""
        return self._call("bit_not", x)

    def shl(self, x: ListedValue, count: ListedValue) -> ListedValue:
        """Shift left."""
        return self._infix("<<", x, count)

    def lshr(self, x: ListedValue, count: ListedValue) -> ListedValue:
        """Shift right, filling with zeros."""
        return self._infix(">>>", x, count)

    def ashr(self, x: ListedValue, count: ListedValue) -> ListedValue:
        """Shift right, filling with the sign."""
        return self._infix(">>", x, count)

    def select(self, condition: ListedValue, x: ListedValue, y: ListedValue) -> ListedValue:
        """Choose."""
        return self.emit(x.dtype, f"{x.text} if {condition.text} else {y.text}")

    def bitcast(self, x: ListedValue, dtype: str) -> ListedValue:
        """Reinterpret the bits."""
        return self.emit(dtype, f"bits({x.text})")

    def convert(self, x: ListedValue, dtype: str) -> ListedValue:
        """Convert."""
        return x if x.dtype == dtype else self.emit(dtype, f"{dtype}({x.text})")

    def select_rare(
        self,
        condition: ListedValue,
        rare: Callable[[], tuple[ListedValue, ...]],
        usual: tuple[ListedValue, ...],
    ) -> tuple[ListedValue, ...]:
        """List the rare path as an indented block."""
        self.note(f"if {condition.text}:  # rare")
        self.depth += 1
        slow = rare()
        self.depth -= 1
        pairs = zip(slow, usual, strict=True)
        return tuple(self.select(condition, value, fast) for value, fast in pairs)

    def repeat(
        self,
        count: int,
        step: Callable[[tuple[ListedValue, ...]], tuple[ListedValue, ...]],
        state: tuple[ListedValue, ...],
    ) -> tuple[ListedValue, ...]:
        """List one round as an indented block that assigns the state anew."""
        current = tuple(self.emit(value.dtype, value.text) for value in state)
        self.note(f"repeat {count} times:")
        self.depth += 1
        for old, new in zip(current, step(current), strict=True):
            self.note(f"next {old.text} = {new.text}")
        self.depth -= 1
        return current


def list_function(fn: Callable[..., object], dtypes: tuple[str, ...]) -> str:
    """Give the listing of one scalar function.

    Args:
        fn: The function; it may return a value or a tuple of values.
        dtypes: The dtypes of its operands.

    Returns:
        The text, ending with the names of the results.
    """
    listing = ListingBuilder()
    operands = [
        listing.operand(dtype, f"argument {position}") for position, dtype in enumerate(dtypes)
    ]
    results = fn(listing, *operands)
    values = results if isinstance(results, tuple) else (results,)
    listing.note("return " + ", ".join(value.text for value in values))
    return listing.source()
