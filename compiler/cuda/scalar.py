"""Renders scalar code as CUDA C, one local variable for each primitive.

The results are those of the native code of the CPU, to the bit (only which NaN it is may differ):
nothing is contracted, because modules are compiled with --fmad=false, and division and square
root are rounded correctly by default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from symgraph.scalar.builder import BIT_WIDTH, FLOAT_DTYPES, INTEGER_DTYPES, ScalarBuilder

C_TYPE = {
    "bool": "bool",
    "int32": "int",
    "int64": "long long",
    "float32": "float",
    "float64": "double",
}
MEMORY_TYPE = {**C_TYPE, "bool": "unsigned char"}
ITEM_BYTES = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}
_UNSIGNED = {"int32": "unsigned", "int64": "unsigned long long"}
_SUFFIX = {"int32": "", "int64": "LL", "float32": "f", "float64": ""}
_BITS = {
    ("float32", "int32"): "__float_as_int",
    ("int32", "float32"): "__int_as_float",
    ("float64", "int64"): "__double_as_longlong",
    ("int64", "float64"): "__longlong_as_double",
}


@dataclass(frozen=True, slots=True)
class CudaValue:
    """A value: the variable or literal that holds it, and its dtype."""

    text: str
    dtype: str


@dataclass
class CudaBuilder(ScalarBuilder[CudaValue]):
    """Appends a line such as `const float v3 = fmaf(v0, v1, v2);` for every primitive.

    Args:
        lines: where lines go.
        depth: how far they are indented.
        reports: for each kind of problem the statement that reports it.
    """

    lines: list[str] = field(default_factory=list)
    depth: int = 1
    reports: Mapping[str, str] = field(default_factory=dict)
    count: int = 0

    # Statements.

    def note(self, text: str) -> None:
        """Append a line."""
        self.lines.append("    " * self.depth + text if text else "")

    def open(self, head: str) -> None:
        """Begin a block: `head {`."""
        self.note(f"{head} {{".lstrip())
        self.depth += 1

    def close(self) -> None:
        """End a block."""
        self.depth -= 1
        self.note("}")

    def source(self) -> str:
        """Return all lines."""
        return "\n".join(self.lines)

    def name(self, letter: str = "v") -> str:
        """Return a name that is new in this function."""
        self.count += 1
        return f"{letter}{self.count - 1}"

    def emit(self, dtype: str, expression: str) -> CudaValue:
        """Give a name to the value of an expression."""
        value = CudaValue(self.name(), dtype)
        self.note(f"const {C_TYPE[dtype]} {value.text} = {expression};")
        return value

    def variable(self, value: CudaValue, letter: str = "s") -> CudaValue:
        """Return a variable that starts with a value and can be assigned to."""
        made = CudaValue(self.name(letter), value.dtype)
        self.note(f"{C_TYPE[value.dtype]} {made.text} = {value.text};")
        return made

    def assign(self, variables: Sequence[CudaValue], values: Sequence[CudaValue]) -> None:
        """Set variables, all at once."""
        # A value may be another of the variables, which must not have changed by then.
        fresh = [self.emit(value.dtype, value.text) for value in values]
        for variable, value in zip(variables, fresh, strict=True):
            self.note(f"{variable.text} = {value.text};")

    def flag(self, condition: CudaValue, kind: str) -> None:
        """Report a problem where `condition` holds."""
        self.note(f"if ({condition.text}) {self.reports[kind]}")

    # Arithmetic.

    def constant(self, value: float, dtype: str) -> CudaValue:
        """Give a literal; it takes no line of its own."""
        return CudaValue(literal(value, dtype), dtype)

    def _wrapping(self, symbol: str, x: CudaValue, y: CudaValue) -> CudaValue:
        """Emit an operation of floats, or one of integers that may overflow."""
        if x.dtype in FLOAT_DTYPES:
            return self.emit(x.dtype, f"{x.text} {symbol} {y.text}")
        if x.dtype == "bool":
            return self.emit("bool", f"{x.text} {'&' if symbol == '*' else '^'} {y.text}")
        unsigned = _UNSIGNED[x.dtype]
        return self.emit(
            x.dtype, f"({C_TYPE[x.dtype]})(({unsigned}){x.text} {symbol} ({unsigned}){y.text})"
        )

    def _infix(self, symbol: str, x: CudaValue, y: CudaValue, dtype: str = "") -> CudaValue:
        return self.emit(dtype or x.dtype, f"{x.text} {symbol} {y.text}")

    def _call(self, name: str, *operands: CudaValue) -> CudaValue:
        """Call a function of floats, whose name for float32 ends with f."""
        suffix = "f" if operands[0].dtype == "float32" else ""
        arguments = ", ".join(operand.text for operand in operands)
        return self.emit(operands[0].dtype, f"{name}{suffix}({arguments})")

    def add(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Add."""
        return self._wrapping("+", x, y)

    def sub(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Subtract."""
        return self._wrapping("-", x, y)

    def mul(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Multiply."""
        return self._wrapping("*", x, y)

    def neg(self, x: CudaValue) -> CudaValue:
        """Negate."""
        if x.dtype in INTEGER_DTYPES:
            return self.sub(self.like(0, x), x)
        return self.emit(x.dtype, f"-{x.text}" if x.dtype in FLOAT_DTYPES else x.text)

    def div(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Divide floats."""
        return self._infix("/", x, y)

    def fma(self, x: CudaValue, y: CudaValue, z: CudaValue) -> CudaValue:
        """Multiply and add with one rounding."""
        return self._call("fma", x, y, z)

    def sqrt(self, x: CudaValue) -> CudaValue:
        """Take the square root."""
        return self._call("sqrt", x)

    def floor(self, x: CudaValue) -> CudaValue:
        """Round down."""
        return self._call("floor", x)

    def ceil(self, x: CudaValue) -> CudaValue:
        """Round up."""
        return self._call("ceil", x)

    def rint(self, x: CudaValue) -> CudaValue:
        """Round to nearest, ties to even."""
        return self._call("rint", x)

    def trunc(self, x: CudaValue) -> CudaValue:
        """Round towards zero."""
        return self._call("trunc", x)

    def absolute(self, x: CudaValue) -> CudaValue:
        """Take the magnitude."""
        if x.dtype in FLOAT_DTYPES:
            return self._call("fabs", x)
        return self.select(self.lt(x, self.like(0, x)), self.neg(x), x)

    def copysign(self, x: CudaValue, sign: CudaValue) -> CudaValue:
        """Combine a magnitude and a sign."""
        return self._call("copysign", x, sign)

    def int_div(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Divide integers, truncating."""
        return self._infix("/", x, y)

    def int_rem(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Give the remainder of `int_div`."""
        return self._infix("%", x, y)

    # Comparisons and selection.

    def lt(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Compare x < y."""
        return self._infix("<", x, y, "bool")

    def le(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Compare x <= y."""
        return self._infix("<=", x, y, "bool")

    def eq(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Compare x == y."""
        return self._infix("==", x, y, "bool")

    def ne(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Compare x != y; True on NaN."""
        return self._infix("!=", x, y, "bool")

    def ult(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Compare integers x < y as unsigned."""
        unsigned = _UNSIGNED[x.dtype]
        return self.emit("bool", f"({unsigned}){x.text} < ({unsigned}){y.text}")

    def select(self, condition: CudaValue, x: CudaValue, y: CudaValue) -> CudaValue:
        """Choose."""
        return self.emit(x.dtype, f"{condition.text} ? {x.text} : {y.text}")

    def select_rare(
        self,
        condition: CudaValue,
        rare: Callable[[], tuple[CudaValue, ...]],
        usual: tuple[CudaValue, ...],
    ) -> tuple[CudaValue, ...]:
        """Choose, computing `rare()` only where it is needed."""
        chosen = tuple(self.variable(value) for value in usual)
        self.open(f"if ({condition.text})")
        self.assign(chosen, rare())
        self.close()
        return chosen

    def repeat(
        self,
        count: int,
        step: Callable[[tuple[CudaValue, ...]], tuple[CudaValue, ...]],
        state: tuple[CudaValue, ...],
    ) -> tuple[CudaValue, ...]:
        """Emit a loop that applies `step` a fixed number of times."""
        current = tuple(self.variable(value) for value in state)
        number = self.name("n")
        self.note("#pragma unroll 1")
        self.open(f"for (int {number} = 0; {number} < {count}; ++{number})")
        self.assign(current, step(current))
        self.close()
        return current

    # Bits.

    def bit_and(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """And bits."""
        return self._infix("&", x, y)

    def bit_or(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Or bits."""
        return self._infix("|", x, y)

    def bit_xor(self, x: CudaValue, y: CudaValue) -> CudaValue:
        """Xor bits."""
        return self._infix("^", x, y)

    def bit_not(self, x: CudaValue) -> CudaValue:
        """Invert bits."""
        return self.emit(x.dtype, f"{'!' if x.dtype == 'bool' else '~'}{x.text}")

    def _shift(self, symbol: str, x: CudaValue, count: CudaValue) -> CudaValue:
        unsigned = f"({_UNSIGNED[x.dtype]}){x.text} {symbol} {count.text}"
        return self.emit(x.dtype, f"({C_TYPE[x.dtype]})({unsigned})")

    def shl(self, x: CudaValue, count: CudaValue) -> CudaValue:
        """Shift left."""
        return self._shift("<<", x, count)

    def lshr(self, x: CudaValue, count: CudaValue) -> CudaValue:
        """Shift right, filling with zeros."""
        return self._shift(">>", x, count)

    def ashr(self, x: CudaValue, count: CudaValue) -> CudaValue:
        """Shift right, filling with the sign."""
        return self._infix(">>", x, count)

    def bitcast(self, x: CudaValue, dtype: str) -> CudaValue:
        """Reinterpret the bits."""
        return x if x.dtype == dtype else self.emit(dtype, f"{_BITS[x.dtype, dtype]}({x.text})")

    def convert(self, x: CudaValue, dtype: str) -> CudaValue:
        """Convert as NumPy does on x86."""
        if x.dtype == dtype:
            return x
        if dtype == "bool":
            return self.ne(x, self.like(0, x))
        if x.dtype in FLOAT_DTYPES and dtype not in FLOAT_DTYPES:
            return self._float_to_int(x, dtype)
        return self.emit(dtype, f"({C_TYPE[dtype]}){x.text}")

    def _float_to_int(self, x: CudaValue, dtype: str) -> CudaValue:
        # The conversion itself gives the nearest integer there is, and 0 for NaN.
        limit = 2.0 ** (BIT_WIDTH[dtype] - 1)
        # In float64, -(2**31) - 0.5 still truncates to the smallest int32.
        exact_limit = x.dtype == "float32" or dtype == "int64"
        low, high = (
            literal(edge, x.dtype) for edge in (-limit if exact_limit else -limit - 1, limit)
        )
        above = ">=" if exact_limit else ">"
        inside = f"{x.text} {above} {low} && {x.text} < {high}"
        lowest = literal(-int(limit), dtype)
        return self.emit(dtype, f"{inside} ? ({C_TYPE[dtype]}){x.text} : {lowest}")


def literal(value: float, dtype: str) -> str:
    """Return a constant, exact to the bit, that can stand anywhere in an expression."""
    exact = np.dtype(dtype).type(value)
    if dtype == "bool":
        return "true" if exact else "false"
    if dtype in INTEGER_DTYPES:
        return _integer(int(exact), dtype)
    if np.isfinite(exact):
        text = float(exact).hex() + _SUFFIX[dtype]
        return f"({text})" if text.startswith("-") else text
    whole = "int32" if dtype == "float32" else "int64"
    return f"{_BITS[whole, dtype]}({_integer(int(exact.view(whole)), whole)})"


def _integer(value: int, dtype: str) -> str:
    suffix = _SUFFIX[dtype]
    if value == np.iinfo(dtype).min:
        return f"({value + 1}{suffix} - 1{suffix})"
    return f"{value}{suffix}" if value >= 0 else f"({value}{suffix})"
