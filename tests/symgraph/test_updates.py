"""Updates: computed from the old values, written together, all or none."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, compile, cond
from symgraph.errors import BoundsError, DTypeError, FeedError, GraphError, ShapeError

HERE = r"(?s:.*)test_updates\.py:"
MODES = pytest.mark.parametrize("mode", ["native", "reference"])


@MODES
@pytest.mark.parametrize("shape", [(), (3,), (40, 50)])
def test_two_parameters_swap(shape, mode):
    p, q = Parameter(np.zeros(shape), "p"), Parameter(np.ones(shape), "q")
    swap = compile([p + 0, q], updates={p: q, q: p}, mode=mode)
    for turn in range(3):
        first, second = swap()
        assert (first == turn % 2).all()
        assert (second == 1 - turn % 2).all()
    assert (p.value == 1).all()
    assert (q.value == 0).all()


@MODES
def test_three_parameters_rotate_with_arithmetic(mode):
    a, b, c = (Parameter(np.full(5, float(n))) for n in (1, 2, 3))
    turn = compile([], updates={a: b * 2, b: c - 1, c: a + b}, mode=mode)
    x, y, z = (p.value for p in (a, b, c))
    for _ in range(4):
        turn()
        x, y, z = y * 2, z - 1, x + y
    for parameter, expected in zip((a, b, c), (x, y, z), strict=True):
        np.testing.assert_array_equal(parameter.value, expected)


@MODES
def test_updates_that_depend_on_each_other_use_old_values(mode):
    w, v = Parameter(1.0, "w"), Parameter(2.0, "v")
    velocity = v * 0.5 + w
    f = compile([w, v, velocity], updates={v: velocity, w: w - velocity}, mode=mode)
    old_w, old_v = 1.0, 2.0
    for _ in range(4):
        found = f()
        new_v = old_v * 0.5 + old_w
        assert [x.item() for x in found] == [old_w, old_v, new_v]
        old_w, old_v = old_w - new_v, new_v
    assert (w.value, v.value) == (old_w, old_v)


@MODES
def test_the_updated_parameter_is_also_an_output(mode):
    p = Parameter(np.arange(3.0))
    f = compile([p, p + 1, p], updates={p: p + 1}, mode=mode)
    before, after, again = f()
    np.testing.assert_array_equal(before, np.arange(3.0))
    np.testing.assert_array_equal(after, p.value)
    np.testing.assert_array_equal(again, before)


@MODES
def test_the_new_value_is_also_an_output(mode):
    p = Parameter(np.arange(4.0))
    new = sg.sin(p) * 3
    f = compile([new, new.sum()], updates={p: new}, mode=mode)
    shown, total = f()
    np.testing.assert_array_equal(shown, p.value)
    np.testing.assert_allclose(total, shown.sum())
    shown[0] = 99
    assert p.value[0] != 99


@MODES
def test_updates_to_constants_feeds_and_views(mode):
    p = Parameter(np.arange(4.0))
    x = Placeholder("x", (4,), "float64")
    fed = np.array([3.0, 1.0, 4.0, 1.5])
    for value, expected in (
        (Constant(np.ones(4)), np.ones(4)),
        (x, fed),
        (x[::-1], fed[::-1]),
        (p[::-1], np.arange(4.0)[::-1]),
        (p.reshape(2, 2).T.ravel(), [0, 2, 1, 3]),
        (sg.broadcast_to(x.sum(), (4,)), np.full(4, 9.5)),
        (sg.full_like(p, 2), np.full(4, 2.0)),
    ):
        p.value = np.arange(4.0)
        compile([], updates={p: value}, inputs=[x], mode=mode)(x=fed)
        np.testing.assert_array_equal(p.value, expected)
        assert not np.shares_memory(p.storage, fed)


@MODES
def test_weak_numbers_take_the_dtype_of_the_parameter(mode):
    p = Parameter(np.float32(1), "p")
    k = Parameter(np.array(1, "int32"), "k")
    compile([], updates={p: 3, k: 4}, mode=mode)()
    assert (p.value, p.value.dtype, k.value, k.value.dtype) == (3, np.float32, 4, np.int32)


@MODES
def test_two_parameters_take_one_new_value(mode):
    p, q, x = Parameter(np.zeros(3)), Parameter(np.zeros(3)), Placeholder("x", (3,), "float64")
    compile([], updates=[(p, x * 2), (q, x * 2)], mode=mode)(x=np.ones(3))
    new = x * 5
    compile([], updates=iter([(p, new), (q, new)]), mode=mode)(x=np.ones(3))
    np.testing.assert_array_equal(p.value, q.value)
    np.testing.assert_array_equal(p.value, np.full(3, 5.0))


@MODES
def test_a_parameter_that_only_the_updates_mention(mode):
    p = Parameter(np.zeros((2, 3)))
    step = compile(Constant(1.0), updates={p: sg.ones((2, 3))}, mode=mode)
    assert step() == 1
    np.testing.assert_array_equal(p.value, np.ones((2, 3)))


@MODES
def test_functions_share_parameters(mode):
    p = Parameter(np.zeros(3))
    add = compile([], updates={p: p + 1}, mode=mode)
    show = compile(p * 10, mode=mode)
    add()
    np.testing.assert_array_equal(show(), np.full(3, 10.0))
    p.value = np.full(3, 7)
    np.testing.assert_array_equal(show(), np.full(3, 70.0))
    add()
    np.testing.assert_array_equal(show(), np.full(3, 80.0))


@MODES
def test_updates_inside_conditions(mode):
    p, flag = Parameter(np.zeros(3)), Placeholder("flag", (), "bool")
    f = compile(p, updates={p: cond(flag, lambda: p + 1, lambda: p)}, mode=mode)
    for value in (True, False, True):
        f(flag=value)
    np.testing.assert_array_equal(p.value, [2, 2, 2])


@MODES
def test_a_failed_check_changes_no_parameter(mode):
    p, q = Parameter(np.arange(5.0), "p"), Parameter(1.0, "q")
    i = Placeholder("i", ("N",), "int64")
    f = compile(p[i].sum(), updates={p: p * 2, q: q + p[i].sum()}, mode=mode)
    with pytest.raises(BoundsError, match=f"out of range|bounds{HERE}"):
        f(i=np.array([0, 9]))
    with pytest.raises(FeedError, match="dtype float64"):
        f(i=np.array([0.5]))
    np.testing.assert_array_equal(p.value, np.arange(5.0))
    assert q.value == 1
    assert f(i=np.array([1, 2])) == 3
    assert q.value == 4


@MODES
def test_an_open_update_that_does_not_fit_changes_no_parameter(mode):
    p, q = Parameter(np.zeros(3), "p"), Parameter(np.zeros(3), "q")
    x = Placeholder("x")
    f = compile([], updates={p: p + 1, q: x}, mode=mode)
    for _ in range(2):
        with pytest.raises(FeedError, match=r"the update of 'q' .* has another shape: 'x' .*here"):
            f(x=np.zeros(4))
        with pytest.raises(ShapeError, match=r"the update of 'q' .* has another shape: 'x'"):
            f(x=np.zeros((3, 1)))
        with pytest.raises(DTypeError, match=r"(?s)'q' .*another dtype.*astype\('float64'\)"):
            f(x=np.zeros(3, "f4"))
    np.testing.assert_array_equal(p.value, np.zeros(3))
    f(x=np.full(3, 2.0))
    np.testing.assert_array_equal(p.value + q.value, [3, 3, 3])


@MODES
def test_an_update_of_symbolic_extent_is_checked_at_the_call(mode):
    p, x = Parameter(np.zeros(3), "p"), Placeholder("x", ("N",), "float64")
    f = compile([], updates={p: x * 2}, mode=mode)
    f(x=np.ones(3))
    for count in (4, 1, 0):
        with pytest.raises(FeedError, match=rf"the update of 'p' .*another shape: multiply{HERE}"):
            f(x=np.ones(count))
    np.testing.assert_array_equal(p.value, np.full(3, 2.0))


def test_updates_that_cannot_fit_are_refused_at_once():
    p, k = Parameter(np.zeros(3, "f4"), "p"), Parameter(np.zeros(3, int), "k")
    wide = Placeholder("wide", (3,), "float64")
    with pytest.raises(ShapeError, match=rf"update of 'p' \(float32\[3\], made at{HERE}.*shape"):
        compile([], updates={p: p.sum()})
    with pytest.raises(DTypeError, match=rf"update of 'p' .*dtype: 'wide' \(f{HERE}(?s:.*)cast"):
        compile([], updates={p: wide})
    with pytest.raises(DTypeError, match=r"update of 'k' .*another dtype"):
        compile([], updates={k: sg.full_like(k, 1.5, dtype="float64")})
    with pytest.raises(DTypeError, match=r"update of 'k0' .*another dtype: constant"):
        compile([], updates={Parameter(np.array(1), "k0"): 1.5})
    with pytest.raises(DTypeError, match=r"update of 'p' .*another dtype: add \(float64\[3\]"):
        compile([], updates={p: wide + 1})


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        (5, "updates map parameters to their new values, which 5 does not"),
        ([5], "updates are pairs"),
        ([(1, 2, 3)], "updates are pairs"),
        ({1: 2}, "only parameters can be updated, not 1"),
        ({Constant(1.0): 2}, "only parameters can be updated, not <constant"),
    ],
)
def test_what_is_no_update_is_refused(updates, message):
    with pytest.raises(GraphError, match=f"{message}{HERE}"):
        compile([], updates=updates)


def test_one_parameter_twice_is_refused():
    p = Parameter(1.0, "p")
    with pytest.raises(GraphError, match=rf"'p' \(.*\) is updated twice{HERE}"):
        compile([], updates=[(p, 1.0), (p, 2.0)])
    with pytest.raises(GraphError, match=r"which <parameter 'p'.*> does not"):
        compile([], updates=p)


def test_large_updates_are_exact_in_place():
    rng = np.random.default_rng(0)
    weights = [Parameter(rng.standard_normal((64, 300)).astype("f4")) for _ in range(4)]
    momenta = [Parameter(np.zeros((64, 300), "f4")) for _ in range(4)]
    x = Placeholder("x", ("N", 64), "float32")
    loss = sum((sg.tanh(x @ w) ** 2).sum() for w in weights)
    slopes = sg.grad(loss, weights)
    updates = {}
    for w, m, g in zip(weights, momenta, slopes, strict=True):
        updates[m] = 0.9 * m - 0.01 * g
        updates[w] = w + updates[m]
    before = [(w.value, m.value) for w, m in zip(weights, momenta, strict=True)]
    fed = rng.standard_normal((10, 64)).astype("f4")
    expected = compile(slopes)(x=fed)
    compile(loss, updates=updates)(x=fed)
    for w, m, (old_w, old_m), g in zip(weights, momenta, before, expected, strict=True):
        new_m = np.float32(0.9) * old_m - np.float32(0.01) * g
        np.testing.assert_allclose(m.value, new_m, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(w.value, old_w + new_m, rtol=1e-5, atol=1e-6)
