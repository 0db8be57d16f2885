"""LLVM instructions for the primitives of native code; `memory` says what each one means."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir

WORD = ir.IntType(64)
_HALF = ir.IntType(32)
# One order for all: the pool's correctness is argued in terms of a single total order.
_ORDER = "seq_cst"
_X86_PAUSE = ("llvm.x86.sse2.pause",)
_ARM_YIELD = ("llvm.aarch64.hint", ir.Constant(_HALF, 1))
_PAUSES: dict[str, tuple[Any, ...]] = {
    "x86_64": _X86_PAUSE,
    "AMD64": _X86_PAUSE,
    "aarch64": _ARM_YIELD,
    "arm64": _ARM_YIELD,
}


def _pointer(builder: Any, address: Any, kind: Any = WORD) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _word(builder: Any, address: Any, index: Any) -> Any:
    return builder.gep(_pointer(builder, address), [index])


def _peek(builder: Any, address: Any, index: Any) -> Any:
    return builder.load(_word(builder, address, index))


def _poke(builder: Any, address: Any, index: Any, value: Any) -> None:
    builder.store(value, _word(builder, address, index))


def _peek_byte(builder: Any, address: Any) -> Any:
    return builder.zext(builder.load(_pointer(builder, address, ir.IntType(8))), WORD)


def _peek_int32(builder: Any, address: Any) -> Any:
    return builder.sext(builder.load(_pointer(builder, address, _HALF)), WORD)


def _atomic_load(builder: Any, address: Any, index: Any) -> Any:
    return builder.load_atomic(_word(builder, address, index), _ORDER, 8)


def _atomic_store(builder: Any, address: Any, index: Any, value: Any) -> None:
    builder.store_atomic(value, _word(builder, address, index), _ORDER, 8)


def _atomic_add(builder: Any, address: Any, index: Any, value: Any) -> Any:
    return builder.atomic_rmw("add", _word(builder, address, index), value, _ORDER)


def _compare_and_swap(builder: Any, address: Any, index: Any, expected: Any, value: Any) -> Any:
    place = _word(builder, address, index)
    swapped = builder.cmpxchg(place, expected, value, _ORDER, _ORDER)
    return builder.zext(builder.extract_value(swapped, 1), WORD)


def _pause(builder: Any) -> None:
    name, *arguments = _PAUSES.get(platform.machine(), ("",))
    if name:
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, arguments)


def _call_kernel(builder: Any, function: Any, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), (WORD, WORD, WORD))
    builder.call(_pointer(builder, function, kind), arguments)


def _call_clock(builder: Any, function: Any, clock: Any, place: Any) -> None:
    kind = ir.FunctionType(_HALF, (_HALF, WORD))
    builder.call(_pointer(builder, function, kind), (builder.trunc(clock, _HALF), place))


def _call_futex(builder: Any, function: Any, *arguments: Any) -> None:
    # syscall(number, uaddr, op, val, timeout): a null timeout waits for ever.
    kind = ir.FunctionType(WORD, (WORD,), var_arg=True)
    builder.call(_pointer(builder, function, kind), (*arguments, WORD(0)))


EMITTERS: dict[str, Callable[..., Any]] = {
    "peek": _peek,
    "poke": _poke,
    "peek_byte": _peek_byte,
    "peek_int32": _peek_int32,
    "atomic_load": _atomic_load,
    "atomic_store": _atomic_store,
    "atomic_add": _atomic_add,
    "compare_and_swap": _compare_and_swap,
    "pause": _pause,
    "call_kernel": _call_kernel,
    "call_clock": _call_clock,
    "call_futex": _call_futex,
}
