"""The same gradients move parameters as they do in PyTorch, where the rules are the same."""

import numpy as np
import pytest

import symgraph as sg

torch = pytest.importorskip("torch")

ours, theirs = sg.optim, torch.optim
# PyTorch adds Adam's eps to the corrected root, we to the uncorrected one: none is the same.
PAIRS = {
    "sgd": (lambda: ours.SGD(0.1), lambda p: theirs.SGD(p, lr=0.1)),
    "decay": (
        lambda: ours.SGD(0.1, hooks=[ours.WeightDecay(0.3)]),
        lambda p: theirs.SGD(p, lr=0.1, weight_decay=0.3),
    ),
    "momentum": (lambda: ours.Momentum(0.1), lambda p: theirs.SGD(p, lr=0.1, momentum=0.9)),
    "nesterov": (
        lambda: ours.Nesterov(0.1, 0.8),
        lambda p: theirs.SGD(p, lr=0.1, momentum=0.8, nesterov=True),
    ),
    "adagrad": (lambda: ours.AdaGrad(0.1), lambda p: theirs.Adagrad(p, lr=0.1, eps=1e-8)),
    "adadelta": (
        lambda: ours.AdaDelta(0.7),
        lambda p: theirs.Adadelta(p, lr=0.7, rho=0.95, eps=1e-6),
    ),
    "rmsprop": (
        lambda: ours.RMSProp(0.1),
        lambda p: theirs.RMSprop(p, lr=0.1, alpha=0.9, eps=1e-7),
    ),
    "adam": (lambda: ours.Adam(0.1, eps=0.0), lambda p: theirs.Adam(p, lr=0.1, eps=0.0)),
    "adamw": (
        lambda: ours.AdamW(0.1, eps=0.0, weight_decay=0.2),
        lambda p: theirs.AdamW(p, lr=0.1, eps=0.0, weight_decay=0.2),
    ),
}
SCHEDULES = {
    "step": (ours.Step(0.1, 3, 0.5), lambda o: theirs.lr_scheduler.StepLR(o, 3, 0.5)),
    "piecewise": (
        ours.Piecewise([2, 5], [0.1, 0.01, 0.001]),
        lambda o: theirs.lr_scheduler.MultiStepLR(o, [2, 5], 0.1),
    ),
    "exponential": (
        ours.Exponential(0.1, 0.9),
        lambda o: theirs.lr_scheduler.ExponentialLR(o, 0.9),
    ),
    "cosine": (
        ours.Cosine(0.1, 20, last=0.02),
        lambda o: theirs.lr_scheduler.CosineAnnealingLR(o, 20, 0.02),
    ),
    "warm-up": (
        ours.WarmUp(0.1, 4),
        lambda o: theirs.lr_scheduler.LinearLR(o, start_factor=0.25, total_iters=3),
    ),
}
SHAPES = [(5, 3), (3,)]
UPDATES = 8


def _start(dtype):
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    gradients = [[rng.standard_normal(s).astype(dtype) for s in SHAPES] for _ in range(UPDATES)]
    return weights, gradients


def _ours(optimizer, weights, gradients):
    parameters = [sg.Parameter(value, f"w{i}") for i, value in enumerate(weights)]
    feeds = [sg.Placeholder(f"g{i}", w.shape, w.dtype) for i, w in enumerate(parameters)]
    step = sg.compile([], updates=optimizer.updates_from(feeds, parameters), inputs=feeds)
    for entry in gradients:
        step(*entry)
    return [parameter.value for parameter in parameters]


def _theirs(make, weights, gradients, max_norm=None, schedule=None):
    parameters = [torch.from_numpy(value.copy()).requires_grad_() for value in weights]
    optimizer = make(parameters)
    rates = schedule(optimizer) if schedule else None
    for entry in gradients:
        for parameter, gradient in zip(parameters, entry, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        if max_norm:
            torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        optimizer.step()
        if rates:
            rates.step()
    return [parameter.detach().numpy() for parameter in parameters]


def _compare(found, expected, dtype):
    rtol, atol = (1e-12, 1e-13) if dtype == "float64" else (1e-5, 1e-6)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", PAIRS)
def test_updates_are_those_of_torch(rule, dtype):
    make, make_theirs = PAIRS[rule]
    weights, gradients = _start(dtype)
    expected = _theirs(make_theirs, weights, gradients)
    _compare(_ours(make(), weights, gradients), expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [0.5, 4.0, 100.0])
def test_clipping_is_that_of_torch(max_norm, dtype):
    weights, gradients = _start(dtype)
    found = _ours(ours.Momentum(0.1, hooks=[ours.ClipGrad(max_norm)]), weights, gradients)
    expected = _theirs(PAIRS["momentum"][1], weights, gradients, max_norm=max_norm)
    _compare(found, expected, dtype)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules_are_those_of_torch(kind):
    schedule, make_theirs = SCHEDULES[kind]
    weights, gradients = _start("float64")
    expected = _theirs(PAIRS["sgd"][1], weights, gradients, schedule=make_theirs)
    _compare(_ours(ours.SGD(schedule), weights, gradients), expected, "float64")
