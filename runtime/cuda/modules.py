"""Compiled kernels of one device: several at a time, each once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from time import perf_counter
from typing import Any

from symgraph.errors import DeviceError
from symgraph.runtime import cache
from symgraph.runtime.cuda.prelude import PRELUDE
from symgraph.runtime.cuda.source import CudaCall, CudaKernel
from symgraph.runtime.interrupts import postponed_interrupts
from symgraph.runtime.jit import KernelBuildError, count_compiled, count_loaded

OPTIONS = ("--fmad=false", "--std=c++17")
"""Multiplication and addition are fused where the code says so and nowhere else."""


class ModuleTable:
    """Finds the function of a kernel; those of one plan are compiled together.

    CuPy's `RawModule` is of no use here: it compiles everything with `-ftz=true`, so that the
    smallest numbers of float32 become zeros.
    """

    def __init__(self, cupy: Any, capability: int) -> None:
        """Begin with no kernels.

        Args:
            cupy: the module.
            capability: the compute capability of the device, 90 for 9.0.
        """
        self._cupy = cupy
        self._capability = capability
        self._functions: dict[str, Any] = {}

    def load(self, kernels: Iterable[CudaKernel | CudaCall]) -> None:
        """Bring the kernels to the device that are not there yet; the device is the current one.

        Raises:
            KernelBuildError: the compiler has rejected them.
            DeviceError: there is no compiler.
        """
        wanted: dict[str, CudaKernel] = {}
        for entry in kernels:
            for kernel in entry.kernels if isinstance(entry, CudaCall) else (entry,):
                if kernel.name not in self._functions:
                    wanted[kernel.name] = kernel
        if not wanted:
            return
        code = PRELUDE + "".join(kernel.code for kernel in wanted.values())
        with postponed_interrupts():
            module = self._cupy.cuda.Module()
            module.load(self._binary(code, len(wanted)))
            for name in wanted:
                self._functions[name] = module.get_function(name)

    def _binary(self, code: str, kernels: int) -> bytes:
        """Return machine code from the disk, or compile it."""
        cuda = self._cupy.cuda
        started = perf_counter()
        key = f"cuda {self._compiler} {' '.join(OPTIONS)}\n{code}"
        entry = cache.load(key)
        if entry is not None:
            count_loaded(kernels, perf_counter() - started)
            return entry.code
        try:
            binary: bytes = cuda.compiler.compile_using_nvrtc(code, OPTIONS)[0]
        except cuda.compiler.CompileException as error:
            raise KernelBuildError("CUDA's compiler rejected a kernel", str(error)) from error
        count_compiled(kernels, perf_counter() - started)
        cache.store(key, "module", binary)
        return binary

    @cached_property
    def _compiler(self) -> str:
        """Return what machine code depends on besides the source."""
        try:
            version = self._cupy.cuda.nvrtc.getVersion()
        except RuntimeError as error:
            raise DeviceError(
                f"kernels for the GPU need NVRTC, which does not load: {error}\n"
                "  install it with: pip install 'cupy-cuda13x[ctk]'"
            ) from error
        return f"{self._cupy.__version__} {version} {self._capability}"

    def function(self, kernel: CudaKernel) -> Any:
        """Return what starts a kernel."""
        if kernel.name not in self._functions:
            self.load((kernel,))
        return self._functions[kernel.name]
