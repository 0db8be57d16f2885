"""The machine of a run: its description, and one setting of threads for every library."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, MutableMapping
from importlib import metadata
from pathlib import Path

THREAD_VARIABLES = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TORCH_NUM_THREADS",
)
_PACKAGES = (
    "cupy-cuda12x",
    "cupy-cuda13x",
    "dezero",
    "jax",
    "jaxlib",
    "llvmlite",
    "numba",
    "numpy",
    "pytensor",
    "scipy",
    "symgraph",
    "torch",
    "triton",
)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def even_environment(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return an environment in which every library has the same threads and its own best kernels.

    Args:
        environment: What to start from.
        threads: How many threads each library may use.

    Returns:
        A copy with the thread variables set and without `OPENBLAS_CORETYPE`, which would pin
        OpenBLAS to the kernels of another processor.
    """
    changed: MutableMapping[str, str] = dict(environment)
    changed.pop("OPENBLAS_CORETYPE", None)
    changed.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    return dict(changed)


def restart_evenly(arguments: list[str], threads: int) -> None:
    """Replace this process by one with an even environment, unless it has one already.

    Libraries read these variables when they are loaded, so setting them later would be too late for
    those that are loaded by then.

    Args:
        arguments: The command line after `python -m benchmarks`.
        threads: How many threads each library may use.
    """
    wanted = even_environment(os.environ, threads)
    if wanted != dict(os.environ):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *arguments], wanted)


def describe_machine(threads: int) -> dict[str, object]:
    """Return what a reader needs in order to place the numbers of a run.

    Args:
        threads: How many threads the run gives to each library.

    Returns:
        Names and values that JSON can hold.
    """
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _processor() -> str:
    """Return the model of the processor, as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # Another system than Linux.
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
