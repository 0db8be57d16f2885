"""Who runs the workloads."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # It would load NumPy, whose import is part of a peer's.
    from benchmarks.suite.workload import Build

OURS = "symgraph"


@dataclass(frozen=True)
class Peer:
    """One way to run a workload.

    Args:
        name: what the command line and the tables call it.
        module: what must be installed.
        adapter: the module here that builds workloads; it is imported in the peer's process alone.
        function: its function.
        kept: whether it is timed again with a C library that keeps freed memory.
    """

    name: str
    module: str
    adapter: str
    function: str = "build"
    kept: bool = False

    @property
    def installed(self) -> bool:
        """Say whether the module that the peer needs can be found."""
        return importlib.util.find_spec(self.module) is not None

    def load(self) -> Build:
        """Import the peer and return what builds workloads."""
        adapter = importlib.import_module(f"benchmarks.suite.{self.adapter}")
        build: Build = getattr(adapter, self.function)
        return build


PEERS: tuple[Peer, ...] = (
    Peer(OURS, "symgraph", "with_symgraph"),
    Peer("define_by_run", "numpy", "with_twin"),
    Peer("dezero", "dezero", "with_dezero"),
    Peer("torch", "torch", "with_torch", kept=True),
    Peer("torch.compile", "torch", "with_torch", "build_compiled", kept=True),
    Peer("jax", "jax", "with_jax", kept=True),
    Peer("pytensor", "pytensor", "with_pytensor", kept=True),
)
