"""The GPU of a run: whether there is one, what it is, and the two rates that bound every row."""

from __future__ import annotations

import contextlib
import gc
import importlib
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

_COPIED_BYTES = 1 << 30
_PRODUCT = 8192
_ROUNDS = 20
_UP_TO_DATE = 4
"""Calls before the timed ones: they load kernels and raise the clocks."""


class NoDeviceError(RuntimeError):
    """Raise when there is no GPU, or no CuPy to reach it with; the message says which."""


@dataclass(frozen=True)
class Ceilings:
    """What the device does at best: bytes a second, and float32 operations a second."""

    bandwidth: float
    operations: float

    def nanoseconds(self, moved: int, operations: int) -> float:
        """Return the time that so many bytes and operations take at least."""
        return max(moved / self.bandwidth, operations / self.operations) * 1e9


def require_device(device: str) -> Any:
    """Return CuPy, after seeing that a device is there.

    Args:
        device: "cuda", or "cuda:1" and so on.

    Returns:
        The module.

    Raises:
        NoDeviceError: CuPy is missing, there is no driver, or no such device.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise NoDeviceError(
            f"device {device!r} needs CuPy, which cannot be loaded: {error}"
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise NoDeviceError(f"device {device!r} cannot be reached: {error}") from None
    if device_index(device) >= count:
        raise NoDeviceError(f"device {device!r} is not there: the machine has {count}")
    return cupy


def device_index(device: str) -> int:
    """Return the number of a device: 1 for "cuda:1", 0 for "cuda"."""
    return int(device.partition(":")[2] or 0)


def describe_device(cupy: Any, device: str) -> dict[str, object]:
    """Return the name, the size and the driver of a device, as JSON can hold them."""
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(device_index(device))
    return {
        "device": properties["name"].decode(),
        "compute capability": f"{properties['major']}.{properties['minor']}",
        "multiprocessors": properties["multiProcessorCount"],
        "memory": f"{properties['totalGlobalMem'] / 2**30:.1f} GiB",
        "driver": _driver(device) or "unknown",
        "CUDA of the driver": _version_text(runtime.driverGetVersion()),
        "CUDA runtime of CuPy": _version_text(runtime.runtimeGetVersion()),
    }


def measure_ceilings(cupy: Any) -> Ceilings:
    """Time a copy from device memory to device memory, and a large float32 product of cuBLAS.

    Args:
        cupy: The module.

    Returns:
        The medians. A copied byte counts twice, once read and once written.
    """
    source = cupy.zeros(_COPIED_BYTES, cupy.uint8)
    target = cupy.empty_like(source)
    copied = _seconds(cupy, lambda: cupy.copyto(target, source))
    random = cupy.random.default_rng(0)
    x, y = (random.random((_PRODUCT, _PRODUCT), dtype=cupy.float32) for _ in range(2))
    out = cupy.empty_like(x)
    multiplied = _seconds(cupy, lambda: cupy.matmul(x, y, out=out))
    return Ceilings(2 * _COPIED_BYTES / copied, 2 * _PRODUCT**3 / multiplied)


def release_memory() -> None:
    """Give back what the peers of a row have taken, so that the next one finds the device empty."""
    gc.collect()
    if torch := sys.modules.get("torch"):
        # Else all rows share one limit on recompilations, behind which PyTorch goes on eagerly.
        torch.compiler.reset()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    if cupy := sys.modules.get("cupy"):
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


def _seconds(cupy: Any, work: Any) -> float:
    for _ in range(_UP_TO_DATE):
        work()
    taken: list[float] = []
    for _ in range(_ROUNDS):
        first, last = cupy.cuda.Event(), cupy.cuda.Event()
        first.record()
        work()
        last.record()
        last.synchronize()
        taken.append(float(cupy.cuda.get_elapsed_time(first, last)) / 1e3)
    return statistics.median(taken)


def _driver(device: str) -> str | None:
    """Return the version of the driver, as its own tool tells it."""
    command = ["nvidia-smi", f"--id={device_index(device)}", "--query-gpu=driver_version"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(
            [*command, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return told.stdout.strip() or None
    return None


def _version_text(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
