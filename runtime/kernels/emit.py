"""Small helpers over llvmlite's IRBuilder shared by the matrix-multiply emitters.

Addresses are untyped pointers and byte offsets everywhere, so one emitter serves every dtype.
Imports llvmlite, so it is itself imported lazily, when a kernel has to be built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir

INT1 = ir.IntType(1)
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)
BYTE = ir.IntType(8)
BYTE_POINTER = ir.PointerType()

ELEMENT_TYPES: dict[str, ir.Type] = {
    "float32": ir.FloatType(),
    "float64": ir.DoubleType(),
    "int32": ir.IntType(32),
    "int64": ir.IntType(64),
}


def int64(value: int) -> ir.Constant:
    """Return an int64 constant."""
    return ir.Constant(INT64, value)


def zero(kind: ir.Type) -> ir.Constant:
    """Return positive zero of a scalar or vector type."""
    return ir.Constant(kind, None)


def internal_function(
    module: ir.Module, name: str, types: Sequence[ir.Type], *, small: bool = False
) -> tuple[ir.IRBuilder, ir.Function]:
    """Define a function of a module that is never inlined.

    Args:
        module: Module to define it in.
        name: Its name.
        types: Types of its arguments; it returns nothing.
        small: Leave out optimisations that copy code: its loops are as they should be.

    Returns:
        A builder at its entry, and the function.
    """
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), list(types)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    if small:
        function.attributes.add("optsize")
    return ir.IRBuilder(function.append_basic_block("entry")), function


def offset(builder: ir.IRBuilder, pointer: ir.Value, distance: ir.Value) -> ir.Value:
    """Return a pointer moved by a number of bytes."""
    return builder.gep(pointer, [distance], source_etype=BYTE)


def load(builder: ir.IRBuilder, pointer: ir.Value, kind: ir.Type, align: int) -> ir.Value:
    """Load a value of a type through an untyped pointer."""
    return builder.load(pointer, align=align, typ=kind)


def store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, align: int) -> None:
    """Store a value through an untyped pointer."""
    builder.store(value, pointer, align=align)


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """Return a vector with the scalar in every lane."""
    vector = ir.VectorType(value.type, lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, undefined, zero(ir.VectorType(INT32, lanes)))


def permute(
    builder: ir.IRBuilder, left: ir.Value, right: ir.Value, lanes: Sequence[int]
) -> ir.Value:
    """Return lanes picked from the concatenation of two vectors."""
    mask = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
    return builder.shuffle_vector(left, right, mask)


def intrinsic(
    builder: ir.IRBuilder, name: str, result: ir.Type, operands: Sequence[ir.Value]
) -> ir.Value:
    """Call an LLVM intrinsic by its full name, declaring it once per module."""
    function = builder.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(result, [operand.type for operand in operands])
        function = ir.Function(builder.module, signature, name)
    return builder.call(function, operands)


def type_suffix(kind: ir.VectorType) -> str:
    """Return LLVM's mangled name of a vector type, as used in intrinsic names."""
    names = {"float": "f32", "double": "f64", "i32": "i32", "i64": "i64"}
    return f"v{kind.count}{names[str(kind.element)]}"


def masked_load(
    builder: ir.IRBuilder,
    pointer: ir.Value,
    mask: ir.Value,
    kind: ir.VectorType,
    align: int,
    rest: ir.Value | None = None,
) -> ir.Value:
    """Load the lanes named by a mask; the others, whose memory is not touched, are `rest` or zero.

    Args:
        builder: Where to emit.
        pointer: Address of lane 0.
        mask: Which lanes to load.
        kind: Type of the vector.
        align: What the address is a multiple of.
        rest: Vector with the other lanes; zeros if None.
    """
    operands = [pointer, ir.Constant(INT32, align), mask, zero(kind) if rest is None else rest]
    return intrinsic(builder, f"llvm.masked.load.{type_suffix(kind)}.p0", kind, operands)


def gather(
    builder: ir.IRBuilder, addresses: ir.Value, mask: ir.Value, kind: ir.VectorType, align: int
) -> ir.Value:
    """Load each lane named by a mask from an address of its own, an int64; the others are zero."""
    lanes = builder.inttoptr(addresses, ir.VectorType(BYTE_POINTER, kind.count))
    operands = [lanes, ir.Constant(INT32, align), mask, zero(kind)]
    name = f"llvm.masked.gather.{type_suffix(kind)}.v{kind.count}p0"
    return intrinsic(builder, name, kind, operands)


def masked_store(
    builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, mask: ir.Value, align: int
) -> None:
    """Store the lanes named by a mask; the memory of the others is not touched."""
    operands = [value, pointer, ir.Constant(INT32, align), mask]
    name = f"llvm.masked.store.{type_suffix(value.type)}.p0"
    intrinsic(builder, name, ir.VoidType(), operands)


def first_lanes(builder: ir.IRBuilder, count: ir.Value, lanes: int) -> ir.Value:
    """Return a mask of the lanes whose number is below a signed int64 count."""
    clamped = minimum(builder, maximum(builder, count, int64(0)), int64(lanes))
    numbers = ir.Constant(ir.VectorType(INT32, lanes), list(range(lanes)))
    bound = splat(builder, builder.trunc(clamped, INT32), lanes)
    return builder.icmp_signed("<", numbers, bound)


def multiply_add(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """Return x * y + z: one rounding for floats, wrap-around for integers."""
    if isinstance(x.type.element, ir.IntType):
        return builder.add(builder.mul(x, y), z)
    return intrinsic(builder, f"llvm.fma.{type_suffix(x.type)}", x.type, [x, y, z])


def add(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Return x + y for scalars or vectors, floats or integers."""
    element = x.type.element if isinstance(x.type, ir.VectorType) else x.type
    return builder.add(x, y) if isinstance(element, ir.IntType) else builder.fadd(x, y)


def zero_below(builder: ir.IRBuilder, value: ir.Value, floor: ir.Value) -> ir.Value:
    """Return zero where value < floor, else the value; NaN stays NaN."""
    element = value.type.element if isinstance(value.type, ir.VectorType) else value.type
    compare = builder.icmp_signed if isinstance(element, ir.IntType) else builder.fcmp_ordered
    return builder.select(compare("<", value, floor), zero(value.type), value)


def minimum(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Return the smaller of two signed integers."""
    return builder.select(builder.icmp_signed("<", x, y), x, y)


def maximum(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Return the larger of two signed integers."""
    return builder.select(builder.icmp_signed(">", x, y), x, y)


def ceiling_divide(builder: ir.IRBuilder, x: ir.Value, divisor: int) -> ir.Value:
    """Return ceil(x / divisor) for x >= 0."""
    return builder.udiv(builder.add(x, int64(divisor - 1)), int64(divisor))


def opaque(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return the value itself, of which LLVM then knows nothing.

    Loop strength reduction would otherwise see that addresses are multiples of one stride and chain
    them through dependent additions, which take longer than the arithmetic they feed.
    """
    signature = ir.FunctionType(value.type, [value.type])
    return builder.asm(signature, "", "=r,0", [value], False)


def prefetch(builder: ir.IRBuilder, pointer: ir.Value, *, level: int) -> None:
    """Ask for a cache line in the first or second-level cache; any address is allowed."""
    flags = [ir.Constant(INT32, flag) for flag in (0, 4 - level, 1)]
    intrinsic(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, *flags])


@contextmanager
def counted_loop(
    builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: ir.Value
) -> Iterator[ir.Value]:
    """Emit `for i in range(start, stop, step)` around the body; step is positive."""
    before = builder.block
    head = builder.append_basic_block("loop.head")
    body = builder.append_basic_block("loop.body")
    after = builder.append_basic_block("loop.after")
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INT64)
    index.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, after)
    builder.position_at_end(body)
    yield index
    index.add_incoming(builder.add(index, step), builder.block)
    builder.branch(head)
    builder.position_at_end(after)


@contextmanager
def advancing_loop(
    builder: ir.IRBuilder, start: ir.Value, stop: ir.Value
) -> Iterator[tuple[ir.Value, Callable[[ir.Value], None]]]:
    """Emit `while position < stop` around the body, which hands the next position to `advance`."""
    before = builder.block
    head = builder.append_basic_block("while.head")
    body = builder.append_basic_block("while.body")
    after = builder.append_basic_block("while.after")
    builder.branch(head)
    builder.position_at_end(head)
    position = builder.phi(INT64)
    position.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", position, stop), body, after)
    builder.position_at_end(body)
    following: list[ir.Value] = []
    yield position, following.append
    position.add_incoming(following[0], builder.block)
    builder.branch(head)
    builder.position_at_end(after)
