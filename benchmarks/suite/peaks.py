"""What the machine can do at most: `python -m benchmarks.suite.peaks THREADS` prints it as JSON.

Operations: the best of a chain of fused multiply-adds over vectors that stay in the nearest cache,
and of a product of 2048 x 2048 by NumPy. Bytes: the best of a copy and a sum of large arrays.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FEATURES = (("avx512f", "+avx512f,+avx2,+fma"), ("avx2", "+avx2,+fma"))
_REPEATS = 7
_LARGE = 1 << 25
_NEAR = 2048
_CHAIN = 16


@dataclass(frozen=True)
class Peaks:
    """The most that was measured.

    Args:
        operations: float32 operations a second.
        bytes: read and written a second.
    """

    operations: float
    bytes: float


def measure_peaks(threads: int) -> Peaks:
    """Measure in a process of its own, so that what it loads is nobody's."""
    environment = {**os.environ, **_vector_settings()}
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.suite.peaks", str(threads)],
        env=environment,
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    return Peaks(**json.loads(finished.stdout))


def _vector_settings() -> dict[str, str]:
    """Return settings under which Numba uses the widest vectors; by itself it takes halves."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # Another system than Linux: Numba chooses.
        return {}
    for flag, features in _FEATURES:
        if flag in flags:
            return {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    return {}


def _main(threads: int) -> None:
    import numpy as np
    from numba import njit

    @njit(fastmath={"contract"}, nogil=True)  # type: ignore[untyped-decorator]  # no types in Numba
    def chain(x: Any, y: Any, a: Any, b: Any, rounds: int) -> None:
        """Apply sixteen dependent multiply-adds to each element; elements overlap."""
        for _ in range(rounds):
            for i in range(x.size):
                v = ((x[i] * a + b) * a + b) * a + b
                v = ((v * a + b) * a + b) * a + b
                v = ((v * a + b) * a + b) * a + b
                v = ((v * a + b) * a + b) * a + b
                v = ((v * a + b) * a + b) * a + b
                y[i] = v * a + b

    @njit(fastmath=True, nogil=True)  # type: ignore[untyped-decorator]  # no types in Numba
    def total(x: Any) -> Any:
        """Add up the elements."""
        result = np.float32(0)
        for i in range(x.size):
            result += x[i]
        return result

    half, rounds = np.float32(0.5), 20_000
    near = [(np.ones(_NEAR, np.float32), np.ones(_NEAR, np.float32)) for _ in range(threads)]
    matrix = np.ones((2048, 2048), np.float32)
    source, target = np.ones(_LARGE, np.float32), np.ones(_LARGE, np.float32)
    pieces = list(
        zip(np.array_split(target, threads), np.array_split(source, threads), strict=True)
    )
    chain(*near[0], half, half, 1)
    total(source[:8])
    with ThreadPoolExecutor(threads) as pool:

        def together(work: Callable[..., Any], arguments: list[Any]) -> float:
            return _fastest(lambda: wait([pool.submit(work, *one) for one in arguments]))

        chained = together(chain, [(*pair, half, half, rounds) for pair in near])
        copied = together(np.copyto, pieces)
        added = together(total, [(piece,) for _, piece in pieces])
    operations = max(
        2 * _CHAIN * _NEAR * rounds * threads / chained,
        2 * 2048**3 / _fastest(lambda: np.matmul(matrix, matrix)),
    )
    moved = max(2 * source.nbytes / copied, source.nbytes / added)
    print(json.dumps({"operations": operations, "bytes": moved}))


def _fastest(work: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of some calls."""
    taken = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
