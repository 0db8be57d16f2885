"""Learning-rate schedules: closed forms, and steps that count."""

import math

import numpy as np
import pytest

import symgraph as sg
from symgraph.optim import SGD, Adam, Constant, Cosine, Exponential, Piecewise, Step, WarmUp

HERE = r"(?s:.*)test_schedules\.py:\d+"
COUNTS = np.arange(30)


def _cosine(t, rate=0.5, steps=20, last=0.1):
    return last + (rate - last) * (1 + math.cos(math.pi * min(t, steps) / steps)) / 2


SCHEDULES = {
    "constant": (Constant(0.3), lambda t: 0.3),
    "step": (Step(0.8, 7, 0.5), lambda t: 0.8 * 0.5 ** (t // 7)),
    "tenths": (Step(1.0, 10), lambda t: 10.0 ** -(t // 10)),
    "piecewise": (
        Piecewise([3, 11], [0.5, 0.2, 0.0]),
        lambda t: 0.5 if t < 3 else 0.2 if t < 11 else 0.0,
    ),
    "one-piece": (Piecewise([], [0.5]), lambda t: 0.5),
    "exponential": (Exponential(0.5, 0.9), lambda t: 0.5 * 0.9**t),
    "slow-exponential": (Exponential(0.5, 0.1, every=10), lambda t: 0.5 * 0.1 ** (t / 10)),
    "cosine": (Cosine(0.5, 20, last=0.1), _cosine),
    "warm-up": (WarmUp(0.5, 4), lambda t: 0.5 * min(t + 1, 4) / 4),
    "warm-up-to-cosine": (
        WarmUp(Cosine(0.5, 20, last=0.1), 5),
        lambda t: 0.5 * (t + 1) / 5 if t < 5 else _cosine(t - 5),
    ),
    "warm-up-to-function": (
        WarmUp(lambda step: 1.0 / (1.0 + step), 2),
        lambda t: (0.5, 1.0)[t] if t < 2 else 1 / (t - 1),
    ),
    "warm-up-twice": (WarmUp(WarmUp(1.0, 2), 2), lambda t: (0.25, 0.5, 0.5, 1.0)[min(t, 3)]),
}


@pytest.mark.inventory("G.schedules")
@pytest.mark.parametrize("name", SCHEDULES)
def test_closed_forms(name):
    schedule, rate = SCHEDULES[name]
    node = schedule(COUNTS)
    assert node.dtype == "float64"
    np.testing.assert_allclose(sg.compile(node)(), [rate(t) for t in range(30)], rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["piecewise", "warm-up-to-cosine"])
def test_each_update_has_the_rate_of_its_number(name, dtype):
    schedule, rate = SCHEDULES[name]
    w = sg.Parameter(np.zeros((), dtype), "w")
    optimizer = SGD(schedule)
    step = sg.compile(optimizer.learning_rate, updates=optimizer.updates_from([-1.0], [w]))
    total = 0.0
    for t in range(15):
        before = w.value
        assert step() == pytest.approx(rate(t), rel=1e-14)
        total += rate(t)
        assert w.value == pytest.approx(total, rel=1e-14 if dtype == "float64" else 1e-6)
        assert w.value >= before
    assert optimizer.states()["sgd/step"].value == 15
    assert step.compile_count == 1


def test_the_count_is_a_state_that_may_be_set():
    w = sg.Parameter(0.0, "w")
    optimizer = SGD(Piecewise([100], [1.0, 2.0]))
    step = sg.compile(w, updates=optimizer.updates_from([-1.0], [w]))
    assert list(optimizer.states()) == ["sgd/step"]
    optimizer.states()["sgd/step"].value = 99
    step()
    step()
    assert w.value == 3.0


def test_adam_counts_once_for_its_rule_and_its_schedule():
    w = sg.Parameter(1.0, "w")
    optimizer = Adam(Step(0.1, every=2, factor=0.5))
    step = sg.compile(w, updates=optimizer.updates_from([1.0], [w]))
    values = [1.0]
    for _ in range(6):
        step()
        values.append(float(w.value))
    # Under a constant gradient each step of Adam is as long as its rate.
    np.testing.assert_allclose(-np.diff(values), [0.1, 0.1, 0.05, 0.05, 0.025, 0.025], rtol=1e-6)
    assert optimizer.states()["adam/step"].value == 6


def test_a_function_may_be_a_schedule():
    w = sg.Parameter(0.0, "w")
    optimizer = SGD(lambda step: 1.0 / (1.0 + step))
    step = sg.compile(w, updates=optimizer.updates_from([-1.0], [w]))
    for _ in range(4):
        step()
    assert w.value == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4, rel=1e-15)


def test_two_optimisers_may_share_a_schedule_but_not_a_count():
    a, b = sg.Parameter(0.0, "a"), sg.Parameter(0.0, "b")
    schedule = Piecewise([1], [1.0, 10.0])
    one = sg.compile(a, updates=SGD(schedule).updates_from([-1.0], [a]))
    two = sg.compile(b, updates=SGD(schedule).updates_from([-1.0], [b]))
    one()
    one()
    two()
    assert (a.value, b.value) == (11.0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1), "the learning rate is a finite number, at least 0"),
        (lambda: Step(0.1, 0), "every is a positive int, not 0"),
        (lambda: Step(0.1, 10, -0.5), "factor is a finite number, at least 0"),
        (lambda: Step("fast", 10), "the learning rate is a finite number"),
        (lambda: Piecewise([10], [0.1]), "1 boundaries part 2 rates, not 1"),
        (lambda: Piecewise([10, 10], [1, 2, 3]), r"boundaries ascend, which \(10, 10\) do not"),
        (lambda: Piecewise([0], [1, 2]), "a boundary is a positive int, not 0"),
        (lambda: Piecewise([5], [1, np.nan]), "the learning rate is a finite number"),
        (lambda: Exponential(0.1, 0.5, 2.5), "every is a positive int, not 2.5"),
        (lambda: Exponential(0.1, np.inf), "factor is a finite number"),
        (lambda: Cosine(0.1, True), "steps is a positive int, not True"),
        (lambda: Cosine(0.1, 10, -0.1), "last is a finite number, at least 0"),
        (lambda: WarmUp("slowly", 10), "the learning rate is a finite number"),
        (lambda: WarmUp(0.1, 0), "steps is a positive int, not 0"),
    ],
)
def test_schedules_refuse_what_they_cannot_use(make, message):
    with pytest.raises(sg.GraphError, match=f"{message}{HERE}"):
        make()
