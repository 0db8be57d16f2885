"""Optimisers: what they refuse, in words, with the user's line, before anything is compiled."""

import numpy as np
import pytest

import symgraph as sg

HERE = r"(?s:.*)test_optim_errors\.py:\d+"


def _square(value=1.0, name="w"):
    w = sg.Parameter(value, name)
    return w, w * w


# Numbers.


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf, True, "fast", None, [0.1], sg.optim.Cosine])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(sg.GraphError, match=rf"the learning rate is a finite number.*\n{HERE}"):
        sg.optim.SGD(rate)


@pytest.mark.parametrize("rate", [-3, np.nan, np.inf])
def test_a_rate_that_is_none_cannot_be_set(rate):
    optimizer = sg.optim.Adam(0.1)
    with pytest.raises(sg.GraphError, match=rf"the learning rate is a finite number.*\n{HERE}"):
        optimizer.learning_rate.value = rate
    assert optimizer.learning_rate.value == 0.1
    optimizer.learning_rate.value = 0


def test_a_rate_with_axes_is_refused():
    with pytest.raises(sg.ShapeError, match=rf"one number, not 'rate' \(float32\[3\]{HERE}"):
        sg.optim.SGD(sg.Placeholder("rate", shape=(3,), dtype="float32"))


def test_a_rate_of_bools_is_refused():
    with pytest.raises(sg.DTypeError, match=rf"the learning rate is a number, not 'rate'{HERE}"):
        sg.optim.SGD(sg.Placeholder("rate", shape=(), dtype="bool"))


def test_a_schedule_that_gives_no_scalar_is_refused():
    with pytest.raises(sg.ShapeError, match=rf"the learning rate is one number{HERE}"):
        sg.optim.SGD(lambda step: step * np.ones(2))


def test_the_rate_of_a_schedule_cannot_be_set():
    optimizer = sg.optim.SGD(sg.optim.Cosine(0.1, 100))
    with pytest.raises(sg.GraphError, match="a node is immutable: 'value'"):
        optimizer.learning_rate.value = 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sg.optim.Momentum(0.1, 1.0), "momentum is a number below 1, at least 0, not 1.0"),
        (lambda: sg.optim.Nesterov(0.1, -1), "momentum is a number below 1"),
        (lambda: sg.optim.AdaGrad(0.1, eps=-1), "eps is a finite number, at least 0"),
        (lambda: sg.optim.AdaDelta(rho=1.5), "rho is a number below 1"),
        (lambda: sg.optim.AdaDelta(eps="a"), "eps is a finite number"),
        (lambda: sg.optim.RMSProp(rho=True), "rho is a number below 1"),
        (lambda: sg.optim.RMSProp(eps=np.nan), "eps is a finite number"),
        (lambda: sg.optim.Adam(0.1, beta1=-0.5), "beta1 is a number below 1"),
        (lambda: sg.optim.Adam(0.1, beta2=2), "beta2 is a number below 1"),
        (lambda: sg.optim.Adam(0.1, eps=-1e-8), "eps is a finite number, at least 0"),
        (lambda: sg.optim.AdamW(weight_decay=-1), "weight_decay is a finite number"),
    ],
)
def test_a_number_out_of_range_is_refused(make, message):
    with pytest.raises(sg.GraphError, match=f"{message}{HERE}"):
        make()


# Parameters.


def test_parameters_that_are_none_are_refused():
    w, loss = _square()
    x = sg.Placeholder("x", shape=(), dtype="float64")
    whole = sg.Parameter(np.array([1, 2]), "whole")
    count = sg.State(1.0, "count")
    optimizer = sg.optim.SGD()
    with pytest.raises(sg.GraphError, match=rf"there are no parameters to train{HERE}"):
        optimizer.updates(loss, [])
    with pytest.raises(sg.GraphError, match=rf"not the single 'w'{HERE}"):
        optimizer.updates(loss, w)
    with pytest.raises(sg.GraphError, match=rf"only parameters are trained, not <plac{HERE}"):
        optimizer.updates(loss, [x])
    with pytest.raises(sg.GraphError, match=rf"'w' .* is given twice{HERE}"):
        optimizer.updates(loss, [w, w])
    with pytest.raises(sg.DTypeError, match=rf"only floats are trained, not 'whole'{HERE}"):
        optimizer.updates(loss, [whole])
    with pytest.raises(sg.GraphError, match=rf"'count' .* is a state, which a step carries{HERE}"):
        optimizer.updates(loss, [w, count])


def test_a_model_in_place_of_its_parameters_is_refused():
    model = sg.models.MLP((2,), in_size=2, seed=0)
    loss = model(np.ones((1, 2), "float32")).sum()
    with pytest.raises(sg.GraphError, match=rf"such as model.parameters\(\), not .*<MLP{HERE}"):
        sg.optim.SGD().updates(loss, model)


def test_a_parameter_that_the_loss_does_not_use_is_named():
    w, loss = _square()
    other = sg.Parameter(1.0, "other")
    with pytest.raises(sg.GradientError, match=rf"'other'{HERE}"):
        sg.optim.SGD().updates(loss, [w, other])


def test_a_loss_that_is_no_float_scalar_is_refused():
    w = sg.Parameter(np.ones(3), "w")
    with pytest.raises(sg.GradientError, match=rf"defined for a scalar{HERE}"):
        sg.optim.SGD().updates(w * w, [w])


def test_a_refused_call_leaves_no_state_behind():
    w, loss = _square()
    optimizer = sg.optim.Adam(hooks=[lambda parameters, gradients: []])
    for parameters, message in (
        ([w, w], "given twice"),
        ([w, sg.Parameter(1.0, "other")], "no derivative flows"),
        ([w], "the hook <lambda> was given 1 gradients"),
    ):
        with pytest.raises(sg.SymGraphError, match=message):
            optimizer.updates(loss, parameters)
    assert list(optimizer.states()) == ["adam/learning_rate"]


# Frozen parameters.


def test_frozen_parameters_stay_and_have_no_state():
    (a, of_a), (b, of_b) = _square(1.0, "a"), _square(1.0, "b")
    b.trainable = False
    optimizer = sg.optim.Momentum(0.1)
    updates = optimizer.updates(of_a + of_b, [a, b])
    assert set(updates) == {a, optimizer.states()["momentum/velocity/a"]}
    sg.compile(of_a, updates=updates)()
    assert (a.value, b.value) == (pytest.approx(0.8), 1.0)
    assert set(optimizer.updates_from([2 * a, 2 * b], [a, b])) == set(updates)


def test_a_frozen_parameter_need_not_be_used():
    w, loss = _square()
    other = sg.Parameter(1.0, "other")
    other.trainable = False
    assert set(sg.optim.SGD().updates(loss, [w, other])) == {w}


def test_nothing_but_frozen_parameters_is_refused():
    w, loss = _square()
    w.trainable = False
    with pytest.raises(sg.GraphError, match=rf"trainable is False for 'w'{HERE}"):
        sg.optim.SGD().updates(loss, [w])


# Gradients.


def test_gradients_that_do_not_fit_are_refused():
    w, loss = _square(np.ones(3))
    optimizer = sg.optim.SGD()
    gradient = sg.grad(loss.sum(), w)
    with pytest.raises(sg.GraphError, match=rf"2 gradients were given for 1 parameters{HERE}"):
        optimizer.updates_from([gradient, gradient], [w])
    with pytest.raises(sg.GraphError, match=rf"gradients is a list such as grad gives{HERE}"):
        optimizer.updates_from(gradient, [w])
    with pytest.raises(sg.ShapeError, match=rf"the gradient of 'w' .* has another shape{HERE}"):
        optimizer.updates_from([gradient.sum()], [w])
    with pytest.raises(sg.DTypeError, match=rf"the gradient of 'w' .* has another dtype{HERE}"):
        optimizer.updates_from([gradient.astype("float32")], [w])
