"""`check_finite=True`: the first bad value is named and nothing is updated."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import NonFiniteError, Parameter, Placeholder, compile, cond, grad

MODES = ["native", "reference"]
X = Placeholder("x", ("N",), "float32")


def checked(outputs, mode="native", **options):
    return compile(outputs, check_finite=True, mode=mode, **options)


@pytest.mark.parametrize("mode", MODES)
def test_the_node_where_it_began_is_named(mode):
    shifted = X - 1
    logarithm = sg.log(shifted)
    f = checked(sg.exp(logarithm) + 1, mode)
    np.testing.assert_allclose(f(x=np.array([2, 3], "f4")), [2, 3], rtol=1e-6)
    with pytest.raises(NonFiniteError, match=r"log \(float32\[N\], made at .*test_check_fini") as e:
        f(x=np.array([2, -3, 0.5, 4], "f4"))
    text = str(e.value)
    assert "gives nan at index (1,), the first of 2" in text
    assert "logarithm = sg.log(shifted)" in text
    assert "operand 0: subtract" in text and "min -4, max 3" in text
    assert "it reaches output 0; no parameter was changed" in text
    np.testing.assert_allclose(f(x=np.array([2, 3], "f4")), [2, 3], rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("build", "value", "named"),
    [
        (lambda x: 1 / x, 0.0, "divide"),
        (lambda x: sg.exp(x), 1000.0, "exp"),
        (lambda x: x * 1e30 * x, 1e10, "multiply"),
        (lambda x: sg.sum(sg.exp(x)), 1000.0, "exp"),
        (lambda x: sg.log(sg.stack([x, x])).T, -1.0, "log"),
        (lambda x: sg.outer(x, x * 1e30)[:, :1], 1e30, "multiply"),
        (lambda x: sg.reshape(sg.sqrt(x), (-1, 1)), -1.0, "sqrt"),
    ],
)
def test_each_kind_of_output_is_checked(mode, build, value, named):
    f = checked(build(X), mode)
    f(x=np.ones(5, "f4"))
    with pytest.raises(NonFiniteError, match=rf"^{named} \(float32"):
        f(x=np.array([1, 1, value, 1, 1], "f4"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_feed_is_named(mode, bad):
    f = checked(X * 2, mode)
    with pytest.raises(NonFiniteError, match=r"^'x' .* was fed (nan|-?inf) at index \(1,\)"):
        f(x=np.array([0, bad], "f4"))


def test_where_an_infinity_turns_into_nan_is_told_too():
    quotient = 1 / X
    f = checked(quotient - quotient)
    with pytest.raises(NonFiniteError, match=r"^divide .*gives inf(.|\n)*\nlater subtract .*nan"):
        f(x=np.zeros(3, "f4"))


def test_infinities_that_do_not_reach_an_output_are_allowed():
    f = checked([1 / (1 / X), sg.softmax(sg.where(X > 0, X, -np.inf))])
    one, two = f(x=np.array([0, 1, 2], "f4"))
    np.testing.assert_allclose(one, [0, 1, 2])
    assert two[0] == 0
    with pytest.raises(NonFiniteError, match=r"^softmax"):
        f(x=np.zeros(3, "f4"))


@pytest.mark.parametrize("mode", MODES)
def test_updates_are_checked_before_any_is_written(mode):
    good, bad = Parameter(np.ones(3, "f4"), "good"), Parameter(np.ones(4, "f4"), "bad")
    x = Placeholder("x", (), "float32")
    f = checked(x + 1, mode, updates={good: good + x, bad: bad / (x - 3)})
    f(x=2.0)
    before = good.value, bad.value
    np.testing.assert_array_equal(before[0], [3, 3, 3])
    with pytest.raises(
        NonFiniteError, match=r"divide(.|\n)*it reaches the update of parameter 'bad'"
    ):
        f(x=3.0)
    np.testing.assert_array_equal(good.value, before[0])
    np.testing.assert_array_equal(bad.value, before[1])
    f(x=4.0)
    np.testing.assert_array_equal(good.value, [7, 7, 7])


def test_gradients_are_named_after_what_they_differentiate():
    weight = Parameter(np.zeros(3, "f4"), "weight")
    loss = sg.sum(sg.sqrt(weight) * X)
    f = checked(loss, updates={weight: weight - 0.1 * grad(loss, weight)})
    with pytest.raises(NonFiniteError, match="gradient of sqrt"):
        f(x=np.ones(3, "f4"))
    np.testing.assert_array_equal(weight.value, np.zeros(3))


@pytest.mark.parametrize("mode", MODES)
def test_inside_a_branch(mode):
    flag = Placeholder("flag", (), "bool")
    y = cond(flag, lambda: sg.log(X), lambda: X + 1)
    f = checked(y * 2, mode)
    x = np.array([1, -1], "f4")
    np.testing.assert_array_equal(f(flag=False, x=x), [4, 0])
    with pytest.raises(NonFiniteError, match=r"^log"):
        f(flag=True, x=x)


def test_random_numbers_of_the_failed_call_are_looked_at():
    noise = sg.random.normal((1,), dtype="float32", seed=3)
    f = checked(sg.log(noise + 0 * X))
    plain = compile(noise + 0 * X)
    signs = [float(plain(x=np.zeros(1, "f4"))[0]) for _ in range(20)]
    for sign in signs:
        if sign > 0:
            f(x=np.zeros(1, "f4"))
        else:
            with pytest.raises(NonFiniteError, match=r"^log"):
                f(x=np.zeros(1, "f4"))


@pytest.mark.parametrize("mode", MODES)
def test_leaves_repetitions_and_other_dtypes(mode):
    weight = Parameter([1.0, 2.0], "weight")
    flags = X > 0
    f = checked([weight, X, X, flags, sg.sum(flags), sg.Constant(1.5)], mode)
    results = f(x=np.array([1, -1], "f4"))
    np.testing.assert_array_equal(results[0], [1, 2])
    assert results[4] == 1 and results[5] == 1.5
    weight.value = [np.inf, 0]
    with pytest.raises(NonFiniteError, match=r"'weight' .* holds inf at index \(0,\)"):
        f(x=np.array([1, -1], "f4"))


@pytest.mark.parametrize("size", [0, 1, 7, 100_000])
def test_results_do_not_change(size):
    y = [sg.tanh(X) * 3 + 1, sg.sum(X * X), sg.cumsum(X)]
    x = np.random.default_rng(0).standard_normal(size).astype("f4")
    for one, other in zip(checked(y)(x=x), compile(y)(x=x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_last_element_of_a_masked_vector_is_seen_and_nothing_behind_it():
    f = checked(sg.log(X))
    for size in range(1, 40):
        x = np.ones(size, "f4")
        np.testing.assert_array_equal(f(x=x), np.zeros(size))
        x[-1] = -1
        with pytest.raises(NonFiniteError, match=rf"at index \({size - 1},\), the first of 1\n"):
            f(x=x)


def test_without_the_option_nothing_is_checked():
    f = compile(sg.log(X))
    assert "check_finite" not in f.stages
    assert np.isnan(f(x=np.array([-1], "f4"))[0])


def test_open_graphs_are_checked_too():
    x = Placeholder("x")
    f = checked(sg.log(x))
    assert f(x=np.ones(3)).tolist() == [0, 0, 0]
    with pytest.raises(NonFiniteError, match=r"^log"):
        f(x=-np.ones((2, 2)))


def test_updates_are_written_in_place_after_a_probe():
    weight = Parameter(np.ones(1000, "f4"), "weight")
    x = Placeholder("x", (), "float32")
    f = checked(x + 1, updates={weight: weight * x})
    assert "check before the commit" in f.explain()
    assert "copy into the parameter" not in f.explain()
    assert f.memory().arena == 0
    f(x=3e38)
    with pytest.raises(NonFiniteError, match="it reaches the update of parameter 'weight'"):
        f(x=3e38)
    np.testing.assert_array_equal(weight.value, np.full(1000, np.float32(3e38)))


def test_updates_next_to_a_branch():
    flag, x = Placeholder("flag", (), "bool"), Placeholder("x", (), "float32")
    weight, bias = Parameter(np.ones(3, "f4"), "weight"), Parameter(np.ones(3, "f4"), "bias")
    scale = cond(flag, lambda: sg.log(x), lambda: x * 2)
    f = checked(scale, updates={weight: weight * x, bias: bias + scale})
    assert f(flag=False, x=2.0) == 4
    with pytest.raises(NonFiniteError, match=r"^log"):
        f(flag=True, x=-1.0)
    assert f(flag=True, x=1.0) == 0
    np.testing.assert_array_equal(weight.value, [2, 2, 2])
    np.testing.assert_array_equal(bias.value, [5, 5, 5])


def test_a_reduction_in_an_update_is_checked():
    weight = Parameter(np.ones(4, "f4"), "weight")
    x = Placeholder("x", ("N", 4), "float32")
    f = checked(sg.Constant(0.0), updates={weight: weight - sg.sum(sg.log(x), axis=0)})
    f(x=np.ones((5, 4), "f4"))
    with pytest.raises(NonFiniteError, match=r"^log"):
        f(x=-np.ones((5, 4), "f4"))
    np.testing.assert_array_equal(weight.value, [1, 1, 1, 1])
