"""What an optimiser keeps between updates: names, checkpoints, learning rates."""

import numpy as np
import pytest

import symgraph as sg

STATE_OF_W = {
    "SGD": [],
    "Momentum": ["velocity/w"],
    "Nesterov": ["velocity/w"],
    "AdaGrad": ["squares/w"],
    "AdaDelta": ["squares/w", "changes/w"],
    "RMSProp": ["squares/w"],
    "Adam": ["step", "m/w", "v/w"],
    "AdamW": ["step", "m/w", "v/w"],
}


def _square(value=1.0, name="w"):
    w = sg.Parameter(value, name)
    return w, w * w


def _values(step, parameter, count):
    values = []
    for _ in range(count):
        step()
        values.append(float(parameter.value))
    return values


# Names.


@pytest.mark.parametrize("rule", STATE_OF_W)
def test_states_are_named_by_optimiser_kind_and_parameter(rule):
    w, loss = _square()
    optimizer = getattr(sg.optim, rule)()
    prefix = rule.lower()
    assert next(iter(optimizer.states())) == f"{prefix}/learning_rate"
    optimizer.updates(loss, [w])
    names = [f"{prefix}/{name}" for name in ("learning_rate", *STATE_OF_W[rule])]
    assert list(optimizer.states()) == names
    assert all(name == state.name for name, state in optimizer.states().items())
    assert all(isinstance(state, sg.State) for state in optimizer.states().values())


def test_state_has_names_that_follow_the_parameters():
    model = sg.models.MLP((3, 1), in_size=2, seed=0)
    x = sg.Placeholder("x", shape=("N", 2), dtype="float32")
    loss = model(x).sum()
    momentum, adam = sg.optim.Momentum(), sg.optim.Adam(name="second")
    momentum.updates(loss, model.parameters())
    adam.updates(loss, model.parameters()[:1])
    assert list(momentum.states()) == [
        "momentum/learning_rate",
        *[f"momentum/velocity/l{i}/{kind}" for i in (0, 1) for kind in "Wb"],
    ]
    assert list(adam.states()) == [
        f"second/{name}" for name in ("learning_rate", "step", "m/l0/W", "v/l0/W")
    ]


def test_parameters_without_a_name_or_with_the_same_one_have_states_of_their_own():
    names = [None, "w", "w", None, "w.5", "w"]
    parameters = [sg.Parameter(1.0, name) for name in names]
    loss = sum(p * p for p in parameters)
    optimizer = sg.optim.Momentum()
    updates = optimizer.updates(loss, parameters)
    labels = [name.split("/", 2)[2] for name in optimizer.states() if "velocity" in name]
    assert labels == ["p0", "w", "w.2", "p3", "w.5", "w.6"]
    assert len(updates) == 12
    sg.compile(loss, updates=updates)()
    assert {float(p.value) for p in parameters} == {0.98}


def test_states_take_memory_when_they_are_used():
    w = sg.Parameter.deferred((1 << 40,), "float32", lambda: pytest.fail("too much"), "w")
    optimizer = sg.optim.Adam()
    optimizer.updates_from([sg.zeros((1 << 40,), "float32")], [w])
    assert optimizer.states()["adam/m/w"].shape == (1 << 40,)


# One optimiser for several functions.


@pytest.mark.parametrize("make", [sg.optim.Momentum, sg.optim.Adam])
def test_updates_called_twice_uses_the_same_state(make):
    w, loss = _square()
    optimizer = make(0.1)
    first = optimizer.updates(loss, [w])
    states = optimizer.states()
    second = optimizer.updates(3.0 * loss, [w])
    assert set(first) == set(second)
    assert all(optimizer.states()[name] is state for name, state in states.items())
    one, two = sg.compile(loss, updates=first), sg.compile(loss, updates=second)
    one()
    two()
    if make is sg.optim.Adam:
        assert optimizer.states()["adam/step"].value == 2
    else:
        found = optimizer.states()["momentum/velocity/w"].value
        assert found == pytest.approx(-0.18 - 0.1 * 6 * 0.8)


def test_two_optimisers_of_one_parameter_have_state_of_their_own():
    w, loss = _square()
    one, two = sg.optim.Momentum(), sg.optim.Momentum()
    one.updates(loss, [w])
    two.updates(loss, [w])
    assert one.states()["momentum/velocity/w"] is not two.states()["momentum/velocity/w"]


# Checkpoints.


def _training(rule):
    """Build a program anew, as another process would."""
    x = sg.Placeholder("x", ("N", 5), "float32")
    model = sg.models.MLP((4, 1), sg.tanh, in_size=5, seed=0)
    loss = sg.nn.mean_squared_error(model(x), 1.0)
    rate = sg.optim.WarmUp(sg.optim.Cosine(0.05, 20), 4)
    optimizer = getattr(sg.optim, rule)(rate, hooks=[sg.optim.ClipGrad(0.5)])
    step = sg.compile(loss, updates=optimizer.updates(loss, model.parameters()))
    return step, {**model.named_parameters(), **optimizer.states()}


@pytest.mark.parametrize("rule", STATE_OF_W)
def test_training_goes_on_bit_for_bit_after_loading(rule):
    batches = np.random.default_rng(1).standard_normal((10, 8, 5)).astype("float32")
    step, held = _training(rule)
    losses = [step(x=batch).tobytes() for batch in batches]
    first, early = _training(rule)
    assert [first(x=batch).tobytes() for batch in batches[:5]] == losses[:5]
    saved = {name: leaf.value for name, leaf in early.items()}
    second, late = _training(rule)
    assert list(late) == list(saved) == list(held)
    for name, leaf in late.items():
        leaf.value = saved[name]
    assert [second(x=batch).tobytes() for batch in batches[5:]] == losses[5:]
    for name, leaf in late.items():
        assert leaf.value.tobytes() == held[name].value.tobytes()


# Learning rates.

RULES = {
    "sgd": (sg.optim.SGD, (0.8, 0.64, 0.512)),
    "momentum": (sg.optim.Momentum, (0.8, 0.46, 0.062)),
    "adam": (sg.optim.Adam, (0.900000015811, 0.800412255099, 0.701586308562)),
}


@pytest.mark.inventory("G.schedules")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rate_may_be_fed_at_each_call(rule, dtype):
    make, expected = RULES[rule]
    rate = sg.Placeholder("rate", shape=(), dtype="float64")
    w, loss = _square(np.ones((), dtype))
    optimizer = make(rate)
    step = sg.compile(loss, updates=optimizer.updates(loss, [w]))
    for value in expected:
        step(rate=0.1)
        assert w.value == pytest.approx(value, rel=1e-10 if dtype == "float64" else 1e-5)
    before = w.value
    step(rate=0.0)
    assert (w.value != before) == (rule == "momentum")
    assert step.compile_count == 1
    assert f"{rule}/learning_rate" not in optimizer.states()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_a_number_is_a_state_that_may_be_set_between_calls(rule, dtype):
    make, expected = RULES[rule]
    w, loss = _square(np.ones((), dtype))
    optimizer = make(0.7)
    assert isinstance(optimizer.learning_rate, sg.State)
    step = sg.compile(loss, updates=optimizer.updates(loss, [w]))
    optimizer.learning_rate.value = 0.1
    for value in expected:
        step()
        assert w.value == pytest.approx(value, rel=1e-10 if dtype == "float64" else 1e-5)
    assert optimizer.learning_rate.value == 0.1
    assert step.compile_count == 1


def test_the_rate_may_be_a_placeholder_of_open_type():
    rate = sg.Placeholder("rate")
    w, loss = _square(np.float32(1.0))
    step = sg.compile(loss, updates=sg.optim.SGD(rate).updates(loss, [w]))
    step(rate=np.array(0.1))
    assert w.value == np.float32(0.8)


def test_the_rate_may_be_a_parameter_that_two_optimisers_share():
    rate = sg.Parameter(0.1, "rate")
    (a, of_a), (b, of_b) = _square(np.float32(1.0), "a"), _square(1.0, "b")
    updates = sg.optim.SGD(rate).updates(of_a, [a]) | sg.optim.SGD(rate).updates(of_b, [b])
    step = sg.compile(of_a, updates=updates)
    step()
    rate.value = 0.25
    step()
    assert (a.value, b.value) == (pytest.approx(0.4), pytest.approx(0.4))
    assert step.compile_count == 1


def test_the_rate_may_be_computed_and_updated_in_the_step():
    rate = sg.Parameter(0.1, "rate")
    w, loss = _square()
    updates = sg.optim.SGD(rate).updates(loss, [w]) | {rate: rate * 0.5}
    step = sg.compile(loss, updates=updates)
    np.testing.assert_allclose(_values(step, w, 2), [0.8, 0.8 * (1 - 0.1)])


@pytest.mark.parametrize("rate", [np.float64(0.1), np.float32(0.1), 1])
def test_a_number_of_numpy_does_not_change_the_dtype(rate):
    w, loss = _square(np.float32(1.0))
    sg.compile(loss, updates=sg.optim.SGD(rate).updates(loss, [w]))()
    assert w.value == pytest.approx(1 - 2 * float(rate))
