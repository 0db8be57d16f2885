"""Optimisers: values, state, learning rates, and what the compiled step does with them."""

import numpy as np
import pytest

import symgraph as sg

# Three updates of w^2 from w = 1, rate 0.1: from DeZero's optimisers, and their formulas by hand.
AFTER_EACH_UPDATE = {
    "sgd": (sg.optim.SGD, (0.8, 0.64, 0.512)),
    "momentum": (sg.optim.Momentum, (0.8, 0.46, 0.062)),
    "adam": (sg.optim.Adam, (0.900000015811, 0.800412255099, 0.701586308562)),
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


@pytest.mark.parametrize("mode", ["native", "reference"])
@pytest.mark.parametrize("rule", AFTER_EACH_UPDATE)
def test_three_updates_of_a_square(rule, mode):
    make, expected = AFTER_EACH_UPDATE[rule]
    w, loss = _square()
    step = sg.compile(loss, updates=make(0.1).updates(loss, [w]), mode=mode)
    # The published figures end after twelve decimals.
    np.testing.assert_allclose(_values(step, w, 3), expected, rtol=1e-10, atol=6e-13)


@pytest.mark.parametrize("rule", AFTER_EACH_UPDATE)
def test_float32_stays_float32_and_follows_float64(rule):
    make, expected = AFTER_EACH_UPDATE[rule]
    optimiser = make(0.1)
    w, loss = _square(np.float32(1.0))
    updates = optimiser.updates(loss, [w])
    new = updates[w]
    assert new.dtype == "float32"
    step = sg.compile(loss, updates=updates)
    np.testing.assert_allclose(_values(step, w, 3), expected, rtol=1e-5)
    kinds = {name: parameter.dtype for name, parameter in optimiser.state.items()}
    kinds.pop("adam/step", None)
    assert set(kinds.values()) <= {"float32"}


def test_the_defaults_are_those_of_the_books():
    assert sg.optim.SGD().lr == sg.optim.Momentum().lr == 0.01
    assert sg.optim.Momentum().momentum == 0.9
    adam = sg.optim.Adam()
    assert (adam.lr, adam.beta1, adam.beta2, adam.eps) == (1e-3, 0.9, 0.999, 1e-8)


def test_adam_starts_with_a_full_step_however_small_the_gradient():
    w = sg.Parameter(np.array([1.0, 1.0, 1.0]), "w")
    loss = (w * np.array([1e-4, 1.0, 1e4])).sum()
    sg.compile(loss, updates=sg.optim.Adam(0.1).updates(loss, [w]))()
    np.testing.assert_allclose(w.value, 0.9, rtol=1e-3)


def test_adam_leaves_what_has_no_gradient():
    w = sg.Parameter(np.array([1.0, 2.0]), "w")
    loss = w[0] ** 2
    sg.compile(loss, updates=sg.optim.Adam(0.1).updates(loss, [w]))()
    assert w.value[1] == 2.0


# State.


def test_state_has_names_that_follow_the_parameters():
    model = sg.models.MLP((3, 1), in_size=2, seed=0)
    x = sg.Placeholder("x", shape=("N", 2), dtype="float32")
    loss = model(x).sum()
    momentum, adam = sg.optim.Momentum(), sg.optim.Adam(name="second")
    momentum.updates(loss, model.params())
    adam.updates(loss, model.params()[:1])
    assert list(momentum.state) == [
        f"momentum/l{i}/{kind}/velocity" for i in (0, 1) for kind in "Wb"
    ]
    assert list(adam.state) == ["second/step", "second/l0/W/mean", "second/l0/W/square"]
    assert sg.optim.SGD().state == {}


def test_state_of_parameters_without_a_name_or_with_the_same_one():
    params = [sg.Parameter(1.0), sg.Parameter(1.0, "w"), sg.Parameter(1.0, "w"), sg.Parameter(1.0)]
    loss = params[0] * params[1] * params[2] * params[3]
    optimiser = sg.optim.Momentum()
    optimiser.updates(loss, params)
    assert [name.split("/")[1] for name in optimiser.state] == ["p0", "w", "w.2", "p3"]


@pytest.mark.parametrize("make", [sg.optim.Momentum, sg.optim.Adam])
def test_updates_called_twice_uses_the_same_state(make):
    w, loss = _square()
    optimiser = make(0.1)
    first = optimiser.updates(loss, [w])
    state = dict(optimiser.state)
    second = optimiser.updates(3.0 * loss, [w])
    assert set(first) == set(second)
    assert all(optimiser.state[name] is parameter for name, parameter in state.items())
    one, two = sg.compile(loss, updates=first), sg.compile(loss, updates=second)
    one()
    two()
    if make is sg.optim.Adam:
        assert optimiser.state["adam/step"].value == 2
    else:
        assert optimiser.state["momentum/w/velocity"].value == pytest.approx(-0.18 - 0.1 * 6 * 0.8)


def test_two_optimisers_of_one_parameter_have_state_of_their_own():
    w, loss = _square()
    one, two = sg.optim.Momentum(), sg.optim.Momentum()
    one.updates(loss, [w])
    two.updates(loss, [w])
    assert one.state["momentum/w/velocity"] is not two.state["momentum/w/velocity"]


def test_a_second_optimiser_trains_another_part_in_the_same_step():
    a, b = sg.Parameter(1.0, "a"), sg.Parameter(1.0, "b")
    loss = a * a + b * b
    updates = sg.optim.SGD(0.1).updates(loss, [a]) | sg.optim.Adam(0.1).updates(loss, [b])
    sg.compile(loss, updates=updates)()
    assert (a.value, b.value) == (pytest.approx(0.8), pytest.approx(0.9, abs=1e-7))


# Learning rates.


@pytest.mark.parametrize("rule", AFTER_EACH_UPDATE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rate_may_be_fed_at_each_call(rule, dtype):
    make, expected = AFTER_EACH_UPDATE[rule]
    lr = sg.Placeholder("lr", shape=(), dtype="float64")
    w, loss = _square(np.ones((), dtype))
    step = sg.compile(loss, updates=make(lr).updates(loss, [w]))
    for value in expected:
        step(lr=0.1)
        assert w.value == pytest.approx(value, rel=1e-10 if dtype == "float64" else 1e-5)
    before = w.value
    step(lr=0.0)
    if rule == "momentum":
        assert w.value != before
    else:
        assert w.value == before
    assert step.compile_count == 1


def test_the_rate_may_be_a_placeholder_of_open_type():
    lr = sg.Placeholder("lr")
    w, loss = _square(np.float32(1.0))
    step = sg.compile(loss, updates=sg.optim.SGD(lr).updates(loss, [w]))
    step(lr=np.array(0.1))
    assert w.value == np.float32(0.8)


def test_the_rate_may_be_a_parameter_that_is_set_between_calls():
    rate = sg.Parameter(0.1, "rate")
    w, loss = _square(np.float32(1.0))
    step = sg.compile(loss, updates=sg.optim.SGD(rate).updates(loss, [w]))
    step()
    rate.value = 0.25
    step()
    assert w.value == pytest.approx(0.8 * 0.5)
    assert step.compile_count == 1


def test_the_rate_may_be_computed_and_updated_in_the_step():
    rate = sg.Parameter(0.1, "rate")
    w, loss = _square()
    updates = sg.optim.SGD(rate).updates(loss, [w]) | {rate: rate * 0.5}
    step = sg.compile(loss, updates=updates)
    np.testing.assert_allclose(_values(step, w, 2), [0.8, 0.8 * (1 - 0.1)])


@pytest.mark.parametrize("lr", [np.float64(0.1), np.float32(0.1), 1])
def test_a_number_of_numpy_does_not_change_the_dtype(lr):
    w, loss = _square(np.float32(1.0))
    sg.compile(loss, updates=sg.optim.SGD(lr).updates(loss, [w]))()
    assert w.value == pytest.approx(1 - 2 * float(lr))


# Gradients from elsewhere.


def test_gradients_may_be_changed_on_the_way():
    w, loss = _square(np.array([3.0, 4.0]))
    gradient = sg.grad((loss / 2).sum(), w)
    norm = sg.sqrt((gradient**2).sum())
    clipped = gradient * sg.minimum(1.0, 1.0 / norm)
    step = sg.compile(norm, updates=sg.optim.SGD(0.1).updates_from([clipped], [w]))
    step()
    np.testing.assert_allclose(w.value, [2.94, 3.92])


def test_a_shared_parameter_gets_the_sum_of_its_gradients():
    w = sg.Parameter(np.array([1.0, 2.0]), "w")
    loss = (w * w).sum() + (3.0 * w).sum()
    sg.compile(loss, updates=sg.optim.SGD(0.1).updates(loss, [w]))()
    np.testing.assert_allclose(w.value, [1 - 0.5, 2 - 0.7])


# The compiled step.


def _mlp_step(optimiser):
    x = sg.Placeholder("x", shape=("N", 16), dtype="float32")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    model = sg.models.MLP((12, 7, 5), sg.tanh, in_size=16, seed=0)
    loss = sg.nn.softmax_cross_entropy(model(x), t)
    gradients = sg.compile([loss, *sg.grad(loss, model.params())])
    return sg.compile(loss, updates=optimiser.updates(loss, model.params())), gradients


def _rows(function):
    """Return the labels of the kernel calls before the commit and after it."""
    rows = function._compiled().plan.instructions
    names = [row.opcode.name for row in rows]
    cut = names.index("COMMIT") if "COMMIT" in names else len(rows)
    return [
        [row.label for row in part if row.opcode.name == "CALL"]
        for part in (rows[:cut], rows[cut:])
    ]


@pytest.mark.parametrize("make", [sg.optim.SGD, sg.optim.Momentum, sg.optim.Adam])
def test_each_parameter_is_updated_in_place_by_one_region(make):
    step, _ = _mlp_step(make())
    _, late = _rows(step)
    # Six parameters; state is written by the region of its parameter. Adam's counter stands alone.
    assert len(late) == 6 + (make is sg.optim.Adam)
    assert all(label.split()[-1] == "region" for label in late)


@pytest.mark.parametrize("make", [sg.optim.SGD, sg.optim.Momentum, sg.optim.Adam])
def test_updates_cost_nothing_before_the_commit(make):
    step, gradients = _mlp_step(make())
    products = [label for label in _rows(gradients)[0] if label == "batch_matmul"]
    early = _rows(step)[0]
    assert [label for label in early if label == "batch_matmul"] == products
    assert len(early) <= len(_rows(gradients)[0]) + (make is sg.optim.Adam)


@pytest.mark.parametrize("make", [sg.optim.SGD, sg.optim.Momentum, sg.optim.Adam])
def test_native_and_reference_train_alike(make):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((20, 6)).astype("float32"), rng.integers(0, 3, 20)
    losses = {}
    for mode in ("native", "reference"):
        x_node = sg.Placeholder("x", shape=("N", 6), dtype="float32")
        t_node = sg.Placeholder("t", shape=("N",), dtype="int64")
        model = sg.models.MLP((5, 3), seed=1)
        loss = sg.nn.softmax_cross_entropy(model(x_node), t_node)
        step = sg.compile(loss, updates=make(0.05).updates(loss, model.params()), mode=mode)
        losses[mode] = [float(step(x=x, t=t)) for _ in range(20)]
    np.testing.assert_allclose(losses["native"], losses["reference"], rtol=1e-5)


def test_a_failing_step_changes_neither_parameters_nor_state():
    x = sg.Placeholder("x", shape=("N", 4), dtype="float32")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    model = sg.models.MLP((3,), in_size=4, seed=0)
    loss = sg.nn.softmax_cross_entropy(model(x), t)
    optimiser = sg.optim.Adam()
    step = sg.compile(loss, updates=optimiser.updates(loss, model.params()))
    held = [*model.params(), *optimiser.state.values()]
    before = [parameter.value for parameter in held]
    with pytest.raises(sg.BoundsError, match="no parameter was changed"):
        step(x=np.ones((2, 4), "float32"), t=np.array([0, 3]))
    for parameter, value in zip(held, before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)


# Bad input.


@pytest.mark.parametrize("lr", [-0.1, np.nan, np.inf, True, "fast", None, [0.1]])
def test_a_rate_that_is_none_is_refused(lr):
    with pytest.raises(
        sg.GraphError, match=r"the learning rate is a finite number.*\n.*test_optim"
    ):
        sg.optim.SGD(lr)


def test_a_rate_with_axes_is_refused():
    with pytest.raises(sg.ShapeError, match=r"one number, not 'lr' \(float32\[3\]"):
        sg.optim.SGD(sg.Placeholder("lr", shape=(3,), dtype="float32"))


def test_a_rate_of_bools_is_refused():
    with pytest.raises(sg.DTypeError, match="the learning rate is a number, not 'lr'"):
        sg.optim.SGD(sg.Placeholder("lr", shape=(), dtype="bool"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sg.optim.Momentum(0.1, 1.0), "momentum is a number below 1, at least 0, not 1.0"),
        (lambda: sg.optim.Adam(0.1, beta1=-0.5), "beta1 is a number below 1"),
        (lambda: sg.optim.Adam(0.1, beta2=2), "beta2 is a number below 1"),
        (lambda: sg.optim.Adam(0.1, eps=-1e-8), "eps is a finite number, at least 0"),
    ],
)
def test_a_number_out_of_range_is_refused(make, message):
    with pytest.raises(sg.GraphError, match=message):
        make()


def test_parameters_that_are_none_are_refused():
    w, loss = _square()
    x = sg.Placeholder("x", shape=(), dtype="float64")
    whole = sg.Parameter(np.array([1, 2]), "whole")
    optimiser = sg.optim.SGD()
    with pytest.raises(sg.GraphError, match="there are no parameters to train"):
        optimiser.updates(loss, [])
    with pytest.raises(sg.GraphError, match=r"not the single 'w'.*\n.*test_optim"):
        optimiser.updates(loss, w)
    with pytest.raises(sg.GraphError, match="only parameters are trained, not <placeholder 'x'"):
        optimiser.updates(loss, [x])
    with pytest.raises(sg.GraphError, match=r"'w' .* is given twice"):
        optimiser.updates(loss, [w, w])
    with pytest.raises(sg.DTypeError, match="only floats are trained, not 'whole'"):
        optimiser.updates(loss, [whole])


def test_a_parameter_that_the_loss_does_not_use_is_named():
    w, loss = _square()
    other = sg.Parameter(1.0, "other")
    with pytest.raises(sg.GradientError, match="'other'"):
        sg.optim.SGD().updates(loss, [w, other])


def test_gradients_that_do_not_fit_are_refused():
    w, loss = _square(np.ones(3))
    optimiser = sg.optim.SGD()
    gradient = sg.grad(loss.sum(), w)
    with pytest.raises(sg.GraphError, match="2 gradients were given for 1 parameters"):
        optimiser.updates_from([gradient, gradient], [w])
    with pytest.raises(sg.ShapeError, match=r"the gradient of 'w' .* has another shape"):
        optimiser.updates_from([gradient.sum()], [w])
