"""Compiled kernels of one device: several at a time, each once."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import Any

from symgraph.runtime.cuda.prelude import PRELUDE
from symgraph.runtime.cuda.source import CudaCall, CudaKernel
from symgraph.runtime.interrupts import postponed_interrupts
from symgraph.runtime.jit import KernelBuildError, count_compiled

OPTIONS = ("--fmad=false", "--std=c++17")
"""Multiplication and addition are fused where the code says so and nowhere else."""


class ModuleTable:
    """Finds the function of a kernel; those of one plan are compiled together."""

    def __init__(self, cupy: Any) -> None:
        """Begin with no kernels."""
        self._cupy = cupy
        self._functions: dict[str, Any] = {}

    def load(self, kernels: Iterable[CudaKernel | CudaCall]) -> None:
        """Compile the kernels that are not there yet.

        CuPy keeps what it has compiled on the disk, by source, options and device.

        Raises:
            KernelBuildError: the compiler has rejected them.
        """
        wanted: dict[str, CudaKernel] = {}
        for entry in kernels:
            for kernel in entry.kernels if isinstance(entry, CudaCall) else (entry,):
                if kernel.name not in self._functions:
                    wanted[kernel.name] = kernel
        if not wanted:
            return
        started = perf_counter()
        code = PRELUDE + "".join(kernel.code for kernel in wanted.values())
        with postponed_interrupts():
            try:
                module = self._cupy.RawModule(code=code, options=OPTIONS, backend="nvrtc")
                for name in wanted:
                    self._functions[name] = module.get_function(name)
            except self._cupy.cuda.compiler.CompileException as error:
                raise KernelBuildError("CUDA's compiler rejected a kernel", str(error)) from error
        count_compiled(len(wanted), perf_counter() - started)

    def function(self, kernel: CudaKernel) -> Any:
        """Return what starts a kernel."""
        if kernel.name not in self._functions:
            self.load((kernel,))
        return self._functions[kernel.name]
