"""The few functions of cuBLAS that plans need, bound by ctypes.

CuPy has them too, but refuses to call them while a stream is captured. Here all memory that the
library works in is ours and all scalars lie on the host, so every call may be captured.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from symgraph.errors import DeviceError

NAMES = ("libcublas.so.13", "libcublas.so.12", "libcublas.so")
"""Where no package says otherwise, what the loader is asked for, in this order."""

_STATUS = {
    1: "CUBLAS_STATUS_NOT_INITIALIZED",
    3: "CUBLAS_STATUS_ALLOC_FAILED",
    7: "CUBLAS_STATUS_INVALID_VALUE",
    8: "CUBLAS_STATUS_ARCH_MISMATCH",
    11: "CUBLAS_STATUS_MAPPING_ERROR",
    13: "CUBLAS_STATUS_EXECUTION_FAILED",
    14: "CUBLAS_STATUS_INTERNAL_ERROR",
    15: "CUBLAS_STATUS_NOT_SUPPORTED",
    16: "CUBLAS_STATUS_LICENSE_ERROR",
}
_DEFAULT_MATH = 0
_DEFAULT_ALGORITHM = -1
_ELEMENTS = {"float32": (0, ctypes.c_float), "float64": (1, ctypes.c_double)}
# CUBLAS_COMPUTE_32F keeps all bits of the factors: the default mode "uses precisions with at least
# the same number of mantissa and exponent bits as requested", which TF32 and bfloat16 have not.
_COMPUTE = {
    ("float32", "float32"): 68,
    ("float32", "tf32"): 77,
    ("float32", "bfloat16"): 75,
}
_COMPUTE_64F = 70
_LARGEST_INT = (1 << 31) - 1

_pointer, _int, _long = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong


def _gemm_types(extent: Any, *, batched: bool) -> list[Any]:
    """Return the types of a gemm's arguments, given that of extents and leading dimensions."""
    step, count = ([_long], [extent]) if batched else ([], [])
    return [
        _pointer, _int, _int, extent, extent, extent, _pointer,
        _pointer, _int, extent, *step,
        _pointer, _int, extent, *step,
        _pointer, _pointer, _int, extent, *step,
        *count, _int, _int,
    ]  # fmt: skip


SIGNATURES: dict[str, list[Any]] = {
    "cublasCreate_v2": [_pointer],
    "cublasDestroy_v2": [_pointer],
    "cublasSetStream_v2": [_pointer, _pointer],
    "cublasSetWorkspace_v2": [_pointer, _pointer, ctypes.c_size_t],
    "cublasSetMathMode": [_pointer, _int],
    "cublasGemmEx": _gemm_types(_int, batched=False),
    "cublasGemmStridedBatchedEx": _gemm_types(_int, batched=True),
}
"""What is bound, and the types of the arguments; each function returns a status."""

WIDE_SIGNATURES: dict[str, list[Any]] = {
    "cublasGemmEx_64": _gemm_types(_long, batched=False),
    "cublasGemmStridedBatchedEx_64": _gemm_types(_long, batched=True),
}
"""The same for extents beyond 32 bits; there since CUDA 12."""


class Matrices(NamedTuple):
    """Matrices in device memory, column by column, as cuBLAS sees them.

    Args:
        address: of the first one.
        leading: elements from one column to the next.
        step: elements from one matrix to the next; 0 where there is one for all.
        transposed: whether its transpose is meant.
    """

    address: int
    leading: int
    step: int = 0
    transposed: bool = False


def load_library() -> Any:
    """Return cuBLAS: the one that is in use already, that of a package, or that of the system.

    Raises:
        DeviceError: there is none.
    """
    for name in NAMES:
        try:
            return bound(ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LOCAL))
        except OSError:
            continue
    reasons = []
    for name in (*_packaged(), *NAMES):
        try:
            return bound(ctypes.CDLL(name))
        except OSError as error:
            reasons.append(str(error))
    listed = "\n  ".join(reasons)
    raise DeviceError(
        f"matrix products on the GPU need cuBLAS, which does not load:\n  {listed}\n"
        "  install it with: pip install 'cupy-cuda13x[ctk]'"
    )


def _packaged() -> list[str]:
    """Return where a wheel or a toolkit has put the library, as far as NVIDIA's finder knows."""
    try:
        finder = import_module("cuda.pathfinder")
    except ImportError:
        return []
    try:
        found = finder.load_nvidia_dynamic_lib("cublas").abs_path
    except finder.DynamicLibNotFoundError:
        return []
    return [found] if found else []


def bound(library: Any) -> Any:
    """Return a library whose functions know their types.

    Raises:
        DeviceError: one that is needed is missing.
    """
    for name, types in {**SIGNATURES, **WIDE_SIGNATURES}.items():
        function = getattr(library, name, None)
        if function is None:
            if name in SIGNATURES:
                raise DeviceError(f"this cuBLAS is too old or broken: it has no {name}")
            continue
        function.argtypes, function.restype = types, _int
    return library


class Cublas:
    """cuBLAS on one stream; all calls are asynchronous and may be captured.

    Args:
        stream: the address of the stream.
        workspace: the address of device memory that calls work in, one after another.
        workspace_bytes: its size.
        library: the library; by default the one that is found.

    Raises:
        DeviceError: there is no library, or it does not start.
    """

    def __init__(
        self, stream: int, workspace: int, workspace_bytes: int, library: Any = None
    ) -> None:
        """Create a handle."""
        self._library = load_library() if library is None else library
        handle = ctypes.c_void_p()
        self._handle: ctypes.c_void_p | None = None
        self._call("cublasCreate_v2", ctypes.byref(handle))
        self._handle = handle
        # Setting a stream takes the workspace back, so that comes second.
        self.set_stream(stream)
        self.set_workspace(workspace, workspace_bytes)
        self._call("cublasSetMathMode", handle, _DEFAULT_MATH)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            shown = _STATUS.get(status, "an unknown status")
            raise DeviceError(f"cuBLAS failed: {name} returned {shown} ({status})")

    def set_stream(self, stream: int) -> None:
        """Send later calls to a stream; a workspace must be set again behind this."""
        self._call("cublasSetStream_v2", self._handle, stream)

    def set_workspace(self, address: int, size: int) -> None:
        """Let later calls work in this memory and allocate none."""
        self._call("cublasSetWorkspace_v2", self._handle, address, size)

    def destroy(self) -> None:
        """Give the handle back; nothing may be called afterwards."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._call("cublasDestroy_v2", handle)

    def gemm_strided_batched(
        self,
        dtype: str,
        precision: str,
        extents: tuple[int, int, int, int],
        factors: tuple[Matrices, Matrices],
        result: Matrices,
        beta: float = 0.0,
    ) -> None:
        """Compute result = first @ second + beta * result, for each matrix of a stack.

        Args:
            dtype: "float32" or "float64".
            precision: what float32 factors may be rounded to: "float32" (nothing), "tf32" or
                "bfloat16"; sums are kept in float32.
            extents: rows and columns of the result, the extent that is summed over, and how many
                matrices there are; none is 0.
            factors: the first and the second.
            result: what is written, and read unless beta is 0.
            beta: what the old result is multiplied with.

        Raises:
            DeviceError: cuBLAS refuses the call.
        """
        rows, columns, depth, count = extents
        first, second = factors
        kind, scalar = _ELEMENTS[dtype]
        compute = _COMPUTE_64F if dtype == "float64" else _COMPUTE[dtype, precision]
        one, weight = scalar(1.0), scalar(beta)
        alone = count == 1  # then cuBLAS may also cut the sum among blocks
        step = [[] if alone else [entry.step] for entry in (first, second, result)]
        name = "cublasGemmEx" if alone else "cublasGemmStridedBatchedEx"
        self._call(
            self._wide(name, (*extents, first.leading, second.leading, result.leading)),
            self._handle, int(first.transposed), int(second.transposed), rows, columns, depth,
            ctypes.byref(one),
            first.address, kind, first.leading, *step[0],
            second.address, kind, second.leading, *step[1],
            ctypes.byref(weight),
            result.address, kind, result.leading, *step[2],
            *([] if alone else [count]), compute, _DEFAULT_ALGORITHM,
        )  # fmt: skip

    def _wide(self, name: str, numbers: Sequence[int]) -> str:
        """Return the name of the function that takes numbers of this size."""
        if max(numbers) <= _LARGEST_INT:
            return name
        if not hasattr(self._library, f"{name}_64"):
            raise DeviceError(
                f"a matrix product has the extent {max(numbers):,}, and this cuBLAS takes at most "
                f"{_LARGEST_INT:,}: CUDA 12 or newer is needed"
            )
        return f"{name}_64"
