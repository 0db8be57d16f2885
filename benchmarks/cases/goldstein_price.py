"""The Goldstein-Price function and its gradient at one point: many operations, no data."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import define_by_run
from benchmarks.case import Case, Peer, Run, Settings
from benchmarks.cases.dezero_module import import_dezero


def goldstein_price_case() -> Case:
    """Return the case: value and both partial derivatives in float64."""
    peers = (
        Peer("symgraph", "symgraph", _build_symgraph),
        Peer("define_by_run", "numpy", _build_define_by_run),
        Peer("dezero", "dezero", _build_dezero),
        Peer("torch", "torch", _build_torch),
    )
    title = "Goldstein-Price, float64 scalar: value and gradient"
    return Case("goldstein_price", title, peers, tolerance=1e-12, check_steps=1)


def goldstein_price(x: Any, y: Any) -> Any:
    """Return the Goldstein-Price function; x and y are scalars of any framework."""
    first = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    second = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return first * second


def _build_symgraph(settings: Settings) -> Run:
    import symgraph as sg

    x = sg.Placeholder("x", shape=(), dtype="float64")
    y = sg.Placeholder("y", shape=(), dtype="float64")
    z = goldstein_price(x, y)
    gradients = sg.grad(z, [x, y])
    function = sg.compile([z, *gradients], device=settings.device, threads=settings.threads)
    one = np.array(1.0)
    return Run(
        lambda: function(x=one, y=one), lambda out: {"z": out[0], "gx": out[1], "gy": out[2]}
    )


def _build_define_by_run(settings: Settings) -> Run:
    return _variable_run(define_by_run.Variable)


def _build_dezero(settings: Settings) -> Run:
    return _variable_run(import_dezero().Variable)


def _variable_run(variable: Any) -> Run:
    """Return the case for frameworks with the classical Variable, `data` and `grad`."""

    def step() -> tuple[Any, Any, Any]:
        x, y = variable(np.array(1.0)), variable(np.array(1.0))
        z = goldstein_price(x, y)
        z.backward()
        return z, x, y

    return Run(step, lambda out: {"z": out[0].data, "gx": out[1].grad.data, "gy": out[2].grad.data})


def _build_torch(settings: Settings) -> Run:
    import torch

    torch.set_num_threads(settings.threads)

    def step() -> tuple[Any, Any, Any]:
        x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        y = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        z = goldstein_price(x, y)
        z.backward()
        return z, x, y

    return Run(
        step,
        lambda out: {
            "z": out[0].detach().numpy(),
            "gx": out[1].grad.numpy(),
            "gy": out[2].grad.numpy(),
        },
    )
