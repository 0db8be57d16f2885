"""The convolutional case in DeZero and in PyTorch, as their users write it."""

from __future__ import annotations

from typing import Any

from benchmarks.case import Run, Settings
from benchmarks.cases.dezero_module import import_dezero
from benchmarks.cases.lenet_problem import RATE, batch, parameters


def build_dezero(settings: Settings) -> Run:
    """Build the step in DeZero.

    Args:
        settings: Threads and device of the run.

    Returns:
        The step and how to read its loss.
    """
    dezero = import_dezero()
    functions = dezero.functions
    x, t = batch()
    model = dezero.layers.Layer()
    for name, value in parameters().items():
        setattr(model, name, dezero.Parameter(value, name=name))
    optimizer = dezero.optimizers.Adam(RATE).setup(model)

    def step() -> Any:
        y = functions.relu(functions.conv2d(x, model.K1, model.k1, pad=1))
        y = functions.pooling(y, 2, stride=2)
        y = functions.relu(functions.conv2d(y, model.K2, model.k2, pad=1))
        y = functions.pooling(y, 2, stride=2)
        y = functions.relu(functions.linear(functions.flatten(y), model.W1, model.b1))
        loss = functions.softmax_cross_entropy(functions.linear(y, model.W2, model.b2), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return Run(step, lambda loss: {"loss": loss.data})


def build_torch(settings: Settings) -> Run:
    """Build the step in PyTorch, eager, in its fastest form: channels last, a fused optimiser.

    Args:
        settings: Threads and device of the run.

    Returns:
        The step and how to read its loss.
    """
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(settings.threads)
    images, t = (torch.from_numpy(array) for array in batch())
    x = images.to(memory_format=torch.channels_last)
    leaves = [_torch_leaf(torch, value) for value in parameters().values()]
    filters1, bias1, filters2, bias2, w1, b1, w2, b2 = leaves
    optimizer = torch.optim.Adam(leaves, lr=RATE, fused=True)

    def step() -> Any:
        y = F.max_pool2d(F.relu(F.conv2d(x, filters1, bias1, padding=1)), 2)
        y = F.max_pool2d(F.relu(F.conv2d(y, filters2, bias2, padding=1)), 2)
        y = F.relu(torch.addmm(b1, y.flatten(1), w1))
        loss = F.cross_entropy(torch.addmm(b2, y, w2), t)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return Run(step, lambda loss: {"loss": loss.detach().numpy()})


def _torch_leaf(torch: Any, value: Any) -> Any:
    leaf = torch.from_numpy(value)
    if leaf.ndim == 4:
        leaf = leaf.contiguous(memory_format=torch.channels_last)
    return leaf.requires_grad_()
