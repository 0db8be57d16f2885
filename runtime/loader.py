"""Maps object code into memory: a small ELF loader, with llvmlite's as the general fallback.

Kernels are self-contained (one text section, some constants), so placing them takes a page of
arithmetic. Doing it here means that a warm start needs neither numba nor llvmlite, whose shared
library alone takes longer to load than everything else together.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from dataclasses import dataclass

# Mappings live as long as the process: worker threads may be inside them until the very end.
_mappings: list[object] = []
_engines: list[object] = []

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")

_RELOCATABLE, _X86_64 = 1, 62
_SYMBOL_TABLE, _RELOCATIONS, _NO_BITS = 2, 4, 8
_WRITABLE, _ALLOCATED = 1, 2
_UNDEFINED, _ABSOLUTE, _COMMON = 0, 0xFFF1, 0xFFF2
_ABSOLUTE_64, _RELATIVE_64 = 1, 24
_RELATIVE_32 = (2, 4)
_TABLE_RELATIVE = (9, 41, 42)

# What LLVM itself may call on behalf of loops and intrinsics that it recognises.
_LIBRARY_SYMBOLS = frozenset(
    "memcpy memmove memset memcmp bcmp fma fmaf "
    "floor floorf ceil ceilf trunc truncf rint rintf".split()
)
_STUB_BYTES = 16


class ObjectFormatError(ValueError):
    """Says that this loader cannot place the object: a damaged file or an unusual relocation."""


@dataclass(frozen=True, slots=True)
class _Section:
    """Holds the fields of one section header that loading needs."""

    name: bytes
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int

    @property
    def is_loaded(self) -> bool:
        """Tells whether the section occupies memory (unwind tables are of no use here)."""
        return bool(self.flags & _ALLOCATED) and self.name != b".eh_frame"


def load_object(data: bytes, symbol: str) -> int:
    """Places object code in executable memory.

    Args:
        data: a relocatable object file.
        symbol: the function wanted.

    Returns:
        The address of the function. It stays valid until the process ends.

    Raises:
        ObjectFormatError: neither loader can place the object.
    """
    if sys.platform == "linux" and struct.calcsize("P") == 8:
        try:
            return _ElfImage(data).place(symbol)
        except (struct.error, IndexError, OverflowError) as error:
            raise ObjectFormatError(f"damaged object: {error}") from error
        except _Unsupported:
            pass
    return _load_with_llvm(data, symbol)


class _Unsupported(Exception):
    """Says that the object is sound but needs llvmlite's loader."""


class _ElfImage:
    """Lays out one relocatable ELF object and applies its relocations."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sections = self._read_sections()
        self.positions: dict[int, int] = {}
        self.symbols: list[tuple[bytes, int, int, int]] = []
        self.extras: dict[bytes, int] = {}
        self._read_symbols()

    def _read_sections(self) -> list[_Section]:
        header = _HEADER.unpack_from(self.data, 0)
        ident, kind, machine = header[0], header[1], header[2]
        if ident[:6] != b"\x7fELF\x02\x01" or kind != _RELOCATABLE or machine != _X86_64:
            raise _Unsupported
        start, count, names_index = header[6], header[12], header[13]
        raw = [_SECTION.unpack_from(self.data, start + _SECTION.size * k) for k in range(count)]
        names = raw[names_index][4]
        return [
            _Section(self._text_at(names + r[0]), r[1], r[2], r[4], r[5], r[6], r[7], max(r[8], 1))
            for r in raw
        ]

    def _text_at(self, offset: int) -> bytes:
        end = self.data.find(b"\0", offset)
        if end < 0:
            raise IndexError("a name runs past the end")
        return self.data[offset:end]

    def _read_symbols(self) -> None:
        for section in self.sections:
            if section.kind == _SYMBOL_TABLE:
                names = self.sections[section.link].offset
                for k in range(section.size // _SYMBOL.size):
                    entry = _SYMBOL.unpack_from(self.data, section.offset + k * _SYMBOL.size)
                    name = self._text_at(names + entry[0])
                    self.symbols.append((name, entry[3], entry[4], entry[5]))

    def place(self, symbol: str) -> int:
        """Maps the image, relocates it and makes its code executable."""
        code_end = self._assign(writable=False, start=0)
        table_start = _align(code_end, 16)
        code_end = table_start + (_STUB_BYTES + 8) * len(self.symbols)
        data_start = _align(code_end, mmap.PAGESIZE)
        end = self._assign(writable=True, start=data_start)
        for name, owner, alignment, length in self.symbols:
            if owner == _COMMON:
                end = _align(end, max(alignment, 1))
                self.extras[name] = end
                end += length
        size = max(_align(end, mmap.PAGESIZE), mmap.PAGESIZE)
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for index, position in self.positions.items():
            section = self.sections[index]
            if section.kind != _NO_BITS:
                content = self.data[section.offset : section.offset + section.size]
                memory[position : position + len(content)] = content
        self._relocate(memory, base, table_start)
        address = self._function(symbol, base)
        _protect(base, data_start)
        _keep(memory)
        return address

    def _assign(self, writable: bool, start: int) -> int:
        for index, section in enumerate(self.sections):
            if section.is_loaded and bool(section.flags & _WRITABLE) == writable:
                start = _align(start, section.alignment)
                self.positions[index] = start
                start += section.size
        return start

    def _function(self, symbol: str, base: int) -> int:
        wanted = symbol.encode()
        for index, (name, section, _, _) in enumerate(self.symbols):
            if name == wanted and section != _UNDEFINED:
                return self._address(index, base)
        raise ObjectFormatError(f"the object does not define {symbol!r}")

    def _address(self, index: int, base: int) -> int:
        name, section, value, _ = self.symbols[index]
        if section == _ABSOLUTE:
            return value
        if section == _COMMON:
            return base + self.extras[name]
        if section == _UNDEFINED:
            return _library_address(name)
        if section not in self.positions:
            raise _Unsupported
        return base + self.positions[section] + value

    def _relocate(self, memory: mmap.mmap, base: int, table_start: int) -> None:
        for section in self.sections:
            if section.kind != _RELOCATIONS or section.info not in self.positions:
                continue
            position = self.positions[section.info]
            content = self.data[section.offset : section.offset + section.size]
            for offset, info, addend in _RELOCATION.iter_unpack(content):
                kind, index = info & 0xFFFFFFFF, info >> 32
                place = position + offset
                entry = table_start + (_STUB_BYTES + 8) * index
                target = self._address(index, base)
                if kind in _TABLE_RELATIVE:
                    struct.pack_into("<Q", memory, entry, target)
                    target = base + entry
                elif kind in _RELATIVE_32 and self.symbols[index][1] == _UNDEFINED:
                    # jmp *[rip + 0], then the address: library code is out of reach of 32 bits.
                    struct.pack_into("<6sQ", memory, entry + 8, b"\xff\x25\0\0\0\0", target)
                    target = base + entry + 8
                if kind in _RELATIVE_32 or kind in _TABLE_RELATIVE:
                    struct.pack_into("<i", memory, place, target + addend - base - place)
                elif kind == _ABSOLUTE_64:
                    struct.pack_into("<Q", memory, place, (target + addend) % 2**64)
                elif kind == _RELATIVE_64:
                    struct.pack_into("<q", memory, place, target + addend - base - place)
                else:
                    raise _Unsupported


def _align(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _library_address(name: bytes) -> int:
    text = name.decode()
    if text not in _LIBRARY_SYMBOLS:
        raise _Unsupported
    for library in (ctypes.CDLL(None), ctypes.CDLL("libm.so.6")):
        function = getattr(library, text, None)
        if function is not None:
            return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise _Unsupported


def _protect(base: int, size: int) -> None:
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if mprotect(base, size, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise ObjectFormatError(f"cannot make code executable: {os.strerror(ctypes.get_errno())}")


def _keep(memory: mmap.mmap) -> None:
    """Keeps a mapping through interpreter shutdown, when module globals are cleared."""
    _mappings.append(memory)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))


def _load_with_llvm(data: bytes, symbol: str) -> int:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    try:
        machine = llvm.Target.from_default_triple().create_target_machine(
            jit=True, codemodel="jitdefault"
        )
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        engine.finalize_object()
        address = int(engine.get_function_address(symbol))
    except RuntimeError as error:
        raise ObjectFormatError(f"llvmlite cannot load the object: {error}") from error
    if address == 0:
        raise ObjectFormatError(f"the object does not define {symbol!r}")
    _engines.append(engine)
    return address
