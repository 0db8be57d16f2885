"""A chain of ten elementwise operations: what fusion saves in memory traffic and in calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import define_by_run, eager_functions
from benchmarks.case import Case, Peer, Run, Settings
from benchmarks.cases.dezero_module import import_dezero

_NO_BARS: Mapping[str, float] = MappingProxyType({})


def chain_case(name: str, size: int, bars: Mapping[str, float] = _NO_BARS) -> Case:
    """Return the case of a chain over so many float32 elements.

    Args:
        name: The name of the case.
        size: The number of elements.
        bars: How many times slower than symgraph each peer should be at least.

    Returns:
        The case.
    """
    peers = (
        Peer("symgraph", "symgraph", partial(_build_symgraph, size)),
        Peer("numpy", "numpy", partial(_build_numpy, size)),
        Peer("define_by_run", "numpy", partial(_build_define_by_run, size)),
        Peer("dezero", "dezero", partial(_build_dezero, size)),
        Peer("torch", "torch", partial(_build_torch, size)),
    )
    title = f"10 elementwise operations, {size:,} float32"
    return Case(name, title, peers, tolerance=1e-5, check_steps=1, bars=bars)


def _chain(functions: Any, x: Any, number: Callable[[float], Any] = float) -> Any:
    """Apply ten operations: `functions` has a peer's `tanh` and `exp`, `number` makes constants."""
    half, one = number(0.5), number(1.0)
    y = functions.tanh(x) * half + one
    y = functions.exp(y) - x
    y = functions.tanh(y * y) * half
    return functions.exp(-y)


def _data(size: int) -> NDArray[np.float32]:
    return np.linspace(-3.0, 3.0, size, dtype=np.float32)


def _build_symgraph(size: int, settings: Settings) -> Run:
    import symgraph as sg

    x = sg.Placeholder("x", shape=("N",), dtype="float32")
    chain = sg.compile(_chain(sg, x), device=settings.device, threads=settings.threads)
    data = _data(size)
    return Run(lambda: chain(x=data), lambda y: {"y": y})


def _build_numpy(size: int, settings: Settings) -> Run:
    data = _data(size)
    return Run(lambda: _chain(np, data), lambda y: {"y": y})


def _build_define_by_run(size: int, settings: Settings) -> Run:
    data = _data(size)

    def step() -> define_by_run.Variable:
        with define_by_run.recording(False):
            y: define_by_run.Variable = _chain(eager_functions, define_by_run.Variable(data))
        return y

    return Run(step, lambda y: {"y": y.data})


def _build_dezero(size: int, settings: Settings) -> Run:
    dezero = import_dezero()
    data = _data(size)

    def step() -> Any:
        with dezero.no_grad():
            # It would turn Python numbers, and with them the whole chain, into float64.
            return _chain(dezero.functions, dezero.Variable(data), np.float32)

    return Run(step, lambda y: {"y": y.data})


def _build_torch(size: int, settings: Settings) -> Run:
    import torch

    torch.set_num_threads(settings.threads)
    data = torch.from_numpy(_data(size))

    def step() -> Any:
        with torch.no_grad():
            return _chain(torch, data)

    return Run(step, lambda y: {"y": y.numpy()})
