"""The same network trained in PyTorch from the same weights gives the same losses."""

import numpy as np
import pytest

import symgraph as sg

torch = pytest.importorskip("torch")

STEPS, RTOL = 20, 1e-5
# PyTorch adds Adam's eps to the corrected root, we to the uncorrected one: a tiny one is the same.
OPTIMISERS = {
    "sgd": (lambda: sg.optim.SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (
        lambda: sg.optim.Momentum(0.05, 0.9),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    ),
    "adam": (
        lambda: sg.optim.Adam(2e-3, eps=1e-12),
        lambda p: torch.optim.Adam(p, lr=2e-3, eps=1e-12),
    ),
}
ACTIVATIONS = {
    "relu": (sg.relu, torch.relu),
    "sigmoid": (sg.sigmoid, torch.sigmoid),
    "tanh": (sg.tanh, torch.tanh),
}


def _batches(rng):
    """Return inputs and labels of each step; every fifth batch is short."""
    for number in range(STEPS):
        rows = 5 if number % 5 == 4 else 32
        yield rng.standard_normal((rows, 20)).astype("float32"), rng.integers(0, 4, rows)


def _losses_of_torch(weights, make, activation, batches):
    params = [torch.from_numpy(value).requires_grad_() for value in weights]
    optimiser, losses = make(params), []
    for x, t in batches:
        y = torch.from_numpy(x)
        for layer in range(3):
            y = torch.addmm(params[2 * layer + 1], y, params[2 * layer])
            y = activation(y) if layer < 2 else y
        loss = torch.nn.functional.cross_entropy(y, torch.from_numpy(t))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses, [param.detach().numpy() for param in params]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rule", OPTIMISERS)
def test_losses_and_weights_are_those_of_torch(rule, activation):
    ours, theirs = OPTIMISERS[rule]
    own_activation, other_activation = ACTIVATIONS[activation]
    x = sg.Placeholder("x", shape=("N", 20), dtype="float32")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    model = sg.models.MLP((24, 12, 4), own_activation, in_size=20, seed=0)
    loss = sg.nn.softmax_cross_entropy(model(x), t)
    weights = [parameter.value for parameter in model.parameters()]
    step = sg.compile(loss, updates=ours().updates(loss, model.parameters()))
    batches = list(_batches(np.random.default_rng(1)))
    losses = [float(step(x=a, t=b)) for a, b in batches]
    expected, final = _losses_of_torch(weights, theirs, other_activation, batches)
    np.testing.assert_allclose(losses, expected, rtol=RTOL)
    for parameter, value in zip(model.parameters(), final, strict=True):
        np.testing.assert_allclose(parameter.value, value, rtol=1e-3, atol=2e-6)
    assert step.compile_count == 1
