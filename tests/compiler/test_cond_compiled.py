"""Conditions in native code: a jump, so that what is not taken never runs."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, cond, grad
from symgraph.errors import BoundsError, DTypeError, GraphError, ShapeError

ON_OFF = pytest.mark.parametrize("on", [True, False], ids=["then", "else"])
MODES = pytest.mark.parametrize("mode", ["native", "reference"])
VALUES = np.array([1.0, 2.0, 3.0])


def flag(name="flag"):
    return Placeholder(name, (), "bool")


def vector(name="x", extent="N"):
    return Placeholder(name, (extent,), "float64")


@ON_OFF
def test_both_branches(on):
    x, p = vector(), flag()
    f = compile(cond(p, lambda: sg.exp(x) + 1, lambda: x * 10))
    np.testing.assert_allclose(f(x=VALUES, flag=on), np.exp(VALUES) + 1 if on else VALUES * 10)


@ON_OFF
def test_one_function_alternates(on):
    x, p = vector(), flag()
    f = compile(cond(p, lambda: sg.sum(x), lambda: sg.max(x)))
    for turn in (on, not on, on, on, not on):
        assert f(x=VALUES, flag=turn) == (6 if turn else 3)
    assert f.compile_count == 1


@pytest.mark.parametrize(("one", "two"), [(True, True), (True, False), (False, True)])
def test_nested(one, two):
    x, p, q = vector(), flag("p"), flag("q")
    h = sg.tanh(x)

    def inner():
        return cond(q, lambda: h * x, lambda: cond(p, lambda: h - x, lambda: h))

    y = cond(p, inner, lambda: cond(q, lambda: x * 3, lambda: h))
    t = np.tanh(VALUES)
    expected = (t * VALUES if two else t - VALUES) if one else VALUES * 3
    slope = (t + VALUES * (1 - t * t) if two else -t * t) if one else np.full(3, 3.0)
    found = compile([y, grad(sg.sum(y), x)])(x=VALUES, p=one, q=two)
    np.testing.assert_allclose(found, [expected, slope], rtol=1e-13)


@ON_OFF
def test_tuples(on):
    x, p = vector(), flag()
    total, (twice, count) = cond(p, lambda: (x.sum(), (x * 2, 1)), lambda: (x[0], (x, 0)))
    found = compile({"total": total, "rest": (twice, count)})(x=VALUES, flag=on)
    assert found["total"] == (6 if on else 1)
    np.testing.assert_array_equal(found["rest"][0], VALUES * (2 if on else 1))
    assert found["rest"][1] == (1 if on else 0)


@ON_OFF
def test_a_result_that_both_branches_pass_through(on):
    x, y, p = vector("x"), vector("y", "N"), flag()
    same, swapped = cond(p, lambda: (x, y), lambda: (x, x)), cond(p, lambda: (y, x), lambda: (x, y))
    found = compile([*same, *swapped, x])(x=VALUES, y=-VALUES, flag=on)
    expected = [VALUES, -VALUES, -VALUES, VALUES] if on else [VALUES, VALUES, VALUES, -VALUES]
    for result, wanted in zip(found, [*expected, VALUES], strict=True):
        np.testing.assert_array_equal(result, wanted)
        assert not np.shares_memory(result, VALUES)


# Lazy.


@ON_OFF
def test_the_other_branch_cannot_pollute(on):
    x, p = vector(), flag()
    y = cond(p, lambda: sg.log(-x) + 1 / (x - x), lambda: x * 2)
    f = compile([y, grad(sg.sum(y), x)], check_finite=True)
    if on:
        with pytest.raises(sg.NonFiniteError, match=r"test_cond_compiled\.py:\d+"):
            f(x=VALUES, flag=True)
    else:
        np.testing.assert_array_equal(f(x=VALUES, flag=False), [VALUES * 2, [2, 2, 2]])


@MODES
def test_an_index_out_of_range_in_the_other_branch(mode):
    x, p, i = vector(), flag(), Placeholder("i", ("K",), "int64")
    f = compile(cond(p, lambda: sg.sum(x[i]), lambda: sg.sum(x)), mode=mode)
    assert f(x=VALUES, flag=False, i=np.array([99])) == 6
    assert f(x=VALUES, flag=True, i=np.array([-1, 0])) == 4
    with pytest.raises(BoundsError, match=r"out of (range|bounds)"):
        f(x=VALUES, flag=True, i=np.array([0, 99]))
    assert f(x=VALUES, flag=False, i=np.array([99])) == 6


@MODES
def test_a_label_out_of_range_in_the_other_branch_of_a_gradient(mode):
    x, p = Placeholder("x", ("N", 3), "float64"), flag()
    t = Placeholder("t", ("N",), "int64")
    loss = cond(p, lambda: sg.nn.softmax_cross_entropy(x, t), lambda: sg.mean(x))
    f = compile(grad(loss, x), mode=mode)
    feeds = {"x": np.zeros((2, 3)), "t": np.array([1, 3])}
    np.testing.assert_allclose(f(**feeds, flag=False), np.full((2, 3), 1 / 6))
    with pytest.raises(BoundsError, match=r"out of (range|bounds)"):
        f(**feeds, flag=True)


# Gradients.


@ON_OFF
def test_the_gradient_flows_through_the_chosen_branch(on):
    x, w, p = vector(), Parameter(VALUES, "w"), flag()
    y = cond(p, lambda: sg.sum(sg.sqrt(x) * w), lambda: sg.sum(w**2))
    values = np.array([4.0, 1.0, 9.0]) if on else np.array([-1.0, 0.0, 2.0])
    by_x, by_w = compile(grad(y, [x, w]))(x=values, flag=on)
    expected = (VALUES / 2 / np.sqrt(values), np.sqrt(values)) if on else (np.zeros(3), 2 * VALUES)
    np.testing.assert_allclose(by_x, expected[0])
    np.testing.assert_allclose(by_w, expected[1])


@ON_OFF
def test_gradients_of_gradients(on):
    x, p = Placeholder("x", (), "float64"), flag()
    y = cond(p, lambda: x**4, lambda: sg.exp(2 * x))
    outputs = [y]
    for _ in range(3):
        outputs.append(grad(outputs[-1], x))
    expected = [81, 108, 108, 72] if on else np.exp(6.0) * np.array([1, 2, 4, 8])
    np.testing.assert_allclose(compile(outputs)(x=3.0, flag=on), expected, rtol=1e-13)


@ON_OFF
def test_a_gradient_taken_in_a_branch(on):
    x, p = vector(), flag()
    y = cond(p, lambda: grad(sg.sum(x**3), x), lambda: x)
    np.testing.assert_allclose(compile(y)(x=VALUES, flag=on), 3 * VALUES**2 if on else VALUES)


def test_a_predicate_that_depends_on_the_values():
    x = Placeholder("x", (), "float64")
    y = cond(x > 0, lambda: sg.log(x), lambda: x * x)
    f = compile([y, grad(y, x)])
    np.testing.assert_allclose(f(x=2.0), [np.log(2), 0.5])
    np.testing.assert_allclose(f(x=-3.0), [9, -6])


# State.


@ON_OFF
@MODES
def test_an_update_through_a_condition(on, mode):
    w, p = Parameter(VALUES, "w"), flag()
    f = compile(w.sum(), updates={w: cond(p, lambda: w * 2, lambda: w - 1)}, mode=mode)
    assert f(flag=on) == 6
    np.testing.assert_array_equal(w.value, VALUES * 2 if on else VALUES - 1)


@ON_OFF
def test_an_update_that_may_leave_things_as_they_are(on):
    w, v = Parameter(VALUES, "w"), Parameter(-VALUES, "v")
    p, g = flag(), vector("g", 3)
    new_w, new_v = cond(p, lambda: (w - g, v + w), lambda: (w, v))
    step = compile([w * 1, v * 1], updates={w: new_w, v: new_v})
    before = step(flag=on, g=np.ones(3))
    np.testing.assert_array_equal(before, [VALUES, -VALUES])
    np.testing.assert_array_equal(w.value, VALUES - 1 if on else VALUES)
    np.testing.assert_array_equal(v.value, np.zeros(3) if on else -VALUES)


@ON_OFF
def test_parameters_that_swap_in_a_branch(on):
    a, b, p = Parameter(1.0, "a"), Parameter(2.0, "b"), flag()
    new_a, new_b = cond(p, lambda: (b, a), lambda: (a, b))
    step = compile([], updates={a: new_a, b: new_b})
    for turn in range(1, 4):
        step(flag=on)
        swapped = on and turn % 2 == 1
        assert (a.value, b.value) == ((2, 1) if swapped else (1, 2))


def test_a_failing_branch_updates_nothing():
    w, p, i = Parameter(VALUES, "w"), flag(), Placeholder("i", (), "int64")
    step = compile([], updates={w: cond(p, lambda: w + w[i], lambda: w + 1)})
    with pytest.raises(BoundsError, match="no parameter was changed"):
        step(flag=True, i=7)
    np.testing.assert_array_equal(w.value, VALUES)
    step(flag=False, i=7)
    np.testing.assert_array_equal(w.value, VALUES + 1)


@ON_OFF
def test_a_step_that_is_skipped(on):
    w, limit = Parameter(VALUES, "w"), Placeholder("limit", (), "float64")
    loss = sg.sum(w**2)
    slope = grad(loss, w)
    norm = sg.sqrt(sg.sum(slope**2))
    step = compile(loss, updates={w: cond(norm < limit, lambda: w - 0.1 * slope, lambda: w)})
    assert step(limit=100.0 if on else 1.0) == 14
    np.testing.assert_allclose(w.value, VALUES * (0.8 if on else 1), rtol=1e-14)


# Extents.


@ON_OFF
def test_symbolic_extents(on):
    x, p = Placeholder("x", ("N", "M"), "float64"), flag()
    y = cond(p, lambda: sg.softmax(x), lambda: x / x.shape[0])
    f = compile([y, grad(sg.sum(y * y), x)])
    g = compile([y, grad(sg.sum(y * y), x)], mode="reference")
    for shape in ((3, 4), (1, 1), (0, 3), (7, 2)):
        values = np.random.default_rng(0).random(shape)
        for found, wanted in zip(f(x=values, flag=on), g(x=values, flag=on), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-16)
            assert found.shape == shape
    assert f.compile_count == 1


def test_open_shapes():
    x, p = Placeholder("x"), flag()
    f = compile(cond(p, lambda: x * 2, lambda: x + 1))
    for values in (VALUES, np.ones((2, 2)), np.array(4), VALUES.astype("float32")):
        for on in (True, False):
            found = f(x=values, flag=on)
            np.testing.assert_array_equal(found, values * 2 if on else values + 1)
            assert found.dtype == values.dtype
    assert f.compile_count == 4


def test_open_branches_that_disagree_at_the_call():
    x, p = Placeholder("x"), flag()
    f = compile(cond(p, lambda: x, lambda: x.sum()))
    assert f(x=np.array(2.0), flag=True) == 2
    lines = r"(?s)then gives .*test_cond_compiled\.py:\d+.*else gives .*test_cond_compiled\.py:\d+"
    with pytest.raises(ShapeError, match=lines):
        f(x=VALUES, flag=True)


@MODES
def test_a_predicate_of_open_type(mode):
    p, x = Placeholder("p"), vector()
    f = compile(cond(p, lambda: x, lambda: -x), mode=mode)
    for pred in (True, 3, 0.5, 0, False):
        np.testing.assert_array_equal(f(p=pred, x=VALUES), VALUES if pred else -VALUES)
    with pytest.raises(ShapeError, match=r"(?s)one truth value.*use where"):
        f(p=np.array([True, False]), x=VALUES)


# What is refused.


def test_branches_of_different_type_name_both_lines():
    x, p = vector(), flag()
    lines = r"(?s)then gives .*test_cond_compiled\.py:\d+.*else gives .*test_cond_compiled\.py:\d+"
    with pytest.raises(ShapeError, match=lines):
        cond(p, lambda: x * 2, lambda: x.sum())
    with pytest.raises(DTypeError, match=lines):
        cond(p, lambda: x * 2, lambda: x.astype("float32"))
    with pytest.raises(GraphError, match=r"(?s)different structures.*test_cond_compiled\.py:\d+"):
        cond(p, lambda: (x, x), lambda: x)


def test_predicates_that_are_no_truth_value():
    x = vector()
    with pytest.raises(ShapeError, match=r"(?s)one truth value, not bool\[N\].*use where"):
        cond(x > 0, lambda: x, lambda: -x)
    with pytest.raises(ShapeError, match=r"(?s)one truth value.*use where"):
        cond(x, lambda: x, lambda: -x)
    with pytest.raises(DTypeError, match=r"(?s)test_cond_compiled\.py:\d+"):
        cond("yes", lambda: x, lambda: -x)
