"""Compiles kernels: in-process memo, then the disk cache, then numba.

A kernel is `void kernel(int64 *args, int64 lo, int64 hi)`. numba is imported only when a kernel
is in neither the memo nor the disk cache, so a warm start never pays for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgraph.runtime import cache
from symgraph.runtime.interrupts import postponed_interrupts
from symgraph.runtime.loader import ObjectFormatError, load_object
from symgraph.shared_lock import COMPILING

# llvmlite carries no types: an ir.IRBuilder, then three ir.Values (args, lo, hi).
KernelBuild = Callable[[Any, Any, Any, Any], None]


class KernelBuildError(RuntimeError):
    """Says that the backend rejected a kernel; `details` holds the backend's own text."""

    def __init__(self, message: str, details: str) -> None:
        """Keeps the backend's text apart from the message."""
        super().__init__(message)
        self.details = details


@dataclass(frozen=True, eq=False)
class KernelSource:
    """Describes one kernel.

    Attributes:
        key_text: canonical description; kernels with equal texts must be equal.
        build: emits the body with an IRBuilder positioned in it; arguments are
            `(builder, args, lo, hi)`.
        listing: the readable form shown to users.
    """

    key_text: str
    build: KernelBuild
    listing: str = ""


@dataclass(frozen=True)
class Statistics:
    """Counts what `get_kernel` did in this process.

    Attributes:
        compiled: kernels compiled, by numba or for a GPU.
        seconds: time spent compiling, numba's import excluded.
        memory_hits: requests answered by the in-process memo.
        disk_hits: kernels loaded from the disk cache.
        load_seconds: time spent reading and mapping cached kernels.
    """

    compiled: int = 0
    seconds: float = 0.0
    memory_hits: int = 0
    disk_hits: int = 0
    load_seconds: float = 0.0


@dataclass(frozen=True)
class CompiledObject:
    """Holds what numba made of one function.

    Attributes:
        symbol: name of the C entry point.
        code: relocatable object code.
        owner: the numba object which keeps `address` alive.
        address: entry point inside numba's own engine.
    """

    symbol: str
    code: bytes
    owner: Any
    address: int


_addresses: dict[str, int] = {}
_owners: list[Any] = []
_totals: dict[str, Any] = {}


def get_kernel(source: KernelSource) -> int:
    """Returns the address of a kernel, compiling it at most once.

    Args:
        source: what to compile.

    Returns:
        Address of a native function; valid until the process ends.

    Raises:
        KernelBuildError: the backend rejected the kernel.
    """
    return get_native("kernel:" + source.key_text, lambda: compile_kernel(source))


def get_native(key_text: str, produce: Callable[[], CompiledObject]) -> int:
    """Returns the address of a native function from memo, disk, or `produce`.

    Args:
        key_text: canonical description of the function.
        produce: compiles it; called at most once per key.

    Returns:
        Address of the function.
    """
    address = _addresses.get(key_text)
    if address is not None:
        _count(memory_hits=1)
        return address
    with COMPILING, postponed_interrupts():
        address = _addresses.get(key_text)
        if address is None:
            address = _load(key_text)
            if address is None:
                address = _compile(key_text, produce)
            _addresses[key_text] = address
        else:
            _count(memory_hits=1)
        return address


def statistics() -> Statistics:
    """Returns what happened so far in this process."""
    return Statistics(**_totals)


def count_compiled(kernels: int, seconds: float) -> None:
    """Adds kernels that something else has compiled to the statistics."""
    _count(compiled=kernels, seconds=seconds)


def count_loaded(kernels: int, seconds: float) -> None:
    """Adds kernels that something else has found in the disk cache to the statistics."""
    _count(disk_hits=kernels, load_seconds=seconds)


def forget() -> None:
    """Empties the in-process memo, so that the next request goes to the disk cache.

    Addresses already handed out stay valid.
    """
    with COMPILING:
        _addresses.clear()


def kernel_text(source: KernelSource, form: str = "listing") -> str:
    """Returns a kernel in readable form.

    Args:
        source: the kernel.
        form: "listing" as written by the compiler, "llvm" for optimised LLVM IR, "assembly" for
            machine code. The last two compile the kernel anew.

    Returns:
        The text.

    Raises:
        ValueError: unknown form.
    """
    if form == "listing":
        return source.listing
    if form not in ("llvm", "assembly"):
        raise ValueError(f"unknown form {form!r}; use 'listing', 'llvm' or 'assembly'")
    library = compile_kernel(source).owner._library
    return str(library.get_asm_str() if form == "assembly" else library.get_llvm_str())


def compile_kernel(source: KernelSource) -> CompiledObject:
    """Compiles a kernel with numba."""
    from numba import types

    def build(builder: Any, *values: Any) -> None:
        source.build(builder, *values)

    return compile_ir(build, types.void(types.CPointer(types.int64), types.int64, types.int64))


def compile_ir(build: Callable[..., Any], signature: Any) -> CompiledObject:
    """Compiles LLVM IR to object code: one intrinsic, wrapped by numba in a C function.

    Args:
        build: emits the body, given an IRBuilder and the arguments; returns the result if any.
        signature: a numba signature of one to three arguments.

    Returns:
        The object code.

    Raises:
        KernelBuildError: numba or LLVM rejected the function.
    """
    from numba import cfunc
    from numba.core.extending import intrinsic

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        value = build(builder, *values)
        return context.get_dummy_value() if value is None else value

    # numba reads the number of parameters from the Python signature: one pair for each.
    def type1(_context: Any, a: Any) -> Any:
        return signature, emit

    def type2(_context: Any, a: Any, b: Any) -> Any:
        return signature, emit

    def type3(_context: Any, a: Any, b: Any, c: Any) -> Any:
        return signature, emit

    body: Any = intrinsic((type1, type2, type3)[len(signature.args) - 1])
    wrappers = (lambda a: body(a), lambda a, b: body(a, b), lambda a, b, c: body(a, b, c))
    wrapper: Any = wrappers[len(signature.args) - 1]
    try:
        compiled = cfunc(signature, nopython=True, error_model="numpy")(wrapper)
        code = compiled._library.serialize_using_object_code()[2][0]
        return CompiledObject(compiled._wrapper_name, bytes(code), compiled, compiled.address)
    except Exception as error:  # the backend raises dozens of types; all mean the same to callers
        raise KernelBuildError(
            "the native backend rejected a kernel", f"{type(error).__name__}: {error}"
        ) from error


def _compile(key_text: str, produce: Callable[[], CompiledObject]) -> int:
    import numba  # noqa: F401  # imported before the clock starts: its import is not compile time

    started = time.perf_counter()
    compiled = produce()
    _count(compiled=1, seconds=time.perf_counter() - started)
    try:
        # Running what was stored, not numba's copy, keeps cold and warm processes identical.
        address = load_object(compiled.code, compiled.symbol)
    except ObjectFormatError:
        _owners.append(compiled.owner)
        return compiled.address
    cache.store(key_text, compiled.symbol, compiled.code)
    return address


def _load(key_text: str) -> int | None:
    started = time.perf_counter()
    entry = cache.load(key_text)
    if entry is None:
        return None
    try:
        address = load_object(entry.code, entry.symbol)
    except ObjectFormatError:
        cache.count_miss("unloadable")
        return None
    _count(disk_hits=1, load_seconds=time.perf_counter() - started)
    return address


def _count(**increments: float) -> None:
    with COMPILING:
        for name, more in increments.items():
            _totals[name] = _totals.get(name, 0) + more
