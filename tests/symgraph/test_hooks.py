"""Hooks of optimisers: weight decay, clipping, freezing, and functions of one's own."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.optim import SGD, Adam, ClipGrad, FreezeParam, Momentum, WeightDecay

HERE = r"(?s:.*)test_hooks\.py:\d+"


def _after_one_step(hooks, rate=0.1, dtype="float64", mode="native"):
    """Return w after one step on half its squared norm, from [3, 4]."""
    w = sg.Parameter(np.array([3.0, 4.0], dtype), "w")
    loss = 0.5 * (w * w).sum()
    step = sg.compile(loss, updates=SGD(rate, hooks=hooks).updates(loss, [w]), mode=mode)
    step()
    assert w.value.dtype == dtype
    return w.value


# The values that DeZero's hooks give.

CASES = {
    "none": ([], [2.7, 3.6]),
    "decay": ([WeightDecay(0.5)], [2.55, 3.4]),
    "clip": ([ClipGrad(1)], [3 - 0.06 / 1.0000002, 4 - 0.08 / 1.0000002]),
    "short-enough": ([ClipGrad(10)], [2.7, 3.6]),
    "decay-then-clip": (
        [WeightDecay(0.5), ClipGrad(1)],
        [3 - 0.06 / (1 + 1e-6 / 7.5), 4 - 0.08 / (1 + 1e-6 / 7.5)],
    ),
    "clip-then-decay": (
        [ClipGrad(1), WeightDecay(0.5)],
        [3 - 0.06 / 1.0000002 - 0.15, 4 - 0.08 / 1.0000002 - 0.2],
    ),
}


@pytest.mark.inventory("G.WeightDecay", "G.ClipGrad")
@pytest.mark.parametrize("mode", ["native", "reference"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_one_step_with_hooks_in_their_order(case, dtype, mode):
    hooks, expected = CASES[case]
    rtol = 1e-14 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(_after_one_step(hooks, 0.1, dtype, mode), expected, rtol=rtol)


@pytest.mark.inventory("G.ClipGrad")
def test_clipping_gives_the_published_digits():
    np.testing.assert_allclose(_after_one_step([ClipGrad(1)]), [2.94000001, 3.92000002], atol=5e-9)


@pytest.mark.inventory("G.shared", "V.aliases")
@pytest.mark.parametrize(
    ("hook", "expected"), [(WeightDecay(0.5), -3.5), (ClipGrad(1), 0.5 + 0.5e-6 / 8)]
)
def test_a_gradient_that_two_parameters_share_is_changed_once(hook, expected):
    # In DeZero both have one array for a gradient, which hooks change twice: -4.0 and .9375.
    a, b = sg.Parameter(np.ones(2), "a"), sg.Parameter(np.ones(2), "b")
    loss = ((a + b) ** 2).sum()
    of_a, of_b = sg.grad(loss, [a, b])
    for updates in (
        SGD(1.0, hooks=[hook]).updates(loss, [a, b]),
        SGD(1.0, hooks=[hook]).updates_from([of_a, of_a], [a, b]),
    ):
        a.value = b.value = np.ones(2)
        step = sg.compile([loss, of_a, of_b], updates=updates)
        _, first, second = step()
        np.testing.assert_allclose([a.value, b.value], expected, rtol=1e-12)
        # The gradients themselves are as they were.
        np.testing.assert_array_equal([first, second], 4.0)


def test_a_gradient_that_is_broadcast_may_be_changed():
    # The gradient of a sum is a read-only broadcast in DeZero, whose hooks raise on it.
    w = sg.Parameter(np.ones((2, 3)), "w")
    loss = w.sum()
    hooks = [WeightDecay(1.0), ClipGrad(1.0)]
    sg.compile(loss, updates=SGD(1.0, hooks=hooks).updates(loss, [w]))()
    np.testing.assert_allclose(w.value, 1 - 1 / np.sqrt(6), rtol=1e-6)


@pytest.mark.inventory("G.WeightDecay")
@pytest.mark.parametrize("make", [SGD, Momentum, Adam])
def test_weight_decay_is_a_penalty_in_the_loss(make):
    rng = np.random.default_rng(0)
    x, t = rng.random((10, 5)), rng.integers(0, 2, 10)
    found = []
    for as_hook in (True, False):
        model = sg.models.MLP((4, 2), in_size=5, dtype="float64", seed=0)
        weights = model.parameters()
        loss = sg.nn.softmax_cross_entropy(model(x), t)
        if as_hook:
            updates = make(0.1, hooks=[WeightDecay(0.2)]).updates(loss, weights)
        else:
            penalty = sum(0.1 * (weight * weight).sum() for weight in weights)
            updates = make(0.1).updates(loss + penalty, weights)
        step = sg.compile(loss, updates=updates)
        losses = [float(step()) for _ in range(5)]
        found.append([losses, *[weight.value for weight in weights]])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


# The common norm.


def test_the_norm_is_that_of_all_gradients_whatever_their_dtypes():
    a, b = sg.Parameter(np.array([3.0, 0.0]), "a"), sg.Parameter(np.float32(4.0), "b")
    loss = 0.5 * ((a * a).sum() + b.astype("float64") ** 2)
    sg.compile(loss, updates=SGD(1.0, hooks=[ClipGrad(1.0)]).updates(loss, [a, b]))()
    np.testing.assert_allclose(a.value, [3 - 0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(b.value, 4 - 0.8, rtol=1e-6)
    assert b.value.dtype == "float32"


def test_a_large_gradient_does_not_overflow_and_none_is_not_divided_by():
    w = sg.Parameter(np.zeros(2, "float32"), "w")
    g = sg.Placeholder("g", (2,), "float32")
    step = sg.compile([], updates=SGD(1.0, hooks=[ClipGrad(1.0)]).updates_from([g], [w]))
    step(g=np.zeros(2, "float32"))
    np.testing.assert_array_equal(w.value, 0)
    step(g=np.array([3e30, -4e30], "float32"))
    np.testing.assert_allclose(w.value, [-0.6, 0.8], rtol=1e-6)


def test_a_gradient_that_is_not_finite_can_be_refused():
    w = sg.Parameter(np.ones(2), "w")
    g = sg.Placeholder("g", (2,), "float64")
    updates = SGD(1.0, hooks=[ClipGrad(1.0)]).updates_from([g], [w])
    step = sg.compile([], updates=updates, check_finite=True)
    with pytest.raises(sg.NonFiniteError, match="'w'"):
        step(g=np.array([np.nan, 1.0]))
    np.testing.assert_array_equal(w.value, 1)


def test_threads_do_not_change_a_clipped_step():
    values = np.random.default_rng(3).standard_normal(200_003).astype("float32")
    found = []
    for threads in (1, 2):
        w = sg.Parameter(values, "w")
        loss = (w * w * w).mean()
        hooks = [WeightDecay(0.01), ClipGrad(1e-3)]
        updates = Adam(0.1, hooks=hooks).updates(loss, [w])
        step = sg.compile(loss, updates=updates, threads=threads)
        found.append([step().tobytes() for _ in range(2)] + [w.value.tobytes()])
    assert found[0] == found[1]


# Freezing.


def _two():
    a, b = sg.Parameter(np.array([3.0]), "a"), sg.Parameter(np.array([4.0]), "b")
    return a, b, 0.5 * ((a * a).sum() + (b * b).sum())


@pytest.mark.inventory("G.FreezeParam", "V.frozen")
def test_a_frozen_parameter_stays_and_the_others_move():
    a, b, loss = _two()
    optimizer = Momentum(0.1, hooks=[FreezeParam(a)])
    updates = optimizer.updates(loss, [a, b])
    assert set(updates) == {b, optimizer.states()["momentum/velocity/b"]}
    sg.compile(loss, updates=updates)()
    np.testing.assert_allclose([a.value, b.value], [[3.0], [3.6]])


def test_hooks_before_freezing_see_what_is_frozen_and_hooks_after_do_not():
    a, b, loss = _two()
    before = SGD(1.0, hooks=[ClipGrad(1.0), FreezeParam(a)]).updates(loss, [a, b])
    after = SGD(1.0, hooks=[FreezeParam(a), ClipGrad(1.0)]).updates(loss, [a, b])
    results = sg.compile([before[b], after[b]])()
    np.testing.assert_allclose(results, [[4 - 0.8], [3.0]], rtol=1e-6)


def test_whole_layers_can_be_frozen():
    model = sg.models.MLP((4, 3), in_size=2, seed=0)
    loss = model(np.ones((1, 2), "float32")).sum()
    first = [value.copy() for value in (p.value for p in model.parameters())]
    hooks = [FreezeParam(model.l0, model.l1.b)]
    updates = SGD(0.1, hooks=hooks).updates(loss, model.parameters())
    assert list(updates) == [model.l1.W]
    sg.compile(loss, updates=updates)()
    changed = [
        not np.array_equal(p.value, v) for p, v in zip(model.parameters(), first, strict=True)
    ]
    assert changed == [False, False, True, False]


def test_freezing_everything_is_refused():
    a, b, loss = _two()
    with pytest.raises(sg.GraphError, match=rf"the hook FreezeParam leaves no .*'a'.*'b'{HERE}"):
        SGD(hooks=[FreezeParam(a, b)]).updates(loss, [a, b])


# Hooks of one's own.


def test_a_function_may_be_a_hook():
    def signs(parameters, gradients):
        return tuple(sg.sign(gradient) for gradient in gradients)

    np.testing.assert_allclose(_after_one_step([signs]), [2.9, 3.9])
    np.testing.assert_allclose(_after_one_step([signs, WeightDecay(1.0)]), [2.6, 3.5])


def test_hooks_are_fused_into_the_update():
    w = sg.Parameter(np.ones((8, 8), "float32"), "w")
    x = sg.Placeholder("x", ("N", 8), "float32")
    loss = (x @ w).sum()
    hooks = [WeightDecay(0.1), lambda parameters, gradients: [2.0 * g for g in gradients]]
    step = sg.compile(loss, updates=Momentum(0.1, hooks=hooks).updates(loss, [w]))
    after = step.explain().partition("commit:")[2]
    assert after.count("region over") == 1
    assert "copy" not in after


@pytest.mark.parametrize("hooks", [WeightDecay(0.1), 3, lambda parameters, gradients: gradients])
def test_hooks_that_are_no_list_are_refused(hooks):
    with pytest.raises(sg.GraphError, match=rf"hooks is a list of hooks{HERE}"):
        SGD(hooks=hooks)


@pytest.mark.parametrize("hook", [3, "decay", WeightDecay, None])
def test_hooks_that_are_no_functions_are_refused(hook):
    with pytest.raises(sg.GraphError, match=rf"a hook is a function, not{HERE}"):
        SGD(hooks=[hook])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeightDecay(-1), "the rate of WeightDecay is a finite number, at least 0"),
        (lambda: ClipGrad(0), "the max_norm of ClipGrad is more than 0"),
        (lambda: ClipGrad(np.inf), "the max_norm of ClipGrad is a finite number"),
        (lambda: FreezeParam(), "FreezeParam is told what to freeze"),
        (lambda: FreezeParam("l0"), "parameters and layers can be frozen, not 'l0'"),
    ],
)
def test_hooks_refuse_what_they_cannot_use(make, message):
    with pytest.raises(sg.GraphError, match=f"{message}{HERE}"):
        make()


@pytest.mark.parametrize(
    ("hook", "kind", "message"),
    [
        (lambda p, g: g[0], sg.GraphError, "was given 1 gradients and gives a list of as many"),
        (lambda p, g: [*g, *g], sg.GraphError, "was given 1 gradients"),
        (lambda p, g: None, sg.GraphError, "not None"),
        (lambda p, g: [g[0].sum()], sg.ShapeError, "'w' .* from the hook <lambda> has another"),
        (
            lambda p, g: [g[0].astype("float32")],
            sg.DTypeError,
            "from the hook <lambda> has another",
        ),
        (lambda p, g: ["steep"], sg.DTypeError, "dtype 'str160' is not supported"),
    ],
)
def test_a_hook_that_gives_what_does_not_fit_is_named(hook, kind, message):
    w = sg.Parameter(np.ones(2), "w")
    loss = (w * w).sum()
    with pytest.raises(kind, match=f"{message}{HERE}"):
        SGD(hooks=[hook]).updates(loss, [w])
