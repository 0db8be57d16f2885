"""Where a function runs: threads of the processor share its work, and give the same bits.

python examples/devices.py

A device that is not there is refused when the function is compiled, not in the middle of a run.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def layer() -> tuple[sg.Node, Array]:
    """Return a layer of a network, and data for it."""
    x = sg.Placeholder("x", ("N", 512), "float32")
    y = sg.relu(sg.layers.Linear(1024, seed=0)(x)).sum(axis=1)
    return y, np.random.default_rng(0).random((2048, 512), "float32")


def by_threads(counts: tuple[int, ...]) -> dict[int, tuple[Array, float]]:
    """Return for numbers of threads the result and the seconds that it took."""
    y, data = layer()
    found = {}
    for count in counts:
        f = sg.compile(y, threads=count)
        f(x=data)
        started = time.perf_counter()
        found[count] = f(x=data), time.perf_counter() - started
    return found


def on(device: str) -> str:
    """Return what compiling for a device says."""
    y, _ = layer()
    try:
        sg.compile(y, device=device)
    except sg.DeviceError as error:
        return str(error).splitlines()[0]
    return "compiled"


def main() -> None:
    """Print which devices there are, and what threads make of a layer."""
    for device in ("cpu", "gpu"):
        print(f"{device}: {on(device)}")
    results = by_threads((1, 2))
    for count, (_, seconds) in results.items():
        print(f"{count} threads: {1000 * seconds:.1f} ms")
    (one, _), (two, _) = results.values()
    print(f"the same bits: {np.array_equal(one, two)}")


if __name__ == "__main__":
    main()
