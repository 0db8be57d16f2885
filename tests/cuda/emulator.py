"""Runs CUDA C on the CPU: g++ compiles it behind shim.h, scheduler.cpp runs its threads."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).parent
# Most kernels run once, on small arrays: not to optimise them halves the time of all tests.
OPTIONS = [
    *("-std=c++17", "-O0", "-ffp-contract=off", "-fno-strict-aliasing", "-fno-math-errno"),
    *("-shared", "-fPIC", "-w", "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables"),
    *(["-mfma"] if platform.machine() == "x86_64" else []),
]
# A module brings its own handlers of these, so that no library of the compiler is needed.
CHECKS = [
    "-fsanitize=alignment,bounds,signed-integer-overflow,integer-divide-by-zero,shift,bool",
    "-nostdlib",
]
# The compiler announces each access to memory: see races.h.
WATCHED = [
    *("-fsanitize=thread", "--param=tsan-distinguish-volatile=1"),
    *("--param=tsan-instrument-func-entry-exit=0", "-Wno-tsan"),
]
MOST_SHARED = 48 << 10
KEPT_SECONDS = 3 * 24 * 3600
_ENTRY = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(([^)]*)\)'
)
_DYNAMIC = re.compile(
    r"extern\s+__shared__\s+(?:(?:alignas|__align__)\(\d+\)\s+)?([\w ]+?)\s+shared_bytes\[\];"
)
_LOCK = threading.RLock()


class KernelError(RuntimeError):
    """A kernel does what a GPU does not allow, or was launched so."""


def compiler() -> str | None:
    """Return the path of g++, if there is one."""
    return shutil.which("g++")


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"symgraph-emulator-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to somebody else")
    return folder


def _built(text: str, *options: str) -> Path:
    """Return the library that this text compiles to; other processes may build the same."""
    program = compiler()
    if program is None:
        raise RuntimeError("no g++ on PATH")
    shim = "".join((HERE / name).read_text() for name in ("shim.h", "races.h"))
    key = sha256("\0".join([text, shim, *OPTIONS, *options]).encode()).hexdigest()[:32]
    library = _folder() / f"{key}.so"
    if library.exists():
        library.touch()
        return library
    passing = library.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    command = [program, *OPTIONS, "-I", str(HERE), "-x", "c++", "-", *("-x", "none"), *options]
    done = subprocess.run(
        [*command, "-o", str(passing)], input=text, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise KernelError(f"g++ refuses the kernels:\n{done.stderr[:4000]}")
    passing.replace(library)
    return library


def _forget_old() -> None:
    """Remove what no run of the last days has used."""
    for library in _folder().iterdir():
        with suppress(FileNotFoundError):  # another process does the same
            if library.stat().st_mtime < time.time() - KEPT_SECONDS:
                library.unlink()


def _scheduler() -> ctypes.CDLL:
    global _SCHEDULER
    with _LOCK:
        if _SCHEDULER is None:
            _forget_old()
            path = _built((HERE / "scheduler.cpp").read_text(), "-O2", "-lm")
            _SCHEDULER = ctypes.CDLL(str(path))
            _SCHEDULER.shim_path = str(path)
        return _SCHEDULER


_SCHEDULER: ctypes.CDLL | None = None


class Emulator:
    """One module of kernels.

    Args:
        code: the prelude and the kernels.
    """

    reverse: ClassVar[bool] = False
    """Whether blocks, and the threads of a block, run backwards unless a launch says otherwise."""

    races: ClassVar[bool] = False
    """Whether launches fail whose threads use the same memory in no order; they take longer."""

    _loaded: ClassVar[dict[str, Emulator]] = {}

    def __init__(self, code: str) -> None:
        self.code = code
        self.entries = {
            name: len([p for p in parameters.split(",") if p.strip()])
            for name, parameters in _ENTRY.findall(code)
        }
        self._libraries: dict[bool, ctypes.CDLL] = {}

    @classmethod
    def load(cls, code: str) -> Emulator:
        """Return the module of this code; it compiles when a kernel is first launched."""
        with _LOCK:
            if code not in cls._loaded:
                cls._loaded[code] = cls(code)
            return cls._loaded[code]

    def _text(self) -> str:
        code = _DYNAMIC.sub(r"\1* shared_bytes = (\1*)shim_dynamic_shared;", self.code)
        runs = "".join(
            f'extern "C" void run_{name}(const long long* w)\n'
            f"{{ {name}({', '.join(f'w[{i}]' for i in range(count))}); }}\n"
            for name, count in self.entries.items()
        )
        return (
            f'#include "shim.h"\nnamespace {{\n#line 1 "kernels"\n{code}\n}}\n{runs}'
            'extern "C" char* shim_arrays() { return __start_shared_arrays; }\n'
            'extern "C" unsigned long shim_arrays_size()\n'
            "{ return __stop_shared_arrays - __start_shared_arrays; }\n"
        )

    def build(self) -> ctypes.CDLL:
        """Return the library, compiled."""
        with _LOCK:
            if self.races not in self._libraries:
                options = [*CHECKS, *(WATCHED if self.races else ())]
                library = ctypes.CDLL(str(_built(self._text(), *options, _scheduler().shim_path)))
                library.shim_arrays.restype = ctypes.c_void_p
                library.shim_arrays_size.restype = ctypes.c_ulong
                self._libraries[self.races] = library
            return self._libraries[self.races]

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        words: Sequence[int],
        shared: int = 0,
        reverse: bool | None = None,
    ) -> None:
        """Run one kernel.

        Args:
            name: its entry point.
            grid: blocks along x, y, z.
            block: threads along x, y, z.
            words: its arguments, the guard at the end.
            shared: bytes of dynamic shared memory.
            reverse: whether the last block and thread run first.

        Raises:
            KernelError: a GPU would refuse this launch, or what the kernel does.
        """
        self.check(name, grid, block, words, shared)
        library = self.build()
        numbers = [word - (1 << 64) if word >= 1 << 63 else word for word in map(int, words)]
        message = ctypes.create_string_buffer(1000)
        with _LOCK:
            failed = _scheduler().shim_launch(
                ctypes.cast(getattr(library, f"run_{name}"), ctypes.c_void_p),
                (ctypes.c_longlong * len(numbers))(*numbers),
                (ctypes.c_uint * 3)(*grid),
                (ctypes.c_uint * 3)(*block),
                ctypes.c_size_t(shared),
                ctypes.c_void_p(library.shim_arrays()),
                ctypes.c_size_t(library.shim_arrays_size()),
                ctypes.c_int(self.reverse if reverse is None else reverse),
                ctypes.c_int(self.races),
                message,
                ctypes.c_size_t(len(message)),
            )
        if failed:
            raise KernelError(f"{name}: {self._explained(message.value.decode())}")

    def check(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        words: Sequence[int],
        shared: int,
    ) -> None:
        count = self.entries.get(name)
        if count is None:
            raise KernelError(f"no kernel {name!r} among {sorted(self.entries)}")
        if len(words) != count:
            raise KernelError(f"{name} takes {count} words, not {len(words)}")
        for sizes, limits in ((grid, ((1 << 31) - 1, 65535, 65535)), (block, (1024, 1024, 64))):
            if any(not 1 <= size <= most for size, most in zip(sizes, limits, strict=True)):
                raise KernelError(f"{name}: a launch of {grid} blocks of {block} threads")
        if block[0] * block[1] * block[2] > 1024:
            raise KernelError(f"{name}: a block of {block} threads")
        if not 0 <= shared <= MOST_SHARED:
            raise KernelError(f"{name}: {shared} bytes of shared memory")

    def _explained(self, text: str) -> str:
        """Add the source lines that a message names."""
        lines = self.code.splitlines()
        for number in dict.fromkeys(map(int, re.findall(r"line (\d+)", text))):
            if 1 <= number <= len(lines):
                text += f"\n  line {number}: {lines[number - 1].strip()}"
        return text
