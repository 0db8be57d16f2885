"""The rows in PyTorch: eager, and compiled in two modes. TF32 is off, cuDNN chooses by trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.case import Settings
from benchmarks.cuda.clocks import torch_clock, wall_clock
from benchmarks.cuda.problem import SGD, Arrays, DeviceRun, Problem, Values


def build(problem: Problem, settings: Settings, mode: str | None = None) -> DeviceRun:
    """Build a row in PyTorch, with its data on the device and fused optimisers.

    Args:
        problem: The row.
        settings: The device of the run.
        mode: The mode of `torch.compile`, None for eager.

    Returns:
        The step.
    """
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    place = torch.device(settings.device)
    functions = TorchFunctions(torch)
    network = problem.network
    parameters = functions.leaves(network.parameters(), place)
    feeds = {name: torch.from_numpy(a).to(place) for name, a in network.feeds().items()}

    def forward(parameters: Values, feeds: Values) -> Any:
        return network.build(functions, parameters, feeds)

    called = torch.compile(forward, mode=mode) if mode else forward
    begin = torch.compiler.cudagraph_mark_step_begin if mode else lambda: None
    step = _step(problem, torch, called, begin, (parameters, feeds))
    clock = wall_clock() if place.type == "cpu" else torch_clock(torch)
    return DeviceRun(step, lambda y: np.array(y.cpu().numpy()), clock)


def _step(problem: Problem, torch: Any, forward: Any, begin: Any, arguments: Any) -> Any:
    parameters, feeds = arguments
    if problem.rule is None:

        def infer() -> Any:
            begin()
            with torch.no_grad():
                return forward(parameters, feeds)

        return infer

    chosen = torch.optim.SGD if isinstance(problem.rule, SGD) else torch.optim.Adam
    optimizer = chosen(_trained(parameters), lr=problem.rule.rate, fused=True)

    def train() -> Any:
        begin()
        optimizer.zero_grad(set_to_none=True)
        loss = forward(parameters, feeds)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return train


def _trained(parameters: Values) -> list[Any]:
    """Return the leaves that have gradients, those of modules too."""
    leaves: list[Any] = []
    for value in parameters.values():
        leaves += value.parameters() if hasattr(value, "parameters") else [value]
    return [leaf for leaf in leaves if leaf.requires_grad]


class TorchFunctions:
    """The functions of PyTorch; see `problem.Functions`."""

    def __init__(self, torch: Any) -> None:
        """Take the functions that need no change.

        Args:
            torch: The module.
        """
        functional = torch.nn.functional
        self._torch = torch
        self._functional = functional
        self.exp = torch.exp
        self.tanh = torch.tanh
        self.relu = torch.relu
        self.sigmoid = torch.sigmoid
        self.cross_entropy = functional.cross_entropy
        self.squared_error = functional.mse_loss

    def leaves(self, arrays: Arrays, place: Any) -> dict[str, Any]:
        """Return parameters; those of an LSTM lie in a module of its own."""
        torch = self._torch
        if "Wh" not in arrays:
            # Graphs of compiled functions read parameters in place; plain tensors they would copy.
            leaf = torch.nn.Parameter
            return {name: leaf(torch.from_numpy(a).to(place)) for name, a in arrays.items()}
        behind = {name: arrays[name] for name in ("W", "c")}
        return {"lstm": self._lstm(arrays).to(place), **self.leaves(behind, place)}

    def _lstm(self, arrays: Arrays) -> Any:
        """Return its layer: gates in another order, in rows, and with a second bias, left at 0."""
        torch = self._torch
        lstm = torch.nn.LSTM(arrays["Wx"].shape[0], arrays["Wh"].shape[0])

        def rows(name: str) -> Any:
            forget, write, read, written = np.split(arrays[name], 4, axis=-1)
            gates = np.concatenate([write, forget, written, read], axis=-1)
            return torch.from_numpy(gates.T.copy())

        with torch.no_grad():
            lstm.weight_ih_l0.copy_(rows("Wx"))
            lstm.weight_hh_l0.copy_(rows("Wh"))
            lstm.bias_ih_l0.copy_(rows("b"))
            lstm.bias_hh_l0.zero_()
        lstm.bias_hh_l0.requires_grad_(False)
        return lstm

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return `x @ weight + bias`."""
        return self._torch.addmm(bias, x, weight)

    def conv2d(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return images convolved with filters of 3 x 3."""
        return self._functional.conv2d(x, weight, bias, padding=1)

    def max_pool2d(self, x: Any) -> Any:
        """Return the largest element of each window of 2 x 2."""
        return self._functional.max_pool2d(x, 2)

    def flatten(self, x: Any) -> Any:
        """Return images as rows."""
        return x.flatten(1)

    def softmax(self, x: Any) -> Any:
        """Return the probabilities of the columns in each row."""
        return self._functional.softmax(x, dim=1)

    def layer_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        """Return rows with mean 0 and variance 1, scaled and moved."""
        return self._functional.layer_norm(x, gamma.shape, gamma, beta, 1e-5)

    def lstm_error(self, x: Any, t: Any, parameters: Values) -> Any:
        """Return the sum over the steps of the mean squared error, by PyTorch's own LSTM."""
        hidden, _ = parameters["lstm"](x)
        y = hidden @ parameters["W"] + parameters["c"]
        return (y - t).square().mean(dim=(1, 2)).sum()
