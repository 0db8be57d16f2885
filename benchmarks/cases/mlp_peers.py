"""The training step of an MLP in DeZero and in PyTorch, as their users write it."""

from __future__ import annotations

from typing import Any

from benchmarks.case import Run, Settings, Values
from benchmarks.cases.dezero_module import import_dezero
from benchmarks.cases.mlp_problem import MLPProblem


def build_dezero(problem: MLPProblem, settings: Settings) -> Run:
    """Build the step in DeZero.

    Args:
        problem: Sizes, data and initial parameters.
        settings: Threads and device of the run.

    Returns:
        The step and how to read the loss and the parameters.
    """
    dezero = import_dezero()
    functions = dezero.functions
    x_data, t_data = problem.data()
    parameters = {name: dezero.Parameter(value) for name, value in problem.parameters().items()}
    w1, b1, w2, b2 = parameters.values()
    activation = getattr(functions, problem.activation)
    loss_of = getattr(functions, problem.loss)

    def step() -> Any:
        hidden = activation(functions.linear(x_data, w1, b1))
        y = functions.linear(hidden, w2, b2)
        loss = loss_of(y, t_data)
        for parameter in parameters.values():
            parameter.cleargrad()
        loss.backward()
        for parameter in parameters.values():
            parameter.data -= problem.rate * parameter.grad.data
        return loss

    def read(loss: Any) -> Values:
        return {"loss": loss.data, **{name: p.data for name, p in parameters.items()}}

    return Run(step, read)


def build_torch(problem: MLPProblem, settings: Settings) -> Run:
    """Build the step in PyTorch, eager.

    Args:
        problem: Sizes, data and initial parameters.
        settings: Threads and device of the run.

    Returns:
        The step and how to read the loss and the parameters.
    """
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(settings.threads)
    x, t = (torch.from_numpy(array) for array in problem.data())
    parameters = {
        name: torch.from_numpy(value).requires_grad_()
        for name, value in problem.parameters().items()
    }
    w1, b1, w2, b2 = parameters.values()
    activation = torch.sigmoid if problem.activation == "sigmoid" else torch.relu
    loss_of = F.mse_loss if problem.loss == "mean_squared_error" else F.cross_entropy
    optimizer = torch.optim.SGD(list(parameters.values()), lr=problem.rate)

    def step() -> Any:
        y = torch.addmm(b2, activation(torch.addmm(b1, x, w1)), w2)
        loss = loss_of(y, t)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    def read(loss: Any) -> Values:
        values = {name: p.detach().numpy() for name, p in parameters.items()}
        return {"loss": loss.detach().numpy(), **values}

    return Run(step, read)
