"""The GPU that the checks run on: CUDA's through CuPy, or an emulated one."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

_WATCHED = ("enqueue_upload", "enqueue_download", "upload", "download", "replay", "record")
"""The methods of a device that copy between it and the host, or that handle graphs."""


@dataclass(frozen=True)
class Gpu:
    """What a check is given.

    Args:
        cupy: the module, or what stands for it.
        quick: whether to take small sizes and few cases, because kernels are emulated.
        native: whether the CPU can be compiled for; if numba does not go with the NumPy that is
            there, the reference stands in, and equal bits are not asked for.
        name: what `compile` calls the device.
    """

    cupy: Any
    quick: bool = False
    native: bool = True
    name: str = "cuda"

    @property
    def host(self) -> dict[str, Any]:
        """Return the options of `compile` for what results are compared with."""
        return {"device": "cpu"} if self.native else {"mode": "reference"}

    @property
    def here(self) -> dict[str, Any]:
        """Return the options of `compile` for the device."""
        return {"device": self.name}

    @property
    def emulated(self) -> bool:
        """Say whether there is no GPU."""
        return hasattr(self.cupy, "machine")

    def array(self, values: Any) -> Any:
        """Return an array on the device."""
        return self.cupy.asarray(values)

    def either(self, quick: Any, full: Any) -> Any:
        """Return what suits the device."""
        return quick if self.quick else full

    @contextlib.contextmanager
    def watched(self) -> Iterator[Counter[str]]:
        """Count what is done meanwhile.

        Yields:
            How often the methods in `_WATCHED` were called; `malloc`: how often memory was asked
            for; `alloc`: how often CuPy had to ask CUDA for it (not known where it is emulated).
        """
        from symgraph.runtime.cuda.device import Device

        counts: Counter[str] = Counter()
        with contextlib.ExitStack() as stack:
            for name in _WATCHED:
                method = getattr(Device, name)
                stack.enter_context(mock.patch.object(Device, name, _counted(method, counts)))
            if self.emulated:
                before = self.cupy.machine.counts["alloc"]
                yield counts
                counts["malloc"] += self.cupy.machine.counts["alloc"] - before
            else:
                stack.enter_context(_memory_hook(self.cupy, counts))
                yield counts


def _counted(method: Any, counts: Counter[str]) -> Any:
    def call(self: Any, *args: Any, **options: Any) -> Any:
        counts[method.__name__] += 1
        return method(self, *args, **options)

    return call


def _memory_hook(cupy: Any, counts: Counter[str]) -> Any:
    class Hook(cupy.cuda.MemoryHook):
        name = "counting"

        def alloc_preprocess(self, **_: Any) -> None:
            counts["alloc"] += 1

        def malloc_preprocess(self, **_: Any) -> None:
            counts["malloc"] += 1

    return Hook()
