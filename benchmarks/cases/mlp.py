"""One training step of an MLP: forward, backward and SGD update of one batch."""

from __future__ import annotations

from functools import partial

from benchmarks import eager_functions
from benchmarks.array_module import Array
from benchmarks.case import Case, Peer, Run, Settings, Values
from benchmarks.cases.mlp_peers import build_dezero, build_torch
from benchmarks.cases.mlp_problem import SMALL, WIDE, MLPProblem
from benchmarks.define_by_run import Variable
from benchmarks.eager_optimizers import SGD


def small_mlp_case() -> Case:
    """Return the step where overhead is everything: 1-10-1, batch 100."""
    return Case(
        "mlp_small",
        "MLP 1-10-1, batch 100: train step",
        _peers(SMALL),
        tolerance=1e-4,
        bars={"dezero": 15.0, "torch": 10.0},
    )


def wide_mlp_case() -> Case:
    """Return the step where matrix products count: 784-512-10, batch 128."""
    return Case(
        "mlp_wide",
        "MLP 784-512-10, batch 128: train step",
        _peers(WIDE),
        tolerance=1e-4,
        bars={"torch": 1.0},
    )


def _peers(problem: MLPProblem) -> tuple[Peer, ...]:
    return (
        Peer("symgraph", "symgraph", partial(_build_symgraph, problem)),
        Peer("define_by_run", "numpy", partial(_build_define_by_run, problem)),
        Peer("dezero", "dezero", partial(build_dezero, problem)),
        Peer("torch", "torch", partial(build_torch, problem)),
    )


def _build_symgraph(problem: MLPProblem, settings: Settings) -> Run:
    import symgraph as sg

    x_data, t_data = problem.data()
    parameters = {
        name: sg.Parameter(value, name=name) for name, value in problem.parameters().items()
    }
    x = sg.Placeholder("x", shape=("N", problem.features), dtype="float32")
    hidden = x @ parameters["W1"] + parameters["b1"]
    hidden = sg.sigmoid(hidden) if problem.activation == "sigmoid" else sg.relu(hidden)
    y = hidden @ parameters["W2"] + parameters["b2"]
    if problem.loss == "mean_squared_error":
        t = sg.Placeholder("t", shape=("N", problem.outputs), dtype="float32")
        loss = sg.nn.mean_squared_error(y, t)
    else:
        t = sg.Placeholder("t", shape=("N",), dtype="int64")
        loss = sg.nn.softmax_cross_entropy(y, t)
    step = sg.compile(
        loss,
        updates=sg.optim.SGD(problem.rate).updates(loss, list(parameters.values())),
        device=settings.device,
        threads=settings.threads,
    )

    def read(result: Array) -> Values:
        values = {name: parameter.value for name, parameter in parameters.items()}
        return {"loss": result, **values}

    return Run(lambda: step(x=x_data, t=t_data), read)


def _build_define_by_run(problem: MLPProblem, settings: Settings) -> Run:
    x_data, t_data = problem.data()
    parameters = {name: Variable(value) for name, value in problem.parameters().items()}
    w1, b1, w2, b2 = parameters.values()
    activation = getattr(eager_functions, problem.activation)
    optimizer = SGD((w1, b1, w2, b2), problem.rate)

    def step() -> Variable:
        hidden = activation(eager_functions.linear(Variable(x_data), w1, b1))
        y = eager_functions.linear(hidden, w2, b2)
        if problem.loss == "mean_squared_error":
            loss = eager_functions.mean_squared_error(y, Variable(t_data))
        else:
            loss = eager_functions.softmax_cross_entropy(y, t_data)
        for parameter in parameters.values():
            parameter.clear_grad()
        loss.backward()
        optimizer.update()
        return loss

    def read(loss: Variable) -> Values:
        return {"loss": loss.data, **{name: p.data for name, p in parameters.items()}}

    return Run(step, read)
