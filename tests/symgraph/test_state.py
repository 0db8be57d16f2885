"""State that calls hand on: what `track` writes, in which order, and what it refuses."""

import threading

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, State, compile, track

HERE = r"(?s:.*)test_state\.py:"
MODES = pytest.mark.parametrize("mode", ["native", "reference"])


def _scalar(name="x"):
    return Placeholder(name, (), "float64")


# What a State is.


def test_a_state_is_a_parameter_that_is_never_trained():
    state = State(np.zeros(3, "float32"), "s")
    assert isinstance(state, Parameter)
    assert (state.name, state.dtype, state.shape) == ("s", "float32", (3,))
    assert not state.trainable
    state.trainable = False
    with pytest.raises(sg.GraphError, match=f"a state is never trained: 's'{HERE}"):
        state.trainable = True
    state.value = np.ones(3)
    np.testing.assert_array_equal(state.value, np.ones(3))


def test_an_int_stays_an_integer():
    assert (State(0).dtype, State(0.0).dtype, Parameter(0).dtype) == ("int64", "float64", "float64")


@MODES
def test_explicit_updates_change_a_state_too(mode):
    calls = State(0, "calls")
    f = compile(calls, updates={calls: calls + 1}, mode=mode)
    assert [int(f()) for _ in range(3)] == [0, 1, 2]
    assert calls.value == 3


# Parameters that take memory when it is needed.


def test_a_deferred_parameter_draws_once_and_only_when_asked():
    drawn = []

    def initial():
        drawn.append(1)
        return np.full((2, 3), 7.0, "float32")

    p = Parameter.deferred((2, 3), "float32", initial, "p")
    assert (p.shape, p.dtype, p.size, repr(p)) == (
        (2, 3),
        "float32",
        6,
        "<parameter 'p': float32[2, 3]>",
    )
    f = sg.grad((p * p).sum(), p)
    assert not drawn
    np.testing.assert_array_equal(compile(f)(), np.full((2, 3), 14.0))
    assert drawn == [1]
    assert isinstance(State.deferred((), "int64", lambda: np.zeros((), "int64")), State)


def test_a_value_that_is_set_first_is_never_drawn():
    p = Parameter.deferred((2,), "float32", lambda: pytest.fail("drawn"), "p")
    with pytest.raises(sg.ShapeError, match=rf"'p' has shape \(2,\), the new value \(3,\){HERE}"):
        p.value = np.zeros(3)
    with pytest.raises(sg.DTypeError, match="holds float32, the new value complex128"):
        p.value = np.zeros(2, complex)
    p.value = np.array([1, 2])
    np.testing.assert_array_equal(p.value, [1, 2])


def test_threads_that_ask_together_get_one_value():
    p = Parameter.deferred((1000,), "float64", lambda: np.random.default_rng().random(1000))
    found = []
    threads = [threading.Thread(target=lambda: found.append(p.value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("wrong", [1, None, "yes"])
def test_trainable_is_a_bool(wrong):
    p = Parameter(1.0)
    assert p.trainable
    with pytest.raises(sg.GraphError, match=f"trainable is a bool, not {wrong!r}{HERE}"):
        p.trainable = wrong


# Tracking.


@MODES
def test_a_tracked_value_is_written_by_whoever_computes_it(mode):
    total, x = State(0.0, "total"), _scalar()
    y = track(x * 2, {total: total + x})
    f, g = compile(y + 1, mode=mode), compile(x * 3, mode=mode)
    assert (f(x=3.0), float(total.value)) == (7.0, 3.0)
    assert (f(x=4.0), float(total.value)) == (9.0, 7.0)
    assert (g(x=1.0), float(total.value)) == (3.0, 7.0)


@MODES
def test_outputs_read_the_state_from_before_the_call(mode):
    total, x = State(1.0, "total"), _scalar()
    y = track(x * total, {total: total + x})
    f = compile([y, total, y + total], mode=mode)
    assert [float(value) for value in f(x=3.0)] == [3.0, 1.0, 4.0]
    assert [float(value) for value in f(x=1.0)] == [4.0, 4.0, 8.0]


@MODES
def test_several_tracks_compose_in_the_order_of_their_making(mode):
    total, x = State(1.0, "total"), _scalar()
    first = track(x, {total: total * 2 + x})
    second = track(x, {total: total * 10})
    third = track(x, {total: total - 1})
    # Whatever the order in which the outputs meet them.
    f = compile([third + first, second], mode=mode)
    f(x=3.0)
    assert total.value == (1 * 2 + 3) * 10 - 1
    compile(third, mode=mode)(x=0.0)
    assert total.value == 48


@MODES
def test_each_track_sees_all_states_that_the_ones_before_it_wrote(mode):
    a, b = State(1.0, "a"), State(10.0, "b")
    x = _scalar()
    y = track(x, {a: a + x, b: b + a})
    z = track(y, {a: a + b, b: b * 2})
    compile(z, mode=mode)(x=5.0)
    assert (a.value, b.value) == (6.0 + 11.0, 22.0)


@MODES
def test_what_was_tracked_is_computed_from_the_values_before_the_call(mode):
    h, x = State(2.0, "h"), _scalar()
    first = track(h * x, {h: h * x})
    second = track(first + 1, {h: h + first})
    assert compile(second, mode=mode)(x=3.0) == 7.0
    assert h.value == 6.0 + 6.0


@MODES
def test_updates_and_tracks_are_written_together(mode):
    w, seen, x = Parameter(1.0, "w"), State(0, "seen"), _scalar()
    loss = track((w * x) ** 2, {seen: seen + 1})
    step = compile(loss, updates={w: w - 0.5 * sg.grad(loss, w)}, mode=mode)
    assert (float(step(x=1.0)), float(w.value), int(seen.value)) == (1.0, 0.0, 1)


@MODES
def test_a_derivative_of_what_is_tracked_is_tracked_too(mode):
    w, seen, x = Parameter(3.0, "w"), State(0, "seen"), _scalar()
    # This derivative holds nothing of the node that was tracked.
    slope = sg.grad(track(w * x, {seen: seen + 1}), w)
    assert (float(compile(slope, mode=mode)(x=2.0)), int(seen.value)) == (2.0, 1)
    cubed = track(w**3 * x, {seen: seen + 1})
    first = sg.grad(cubed, w)
    assert float(compile(sg.grad(first, w), mode=mode)(x=2.0)) == 36.0
    assert seen.value == 2


def test_derivatives_flow_through_the_value_alone():
    s, x = State(0.0, "s"), _scalar()
    y = track(x * 2, {s: x**3})
    assert compile(sg.grad(y * y, x))(x=3.0) == 24.0
    with pytest.raises(
        sg.GradientError, match=f"no derivative flows from multiply .* to 'w'{HERE}"
    ):
        w = Parameter(1.0, "w")
        sg.grad(track(x * 2, {s: w * x}) * 2, w)


@MODES
def test_open_graphs_are_tracked_when_they_are_called(mode):
    total = State(np.zeros(2), "total")
    x = Placeholder("x")
    y = track(x * 2, {total: total + x})
    loss = (y * y).sum()
    f = compile([loss, sg.grad(loss, x)], mode=mode)
    for _ in range(2):
        value, slope = f(x=np.array([1.0, 2.0]))
        assert value == 20
        np.testing.assert_array_equal(slope, [8.0, 16.0])
    np.testing.assert_array_equal(total.value, [2, 4])
    with pytest.raises(sg.ShapeError, match=r"the update of 'total' .* has another shape"):
        f(x=np.ones((2, 2)))
    np.testing.assert_array_equal(total.value, [2, 4])


@MODES
def test_batches_of_all_sizes_share_one_function(mode):
    mean = State(np.zeros(3), "mean")
    x = Placeholder("x", ("N", 3), "float64")
    f = compile(track(x * 2, {mean: 0.5 * mean + 0.5 * x.mean(axis=0)}), mode=mode)
    for rows in (1, 7, 64):
        mean.value = np.zeros(3)
        f(x=np.ones((rows, 3)))
        np.testing.assert_allclose(mean.value, np.full(3, 0.5))
    assert f.compile_count == (1 if mode == "native" else 0)


@MODES
def test_a_failed_check_leaves_states_as_they_were(mode):
    seen, table = State(0, "seen"), Parameter(np.arange(3.0), "table")
    i = Placeholder("i", ("N",), "int64")
    f = compile(track(table[i], {seen: seen + 1}).sum(), mode=mode)
    with pytest.raises(sg.BoundsError, match="index 9 is out of bounds"):
        f(i=np.array([0, 9]))
    assert seen.value == 0
    f(i=np.array([0, 1]))
    assert seen.value == 1


@MODES
def test_an_outer_track_that_a_branch_uses_is_written_always(mode):
    seen, x = State(0, "seen"), _scalar()
    y = track(x * 2, {seen: seen + 1})
    f = compile(sg.cond(x > 0, lambda: y, lambda: -x), mode=mode)
    assert [float(f(x=value)) for value in (1.0, -1.0)] == [2.0, 1.0]
    assert seen.value == 2


# Truncated back-propagation through time: the state is a leaf of the next call.


@MODES
def test_a_recurrence_across_calls_is_truncated_at_their_border(mode):
    h = State(np.zeros((1, 2)), "h")
    x = Placeholder("x", (1, 1), "float64")
    wx, wh = Parameter(np.full((1, 2), 0.5), "wx"), Parameter(np.full((2, 2), 0.25), "wh")
    new = sg.tanh(x @ wx + h @ wh)
    slopes = sg.grad(new.sum(), [wx, wh])
    step = compile([track(new, {h: new}), *slopes], mode=mode)
    np.testing.assert_allclose(step(x=[[1.0]])[0], np.full((1, 2), 0.46211715726), rtol=1e-10)
    found, by_wx, by_wh = step(x=[[2.0]])
    np.testing.assert_allclose(found, np.full((1, 2), 0.84288610332), rtol=1e-10)
    np.testing.assert_allclose(by_wx, np.full((1, 2), 0.57908603), rtol=1e-7)
    np.testing.assert_allclose(by_wh, np.full((2, 2), 0.1338027958), rtol=1e-9)


# Bad input.


def test_a_track_inside_a_branch_is_refused():
    seen, x = State(0, "seen"), _scalar()
    y = sg.cond(x > 0, lambda: track(x * 2, {seen: seen + 1}), lambda: x)
    message = f"cannot be tracked inside a branch of cond or the body of a loop: track .*{HERE}"
    with pytest.raises(sg.GraphError, match=message):
        compile(y)
    with pytest.raises(sg.GraphError, match=message):
        compile([], updates={Parameter(1.0): y}, mode="reference")


def test_a_state_that_is_updated_and_tracked_is_refused():
    seen, x = State(0, "seen"), _scalar()
    y = track(x, {seen: seen + 1})
    with pytest.raises(
        sg.GraphError, match=f"'seen' .* is in updates=, and .*writes it too: track{HERE}"
    ):
        compile(y, updates={seen: seen + 2})


@pytest.mark.parametrize("wrong", [{}, None, [1], "s"])
def test_what_is_no_dict_is_refused(wrong):
    with pytest.raises(sg.GraphError, match=f"track takes a dict from states{HERE}"):
        track(_scalar(), wrong)


def test_a_parameter_is_not_tracked():
    with pytest.raises(sg.GraphError, match=f"only a State is tracked, not <parameter 'w'{HERE}"):
        track(_scalar(), {Parameter(1.0, "w"): 2.0})


def test_a_new_value_that_does_not_fit_is_refused():
    state, x = State(np.zeros(3, "float32"), "s"), Placeholder("x", ("N", 3), "float32")
    with pytest.raises(sg.ShapeError, match=f"the update of 's' .* has another shape: 'x'{HERE}"):
        track(x, {state: x})
    with pytest.raises(sg.DTypeError, match=f"the update of 's' .*dtype: sum{HERE}"):
        track(x, {state: x.astype("float64").sum(axis=0)})
    track(x, {state: 0 * state})
    count = State(0, "count")
    with pytest.raises(
        sg.DTypeError, match=r"the update of 'count' .* has another dtype: constant"
    ):
        track(x, {count: 1.5})


def test_a_sequence_that_is_resumed_twice_in_one_function_is_refused():
    layer = sg.layers.RNN(2, seed=0)
    one, two = (Placeholder(name, (3, 4, 5), "float32") for name in ("one", "two"))
    first, second = layer.resume(one), layer.resume(two)
    compile(first)
    compile(second)
    with pytest.raises(sg.GraphError, match=f"one function carries 'h' .* on twice: track{HERE}"):
        compile([first, second])
