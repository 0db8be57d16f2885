"""The suite's end of the process of one peer and one workload."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_LONGEST_SECONDS = 180.0
KEEPING = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184",
}
"""What tells glibc to keep freed memory: no mapping of its own for large blocks, no trimming."""
WORKER = ("-W", "ignore", "-m", "benchmarks.suite.worker")


class PeerError(RuntimeError):
    """The process of a peer failed; its message says how."""


@dataclass(frozen=True)
class Start:
    """What a process did until its first steps were done, in nanoseconds.

    Args:
        imported: importing the peer, NumPy included.
        compiled: from the data to the result of the first step.
        total: from before the process was made to the first result, without making the data.
        values: of the first steps, the loss and the lengths of the gradients.
    """

    imported: float
    compiled: float
    total: float
    values: tuple[tuple[float, ...], ...]


def caches_in(folder: Path) -> dict[str, str]:
    """Return an environment in which every peer keeps what it compiles in a folder."""
    inside = {
        "SYMGRAPH_CACHE_DIR": "symgraph",
        "TORCHINDUCTOR_CACHE_DIR": "torch",
        "JAX_COMPILATION_CACHE_DIR": "jax",
        "NUMBA_CACHE_DIR": "numba",
    }
    return {
        **{name: str(folder / part) for name, part in inside.items()},
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "PYTENSOR_FLAGS": f"floatX=float32,base_compiledir={folder / 'pytensor'}",
    }


class Process:
    """A process that has built a workload and takes samples when it is asked to."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        program: Sequence[str] = WORKER,
    ) -> None:
        """Start the process; `start` is known when this returns.

        Args:
            arguments: Peer, workload and threads.
            environment: What is added to the environment of this process.
            program: What Python is given before the arguments.

        Raises:
            PeerError: The peer cannot build the workload.
        """
        # The worker must use the symgraph of this tree, as its parent does.
        full = {**os.environ, "PYTHONPATH": str(_ROOT), **environment}
        self._errors = tempfile.TemporaryFile()  # It lives as long as the process.
        began = time.monotonic_ns()
        self._child = subprocess.Popen(
            [sys.executable, *program, *arguments],
            env=full,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        said = self._read()
        self.start = Start(
            said["import"],
            said["compile"],
            said["first"] - began - said["data"],
            tuple(tuple(value) for value in said["values"]),
        )

    def sample(self, calls: int) -> float:
        """Return the mean time of so many calls in nanoseconds, behind one that is not timed."""
        return float(self._ask({"calls": calls})["nanoseconds"])

    def finish(self) -> int:
        """End the process and return its peak of memory above its imports, in bytes."""
        try:
            return int(self._ask({})["peak"])
        finally:
            self.close()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None, "it is a pipe"
        try:
            self._child.stdin.write(json.dumps(question).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # What it said before it ended is read below.
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None, "it is a pipe"
        ready, _, _ = select.select([self._child.stdout], [], [], _LONGEST_SECONDS)
        line = self._child.stdout.readline() if ready else b""
        said: dict[str, Any] = json.loads(line) if line else {"error": self._silence(bool(ready))}
        if "error" in said:
            self.close()
            raise PeerError(said["error"])
        return said

    def _silence(self, ended: bool) -> str:
        """Say why nothing was read."""
        if not ended:
            return f"it took more than {_LONGEST_SECONDS:g} s"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"the process ended: {lines[-1][:200] if lines else 'it said nothing'}"
