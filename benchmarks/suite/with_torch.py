"""The workloads in PyTorch: eager, and with `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.cuda.problem import SGD, Adam
from benchmarks.cuda.with_torch import TorchFunctions
from benchmarks.suite.workload import (
    EPSILON,
    KEPT,
    Build,
    Built,
    Data,
    Evaluate,
    Gradients,
    HessianVector,
    Momentum,
    RMSProp,
    Rule,
    Train,
    Workload,
)


class _Functions(TorchFunctions):
    def __init__(self) -> None:
        super().__init__(torch)
        self.sin, self.mean = torch.sin, torch.mean

    def gelu(self, x: Any) -> Any:
        return torch.nn.functional.gelu(x, approximate="tanh")

    def branching_loop(self, x: Any, steps: int) -> Any:
        count = 0
        while count < steps:
            x = x * 0.5 - 1.0 if x.sum() > 0 else x * 0.9 + 0.3
            count += 1
        return x.sum()


class _CompiledFunctions(_Functions):
    """Has the loop as an operation of the graph; Python's own would leave it in every step."""

    def branching_loop(self, x: Any, steps: int) -> Any:
        from torch._higher_order_ops.while_loop import while_loop

        def step(count: Any, vector: Any) -> Any:
            moved = torch.cond(
                vector.sum() > 0, lambda v: v * 0.5 - 1.0, lambda v: v * 0.9 + 0.3, (vector,)
            )
            return count + 1, moved

        start = (torch.zeros((), dtype=torch.int64), x)
        return while_loop(lambda count, _: count < steps, step, start)[1].sum()


def _build(workload: Workload, data: Data, threads: int, *, compiled: bool = False) -> Built:
    torch.set_num_threads(threads)
    functions = _CompiledFunctions() if compiled else _Functions()
    feeds = {name: _laid_out(torch.from_numpy(array)) for name, array in data.feeds.items()}
    leaves = functions.leaves(data.parameters, torch.device("cpu"))
    for name, leaf in leaves.items():
        if isinstance(leaf, torch.Tensor):
            leaves[name] = torch.nn.Parameter(_laid_out(leaf.detach()))

    def forward(leaves: Any, feeds: Any) -> Any:
        return workload.network.build(functions, leaves, feeds)

    called = torch.compile(forward) if compiled else forward
    task = workload.task
    if isinstance(task, Train):
        step = _training(called, task.rule, leaves, feeds)
    elif isinstance(task, Gradients):
        given = {**feeds, **leaves}
        wanted = [given[name].requires_grad_() for name in task.names]
        step = partial(_differentiated, called, leaves, feeds, wanted)
    elif isinstance(task, HessianVector):
        vectors = {name: torch.from_numpy(array) for name, array in data.vectors.items()}
        along = _along_functional if compiled else _along
        chosen = partial(along, forward)
        step = partial(torch.compile(chosen) if compiled else chosen, leaves, feeds, vectors)
    else:
        assert isinstance(task, Evaluate), "all other tasks stand above"
        step = partial(_evaluated, called, leaves, feeds)
    return Built(step, lambda result: [one.detach().numpy() for one in result])


build: Build = _build
build_compiled: Build = partial(_build, compiled=True)


def _laid_out(tensor: Any) -> Any:
    """Return images and filters with their channels last, which the CPU's kernels are best at."""
    if tensor.ndim == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def _training(forward: Any, rule: Rule, leaves: Any, feeds: Any) -> Callable[[], Any]:
    trained: list[Any] = []
    for leaf in leaves.values():
        trained += leaf.parameters() if isinstance(leaf, torch.nn.Module) else [leaf]
    optimizer = _optimizer(rule, [leaf for leaf in trained if leaf.requires_grad])

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = forward(leaves, feeds)
        loss.backward()
        optimizer.step()
        return [loss]

    return step


def _optimizer(rule: Rule, leaves: list[Any]) -> Any:
    """Return the optimiser, with one kernel for all where there is one."""
    if isinstance(rule, SGD):
        return torch.optim.SGD(leaves, lr=rule.rate, fused=True)
    if isinstance(rule, Momentum):
        # Its velocity has no rate in it, which is the same as long as the rate stays.
        return torch.optim.SGD(leaves, lr=rule.rate, momentum=KEPT, fused=True)
    if isinstance(rule, Adam):
        return torch.optim.Adam(leaves, lr=rule.rate, fused=True)
    return torch.optim.RMSprop(leaves, lr=rule.rate, alpha=KEPT, eps=EPSILON[RMSProp], foreach=True)


def _differentiated(forward: Any, leaves: Any, feeds: Any, wanted: list[Any]) -> list[Any]:
    loss = forward(leaves, feeds)
    return [loss, *torch.autograd.grad(loss, wanted)]


def _evaluated(forward: Any, leaves: Any, feeds: Any) -> list[Any]:
    with torch.no_grad():
        return [forward(leaves, feeds)]


def _along(forward: Any, leaves: Any, feeds: Any, vectors: Any) -> list[Any]:
    """Return the Hessian times the vectors by a second pass back."""
    loss = forward(leaves, feeds)
    given = list(leaves.values())
    slopes = torch.autograd.grad(loss, given, create_graph=True)
    return [loss, *torch.autograd.grad(slopes, given, grad_outputs=list(vectors.values()))]


def _along_functional(forward: Any, leaves: Any, feeds: Any, vectors: Any) -> list[Any]:
    """Return the same by a pass forwards; `torch.compile` does not take a second pass back."""

    def slopes(leaves: Any) -> Any:
        gradients, loss = torch.func.grad_and_value(lambda leaves: forward(leaves, feeds))(leaves)
        return gradients, loss

    with torch.no_grad():
        detached = {name: leaf.detach() for name, leaf in leaves.items()}
        (_, loss), (curved, _) = torch.func.jvp(slopes, (detached,), (vectors,))
    return [loss, *curved.values()]
