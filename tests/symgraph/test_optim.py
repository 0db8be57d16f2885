"""Optimisers: values, states, learning rates, and what the compiled step does with them."""

import numpy as np
import pytest

import symgraph as sg

# Three updates of w^2 from w = 1: from DeZero's optimisers, and their formulas by hand.
AFTER_EACH_UPDATE = {
    "sgd": (lambda rate=0.1: sg.optim.SGD(rate), (0.8, 0.64, 0.512)),
    "momentum": (lambda rate=0.1: sg.optim.Momentum(rate), (0.8, 0.46, 0.062)),
    "nesterov": (lambda rate=0.1: sg.optim.Nesterov(rate, 0.1), (0.78, 0.6064, 0.471232)),
    "adagrad": (
        lambda rate=0.1: sg.optim.AdaGrad(rate),
        (0.9000000005, 0.833103527566, 0.780456182219),
    ),
    "adadelta": (
        lambda rate=1.0: sg.optim.AdaDelta(rate),
        (0.995527875225, 0.991008680275, 0.986464462341),
    ),
    "rmsprop": (
        lambda rate=0.1: sg.optim.RMSProp(rate),
        (0.683772283983, 0.498870672999, 0.369180624518),
    ),
    "adam": (
        lambda rate=0.1: sg.optim.Adam(rate),
        (0.900000015811, 0.800412255099, 0.701586308562),
    ),
}
RULES = {name: make for name, (make, _) in AFTER_EACH_UPDATE.items()}
RULES["adamw"] = lambda rate=0.1: sg.optim.AdamW(rate)
ROWS = {"sgd": "SGD", "momentum": "Momentum", "nesterov": "Nesterov", "adagrad": "AdaGrad"}
ROWS |= {"adadelta": "AdaDelta", "rmsprop": "RMSProp", "adam": "Adam", "adamw": "AdamW"}
COUNTING = ("adam", "adamw")


def _square(value=1.0, name="w"):
    w = sg.Parameter(value, name)
    return w, w * w


def _values(step, parameter, count):
    values = []
    for _ in range(count):
        step()
        values.append(float(parameter.value))
    return values


def _row(rule):
    return pytest.mark.inventory(f"G.{ROWS[rule]}")


# Values.


@pytest.mark.parametrize("mode", ["native", "reference"])
@pytest.mark.parametrize("rule", [pytest.param(r, marks=_row(r)) for r in AFTER_EACH_UPDATE])
def test_three_updates_of_a_square(rule, mode):
    make, expected = AFTER_EACH_UPDATE[rule]
    w, loss = _square()
    step = sg.compile(loss, updates=make().updates(loss, [w]), mode=mode)
    # The published figures end after twelve decimals.
    np.testing.assert_allclose(_values(step, w, 3), expected, rtol=1e-12, atol=6e-13)


@pytest.mark.inventory("G.RMSProp")
def test_the_default_rate_of_rmsprop_is_that_of_keras():
    w, loss = _square()
    step = sg.compile(loss, updates=sg.optim.RMSProp().updates(loss, [w]))
    np.testing.assert_allclose(_values(step, w, 1), [0.99683772284], rtol=1e-11)


@pytest.mark.inventory("G.AdamW")
def test_adamw_decays_weights_apart_from_adam():
    w, loss = _square()
    optimizer = sg.optim.AdamW(0.1, weight_decay=0.5)
    step = sg.compile(loss, updates=optimizer.updates(loss, [w]))
    found = _values(step, w, 3)
    # The formula, with the correction of the bias on the moments instead of the rate.
    value, m, v, expected = 1.0, 0.0, 0.0, []
    for t in (1, 2, 3):
        m, v = 0.9 * m + 0.1 * 2 * value, 0.999 * v + 0.001 * (2 * value) ** 2
        root = np.sqrt(v / (1 - 0.999**t)) + 1e-8 / np.sqrt(1 - 0.999**t)
        value = value - 0.1 * 0.5 * value - 0.1 * m / (1 - 0.9**t) / root
        expected.append(value)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_adamw_without_decay_is_adam():
    found = []
    for optimizer in (sg.optim.Adam(0.1), sg.optim.AdamW(0.1, weight_decay=0.0)):
        w, loss = _square()
        step = sg.compile(loss, updates=optimizer.updates(loss, [w]))
        found.append(_values(step, w, 5))
    assert found[0] == found[1]


@pytest.mark.parametrize("rule", AFTER_EACH_UPDATE)
def test_float32_stays_float32_and_follows_float64(rule):
    make, expected = AFTER_EACH_UPDATE[rule]
    optimizer = make()
    w, loss = _square(np.float32(1.0))
    updates = optimizer.updates(loss, [w])
    assert updates[w].dtype == "float32"
    step = sg.compile(loss, updates=updates)
    np.testing.assert_allclose(_values(step, w, 3), expected, rtol=1e-5)
    kinds = {name: state.dtype for name, state in optimizer.states().items()}
    assert kinds.pop(f"{rule}/learning_rate") == "float64"
    kinds.pop("adam/step", None)
    assert set(kinds.values()) <= {"float32"}


def test_the_defaults_are_those_of_the_books():
    rates = {name: getattr(sg.optim, name)().learning_rate.value.item() for name in ROWS.values()}
    expected = (0.01, 0.01, 0.01, 1e-3, 1.0, 1e-3, 1e-3, 1e-3)
    assert rates == dict(zip(ROWS.values(), expected, strict=True))
    assert sg.optim.Momentum().momentum == sg.optim.Nesterov().momentum == 0.9
    assert sg.optim.AdaGrad().eps == sg.optim.Adam().eps == 1e-8
    assert (sg.optim.AdaDelta().rho, sg.optim.AdaDelta().eps) == (0.95, 1e-6)
    assert (sg.optim.RMSProp().rho, sg.optim.RMSProp().eps) == (0.9, 1e-7)
    assert (sg.optim.Adam().beta1, sg.optim.Adam().beta2) == (0.9, 0.999)
    assert sg.optim.AdamW().weight_decay == 0.01


def test_adam_starts_with_a_full_step_however_small_the_gradient():
    w = sg.Parameter(np.array([1.0, 1.0, 1.0]), "w")
    loss = (w * np.array([1e-4, 1.0, 1e4])).sum()
    sg.compile(loss, updates=sg.optim.Adam(0.1).updates(loss, [w]))()
    np.testing.assert_allclose(w.value, 0.9, rtol=1e-3)


@pytest.mark.parametrize("rule", ["adagrad", "adadelta", "rmsprop", "adam"])
def test_what_has_no_gradient_stays(rule):
    w = sg.Parameter(np.array([1.0, 2.0]), "w")
    loss = w[0] ** 2
    sg.compile(loss, updates=RULES[rule]().updates(loss, [w]))()
    assert w.value[0] < 1.0
    assert w.value[1] == 2.0


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


def test_a_gradient_penalty_is_trained_through():
    # |dD/dx| - 1 squared, for D = w x and w = (3, 4): slope (4.8, 6.4).
    x = sg.Placeholder("x", (2,), "float64")
    w = sg.Parameter(np.array([3.0, 4.0]), "w")
    slope = sg.grad((w * x).sum(), x)
    penalty = (sg.sqrt((slope**2).sum()) - 1) ** 2
    step = sg.compile(penalty, updates=sg.optim.SGD(0.1).updates(penalty, [w]))
    assert step(x=np.zeros(2)) == pytest.approx(16)
    np.testing.assert_allclose(w.value, [3 - 0.48, 4 - 0.64], rtol=1e-14)


# Two optimisers.


def test_a_second_optimiser_trains_another_part_in_the_same_step():
    a, b = sg.Parameter(1.0, "a"), sg.Parameter(1.0, "b")
    loss = a * a + b * b
    updates = sg.optim.SGD(0.1).updates(loss, [a]) | sg.optim.Adam(0.1).updates(loss, [b])
    sg.compile(loss, updates=updates)()
    assert (a.value, b.value) == (pytest.approx(0.8), pytest.approx(0.9, abs=1e-7))


def _game():
    """Return the losses and parameters of two players that share a game."""
    g, d = sg.Parameter(0.5, "g"), sg.Parameter(2.0, "d")
    return -(d * g), d * g + d * d, g, d


def test_two_players_train_in_turns_or_at_once():
    of_g, of_d, g, d = _game()
    first, second = sg.optim.Adam(0.1, name="generator"), sg.optim.Adam(0.1, name="discriminator")
    steps = [
        sg.compile(of_d, updates=second.updates(of_d, [d])),
        sg.compile(of_g, updates=first.updates(of_g, [g])),
    ]
    for _ in range(3):
        for step in steps:
            step()
    assert first.states()["generator/step"].value == 3
    assert second.states()["discriminator/step"].value == 3
    # d goes down its slope g + 2 d, g up its slope d; each by the whole rate at first.
    assert d.value == pytest.approx(1.7, abs=0.01)
    assert g.value == pytest.approx(0.8, abs=0.01)

    of_g, of_d, g, d = _game()
    updates = first.updates(of_g, [g]) | second.updates(of_d, [d])
    sg.compile([of_g, of_d], updates=updates)()
    assert (g.value != 0.5, d.value != 2.0) == (True, True)


# The compiled step.


def _mlp_step(optimizer):
    x = sg.Placeholder("x", shape=("N", 16), dtype="float32")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    model = sg.models.MLP((12, 7, 5), sg.tanh, in_size=16, seed=0)
    loss = sg.nn.softmax_cross_entropy(model(x), t)
    gradients = sg.compile([loss, *sg.grad(loss, model.parameters())])
    return sg.compile(loss, updates=optimizer.updates(loss, model.parameters())), gradients


def _rows(function):
    """Return the labels of the kernel calls before the commit and after it."""
    rows = function._compiled().plan.instructions
    names = [row.opcode.name for row in rows]
    cut = names.index("COMMIT") if "COMMIT" in names else len(rows)
    return [
        [row.label for row in part if row.opcode.name == "CALL"]
        for part in (rows[:cut], rows[cut:])
    ]


@pytest.mark.inventory("G.step")
@pytest.mark.parametrize("rule", RULES)
def test_each_parameter_is_updated_in_place_by_one_region(rule):
    step, gradients = _mlp_step(RULES[rule]())
    early, late = _rows(step)
    # Six parameters; state is written by the region of its parameter. A counter is needed before,
    # for the rate, and copied.
    assert [label.split()[-1] for label in late[:6]] == ["region"] * 6
    assert late[6:] == ["copy into the parameter"] * (rule in COUNTING)
    # Nothing before the commit but the gradients, and the rate in the dtype of the parameters.
    without = _rows(gradients)[0]
    assert early.count("batch_matmul") == without.count("batch_matmul")
    assert len(early) <= len(without) + 1 + (rule == "adamw")


def test_explain_shows_one_pass_over_a_parameter_and_its_state():
    step, _ = _mlp_step(sg.optim.Adam(hooks=[sg.optim.WeightDecay(1e-4)]))
    text = step.explain()
    after = text[text.index("commit:") :]
    assert after.count("elementwise region") == after.count("sqrt") == 6


@pytest.mark.parametrize("rule", ["momentum", "adadelta", "adamw"])
def test_native_and_reference_train_alike(rule):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((20, 6)).astype("float32"), rng.integers(0, 3, 20)
    losses = {}
    for mode in ("native", "reference"):
        x_node = sg.Placeholder("x", shape=("N", 6), dtype="float32")
        t_node = sg.Placeholder("t", shape=("N",), dtype="int64")
        model = sg.models.MLP((5, 3), seed=1)
        loss = sg.nn.softmax_cross_entropy(model(x_node), t_node)
        updates = RULES[rule](0.05).updates(loss, model.parameters())
        step = sg.compile(loss, updates=updates, mode=mode)
        losses[mode] = [float(step(x=x, t=t)) for _ in range(20)]
    np.testing.assert_allclose(losses["native"], losses["reference"], rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_do_not_change_a_bit(rule, dtype):
    values = np.random.default_rng(2).standard_normal((3, 70_001)).astype(dtype)
    found = []
    for threads in (1, 2):
        w = sg.Parameter(values[0], "w")
        g = sg.Placeholder("g", w.shape, dtype)
        optimizer = RULES[rule](0.01)
        updates = optimizer.updates_from([g], [w])
        step = sg.compile([], updates=updates, threads=threads)
        step(g=values[1])
        step(g=values[2])
        held = [w, *optimizer.states().values()]
        found.append([parameter.value.tobytes() for parameter in held])
    assert found[0] == found[1]


def test_a_failing_step_changes_neither_parameters_nor_state():
    x = sg.Placeholder("x", shape=("N", 4), dtype="float32")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    model = sg.models.MLP((3,), in_size=4, seed=0)
    loss = sg.nn.softmax_cross_entropy(model(x), t)
    optimizer = sg.optim.Adam()
    step = sg.compile(loss, updates=optimizer.updates(loss, model.parameters()))
    held = [*model.parameters(), *optimizer.states().values()]
    before = [parameter.value for parameter in held]
    with pytest.raises(sg.BoundsError, match="no parameter was changed"):
        step(x=np.ones((2, 4), "float32"), t=np.array([0, 3]))
    for parameter, value in zip(held, before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)
