"""NVIDIA's compilers, where they are installed: NVRTC, or else nvcc. Neither needs a driver."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

NAMES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")
# Front ends take the same time, and all the rest does little: kernels are not run here.
FAST = "--Ofast-compile=max"


class RejectedError(Exception):
    """A compiler has rejected a source, or warned of it."""


class Nvrtc:
    """CUDA's compiler as a library."""

    def __init__(self, library: Any) -> None:
        self._library = library
        major, minor = ctypes.c_int(), ctypes.c_int()
        library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.fast = (FAST,) if (major.value, minor.value) >= (12, 9) else ()

    def ptx(self, code: str, options: Sequence[str], architecture: str) -> str:
        """Return what a source compiles to.

        Raises:
            RejectedError: it does not, or not without warnings.
        """
        library, program = self._library, ctypes.c_void_p()
        library.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernels", 0, None, None)
        texts = [*options, *self.fast, f"--gpu-architecture={architecture}"]
        given = (ctypes.c_char_p * len(texts))(*(text.encode() for text in texts))
        status = library.nvrtcCompileProgram(program, len(texts), given)
        log = self._text(program, "ProgramLog")
        ptx = "" if status else self._text(program, "PTX")
        library.nvrtcDestroyProgram(ctypes.byref(program))
        if status or log.strip():
            raise RejectedError(log)
        return ptx

    def _text(self, program: Any, kind: str) -> str:
        size = ctypes.c_size_t()
        getattr(self._library, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(self._library, f"nvrtcGet{kind}")(program, text)
        return text.value.decode()


class Nvcc:
    """CUDA's compiler as a program."""

    def __init__(self, program: str) -> None:
        self._program = program

    def ptx(self, code: str, options: Sequence[str], architecture: str) -> str:
        """Return what a source compiles to, as `Nvrtc.ptx` does."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "kernels.cu"), Path(folder, "kernels.ptx")
            source.write_text(code)
            command = [self._program, *options, "-ptx", f"-arch={architecture}", str(source)]
            done = subprocess.run(
                [*command, "-o", str(target)], text=True, capture_output=True, check=False
            )
            if done.returncode or done.stderr.strip():
                raise RejectedError(done.stderr)
            return target.read_text()


@cache
def cuda_compiler() -> Nvrtc | Nvcc | None:
    """Return what there is."""
    packages = Path(sysconfig.get_paths()["purelib"], "nvidia")
    wheels = [str(path) for path in sorted(packages.glob("*/lib/libnvrtc.so.*"))]
    for name in (*wheels, *NAMES):
        try:
            return Nvrtc(ctypes.CDLL(name))
        except OSError:
            continue
    program = shutil.which("nvcc")
    return None if program is None else Nvcc(program)
