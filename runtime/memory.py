"""The primitives of native code: what each means, in Python.

`native_code` is written in terms of these. Compiled, they become single instructions (see
`primitives`); called from Python they do the same slowly, which is how the debugger steps through
a plan. Values and addresses are int64; an index counts words of 8 bytes.
"""

from __future__ import annotations

import ctypes

_Kernel = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_Clock = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64)


def peek(address: int, index: int) -> int:
    """Reads a word."""
    return ctypes.c_int64.from_address(address + 8 * index).value


def poke(address: int, index: int, value: int) -> None:
    """Writes a word."""
    ctypes.c_int64.from_address(address + 8 * index).value = value


def peek_byte(address: int) -> int:
    """Reads an unsigned byte."""
    return ctypes.c_uint8.from_address(address).value


def peek_int32(address: int) -> int:
    """Reads a signed 32-bit integer."""
    return ctypes.c_int32.from_address(address).value


def atomic_load(address: int, index: int) -> int:
    """Reads a word that other threads write."""
    return peek(address, index)


def atomic_store(address: int, index: int, value: int) -> None:
    """Writes a word that other threads read."""
    poke(address, index, value)


def atomic_add(address: int, index: int, value: int) -> int:
    """Adds to a word and returns what it held before."""
    before = peek(address, index)
    poke(address, index, before + value)
    return before


def compare_and_swap(address: int, index: int, expected: int, value: int) -> int:
    """Writes a word if it holds what is expected; returns 1 if it did."""
    if peek(address, index) != expected:
        return 0
    poke(address, index, value)
    return 1


def pause() -> None:
    """Tells the CPU that this is a spinning loop."""


def call_kernel(function: int, arguments: int, low: int, high: int) -> None:
    """Calls a kernel through its address."""
    _Kernel(function)(arguments, low, high)


def call_clock(function: int, clock: int, place: int) -> None:
    """Calls clock_gettime through its address; it fills the two words at `place`."""
    _Clock(function)(clock, place)


def call_futex(function: int, number: int, place: int, operation: int, value: int) -> None:
    """Calls the futex system call through the address of syscall(2), without a timeout."""
