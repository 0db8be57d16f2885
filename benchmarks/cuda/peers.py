"""Who runs the rows of the GPU suite."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.case import Settings
from benchmarks.cuda import with_cupy, with_jax, with_symgraph, with_torch
from benchmarks.cuda.problem import DeviceRun, Problem

OURS = "symgraph"


@dataclass(frozen=True)
class DevicePeer:
    """One way to run a row.

    Args:
        name: how the tables call it.
        module: what must be installed.
        build: builds a row.
    """

    name: str
    module: str
    build: Callable[[Problem, Settings], DeviceRun]

    @property
    def installed(self) -> bool:
        """Say whether the module that the peer needs can be found."""
        return self.module in sys.modules or importlib.util.find_spec(self.module) is not None


PEERS: tuple[DevicePeer, ...] = (
    DevicePeer(OURS, "cupy", with_symgraph.build_on_device),
    DevicePeer("symgraph, NumPy", "cupy", with_symgraph.build_from_host),
    DevicePeer("PyTorch eager", "torch", with_torch.build),
    DevicePeer("torch.compile", "torch", partial(with_torch.build, mode="default")),
    DevicePeer(
        "torch.compile, reduce-overhead",
        "torch",
        partial(with_torch.build, mode="reduce-overhead"),
    ),
    DevicePeer("JAX jit", "jax", with_jax.build),
    DevicePeer("CuPy op by op", "cupy", with_cupy.build),
)

REFERENCES = ("PyTorch eager", "JAX jit", "CuPy op by op", OURS)
"""Whose results the others are held against: the first of these that runs."""
