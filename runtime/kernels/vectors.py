"""Reading arguments, and loops over vectors with a masked rest, shared by the library kernels.

Like `emit`, this imports llvmlite, so it is imported lazily, when a kernel has to be built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from symgraph.runtime.kernels import emit

# A cache line: one register with AVX-512, two with AVX2.
_VECTOR_BYTES = 64
_ITEM_BYTES = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}

# Called with the number of the first element, and a mask unless all lanes are there.
VectorBody = Callable[[ir.Value, ir.Value | None], None]


class ArgumentReader:
    """Reads the words of an argument block in order."""

    def __init__(self, builder: ir.IRBuilder, args: ir.Value) -> None:
        """Starts at the first word."""
        self._builder = builder
        self._args = args
        self._next = 0

    def integer(self) -> ir.Value:
        """Reads the next word as an int64."""
        place = self._builder.gep(self._args, [emit.int64(self._next)])
        self._next += 1
        return self._builder.load(place)

    def pointer(self) -> ir.Value:
        """Reads the next word as a byte pointer."""
        return self._builder.inttoptr(self.integer(), emit.BYTE_POINTER)


@dataclass(frozen=True)
class Elements:
    """Loads and stores elements of one dtype, alone or as vectors of `lanes` consecutive ones.

    Attributes:
        builder: where the instructions go.
        element: the type in memory, where a bool is a byte.
        size: its bytes.
        lanes: elements in a vector; 1 stands for plain values.
    """

    builder: ir.IRBuilder
    element: ir.Type
    size: int
    lanes: int

    @property
    def kind(self) -> ir.Type:
        """Gives the type of what is loaded and stored."""
        return self.element if self.lanes == 1 else ir.VectorType(self.element, self.lanes)

    def place(self, pointer: ir.Value, index: ir.Value) -> ir.Value:
        """Gives the address of an element, counted from a pointer."""
        distance = self.builder.mul(index, emit.int64(self.size))
        return emit.offset(self.builder, pointer, distance)

    def load(self, place: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        """Loads from an address; lanes outside the mask are zero and not touched."""
        if mask is None:
            return emit.load(self.builder, place, self.kind, self.size)
        operands = [place, self._alignment(), mask, emit.zero(self.kind)]
        return emit.intrinsic(self.builder, self._masked("load"), self.kind, operands)

    def store(self, value: ir.Value, place: ir.Value, mask: ir.Value | None = None) -> None:
        """Stores to an address; memory of lanes outside the mask is not touched."""
        if mask is None:
            emit.store(self.builder, value, place, self.size)
            return
        operands = [value, place, self._alignment(), mask]
        emit.intrinsic(self.builder, self._masked("store"), ir.VoidType(), operands)

    def hidden_zero(self) -> ir.Value:
        """Gives a zero that LLVM cannot see: a loop storing it does not become a call of memset."""
        word = emit.opaque(self.builder, emit.int64(0))
        bits = ir.IntType(8 * self.size)
        value = word if bits.width == emit.INT64.width else self.builder.trunc(word, bits)
        if bits != self.element:
            value = self.builder.bitcast(value, self.element)
        return value if self.lanes == 1 else emit.splat(self.builder, value, self.lanes)

    def for_each_vector(self, count: ir.Value, body: VectorBody) -> None:
        """Emits a body for whole vectors of [0, count), and again, masked, for the rest."""
        builder = self.builder
        whole = builder.and_(count, emit.int64(-self.lanes))
        with emit.counted_loop(builder, emit.int64(0), whole, emit.int64(self.lanes)) as start:
            body(start, None)
        with builder.if_then(builder.icmp_signed("<", whole, count)):
            body(whole, emit.first_lanes(builder, builder.sub(count, whole), self.lanes))

    def _alignment(self) -> ir.Constant:
        return ir.Constant(emit.INT32, self.size)

    def _masked(self, verb: str) -> str:
        name = {"float": "f32", "double": "f64"}.get(str(self.element), str(self.element))
        return f"llvm.masked.{verb}.v{self.lanes}{name}.p0"


def elements(builder: ir.IRBuilder, dtype: str, lanes: int | None = None) -> Elements:
    """Gives the access to elements of a dtype.

    Args:
        builder: where the instructions go.
        dtype: the dtype's name.
        lanes: elements in a vector; a cache line, but at most 16 elements, if None.

    Returns:
        The access.
    """
    size = _ITEM_BYTES[dtype]
    element = ir.IntType(8) if dtype == "bool" else emit.ELEMENT_TYPES[dtype]
    # Without AVX-512 a masked vector of bytes is a branch for each lane.
    count = min(_VECTOR_BYTES // size, 16) if lanes is None else lanes
    return Elements(builder, element, size, count)


def local(builder: ir.IRBuilder, initial: ir.Value) -> ir.Value:
    """Makes a local variable, which LLVM turns into a register, and sets it here."""
    with builder.goto_entry_block():
        slot = builder.alloca(initial.type)
    builder.store(initial, slot)
    return slot
