"""Describes this machine and toolchain: what object code depends on besides its source."""

from __future__ import annotations

import functools
import importlib.util
import os
import struct
import sys

# Settings with which numba makes other code from the same source.
_CODE_SETTINGS = (
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "NUMBA_ENABLE_AVX",
    "NUMBA_OPT",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_SLP_VECTORIZE",
)
_CPU_FIELDS = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU part")


def fingerprint() -> str:
    """Returns a text that differs wherever object code may not be shared."""
    settings = ",".join(os.environ.get(name, "") for name in _CODE_SETTINGS)
    version = getattr(sys.modules.get("symgraph"), "__version__", "")
    return f"{version}\n{settings}\n{_machine()}"


@functools.cache
def _machine() -> str:
    return "\n".join(
        (
            _package_version("numba"),
            _package_version("llvmlite"),
            sys.platform,
            os.uname().machine if hasattr(os, "uname") else "",
            str(struct.calcsize("P") * 8),
            sys.byteorder,
            _cpu(),
        )
    )


def _package_version(name: str) -> str:
    """Reads a version file: importing the package or `importlib.metadata` costs 15 ms and more."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        return ""
    try:
        with open(os.path.join(os.path.dirname(found.origin), "_version.py")) as file:
            return file.read()
    except OSError:
        from importlib.metadata import version

        return version(name)


@functools.cache
def host_features() -> frozenset[str]:
    """Returns the CPU's feature flags under LLVM's names, as far as kernels ask for them."""
    # With a CPU chosen for numba, only what is asked for by name may be taken for granted.
    chosen = os.environ.get("NUMBA_CPU_NAME") or os.environ.get("NUMBA_CPU_FEATURES")
    text = os.environ.get("NUMBA_CPU_FEATURES", "") if chosen else _cpu()
    words = set(text.replace(",", " ").split())
    names = ("avx2", "avx512f", "avx512vl", "fma")
    found = {name for name in names if name in words or f"+{name}" in words}
    if words & {"asimd", "+neon"}:
        found.add("neon")
    return frozenset(found)


def _cpu() -> str:
    """Names the CPU and its features, from the kernel's description of the first CPU."""
    try:
        handle = os.open("/proc/cpuinfo", os.O_RDONLY)
        try:
            # One page: the file grows with the number of CPUs, and the first is enough.
            text = os.read(handle, 4096).decode(errors="replace")
        finally:
            os.close(handle)
    except OSError:
        text = ""
    lines = text.split("\n\n")[0].splitlines()
    fields = [line for line in lines if line.split(":")[0].strip() in _CPU_FIELDS]
    if any(line.startswith(("flags", "Features")) for line in fields):
        return "\n".join(fields)
    import llvmlite.binding as llvm

    return f"{llvm.get_host_cpu_name()}\n{llvm.get_host_cpu_features().flatten()}"
