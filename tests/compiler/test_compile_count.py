"""One compilation serves all extents; ranks, dtypes and broadcasts that differ have their own."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile, cond, grad
from symgraph.errors import FeedError, ShapeError

BATCHES = (1, 7, 8, 64, 0)


def rows(*shape, dtype="float32"):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("order", [BATCHES, BATCHES[::-1]], ids=["from-1", "from-0"])
@pytest.mark.parametrize("batch", ["N", None])
def test_elementwise_and_reductions(batch, order):
    x = Placeholder("x", (batch, 5), "float32")
    y = sg.softmax(x * x - x)
    f = compile([y, sg.sum(x, axis=0), grad(sg.sum(y * y), x)])
    g = compile([y, sg.sum(x, axis=0), grad(sg.sum(y * y), x)], mode="reference")
    assert f.compile_count == 1
    for count in order:
        for found, wanted in zip(f(x=rows(count, 5)), g(x=rows(count, 5)), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
            assert found.shape == wanted.shape
    assert f.compile_count == 1


@pytest.mark.parametrize("order", [BATCHES, BATCHES[::-1]], ids=["from-1", "from-0"])
@pytest.mark.parametrize("batch", ["N", None])
def test_a_train_step(batch, order):
    w1, b1 = Parameter(rows(6, 8), "w1"), Parameter(np.zeros(8, "f4"), "b1")
    w2, b2 = Parameter(rows(8, 3), "w2"), Parameter(np.zeros(3, "f4"), "b2")
    x, t = Placeholder("x", (batch, 6), "float32"), Placeholder("t", (batch, 3), "float32")
    loss = sg.nn.mean_squared_error(sg.relu(x @ w1 + b1) @ w2 + b2, t)
    parameters = [w1, b1, w2, b2]
    step = compile(loss, updates=sg.optim.Momentum(1e-3).updates(loss, parameters))
    reference = compile(loss, mode="reference")
    for count in order:
        feeds = {"x": rows(count, 6), "t": rows(count, 3)}
        if count == 0:
            before = [p.value for p in parameters]
            assert step(**feeds).shape == ()
            for parameter, value in zip(parameters, before, strict=True):
                parameter.value = value
        else:
            np.testing.assert_allclose(reference(**feeds), step(**feeds), rtol=10)
            assert all(np.isfinite(p.value).all() for p in parameters)
    assert step.compile_count == 1


def test_a_condition():
    x, p = Placeholder("x", ("N", 4), "float64"), Placeholder("p", (), "bool")
    f = compile(cond(p, lambda: sg.sum(x, axis=1), lambda: sg.max(x, axis=1)))
    for count in BATCHES:
        values = rows(count, 4, dtype="float64")
        np.testing.assert_allclose(f(x=values, p=True), values.sum(axis=1))
        np.testing.assert_allclose(f(x=values, p=False), values.max(axis=1))
    assert f.compile_count == 1


def test_joining_slicing_and_gathering():
    x = Placeholder("x", ("N", 4), "float64")
    i = Placeholder("i", ("K",), "int64")
    f = compile([sg.concatenate([x, x[::-1]]), x[:, 1:3], x.reshape(-1), x[:, i], x.T @ x])
    for count in BATCHES:
        values, index = rows(count, 4, dtype="float64"), np.arange(count % 5) % 4
        found = f(x=values, i=index)
        expected = [np.concatenate([values, values[::-1]]), values[:, 1:3], values.reshape(-1)]
        for one, two in zip(found, [*expected, values[:, index], values.T @ values], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-13)
            assert one.shape == two.shape
    assert f.compile_count == 1


# Broadcasts of open extents.


def both(*shapes):
    return dict(zip("xy", (rows(*shape, dtype="float64") for shape in shapes), strict=True))


def test_unnamed_extents_that_are_equal_then_one():
    x, y = (Placeholder(name, (None,), "float64") for name in "xy")
    f = compile([x * y, grad(sg.sum((x * y) ** 2), [x, y])])
    counts = []
    for shapes in (
        ((3,), (3,)),
        ((7,), (7,)),
        ((3,), (1,)),
        ((9,), (1,)),
        ((1,), (4,)),
        ((5,), (5,)),
    ):
        feeds = both(*shapes)
        product, (by_x, by_y) = f(**feeds)
        np.testing.assert_array_equal(product, feeds["x"] * feeds["y"])
        assert (by_x.shape, by_y.shape) == shapes
        whole = 2 * product * np.ones(product.shape)
        for slope, other, name in ((by_x, "y", "x"), (by_y, "x", "y")):
            expected = whole * feeds[other]
            if feeds[name].shape == (1,):
                expected = expected.sum(keepdims=True)
            np.testing.assert_allclose(slope, expected, rtol=1e-12)
        counts.append(f.compile_count)
    assert counts == [1, 1, 2, 2, 3, 3]


def test_one_and_one_first():
    x, y = (Placeholder(name, (None,), "float64") for name in "xy")
    f = compile(x + y)
    for shapes in (((1,), (1,)), ((4,), (4,)), ((1,), (1,)), ((4,), (1,)), ((1,), (6,))):
        feeds = both(*shapes)
        np.testing.assert_array_equal(f(**feeds), feeds["x"] + feeds["y"])
    assert f.compile_count <= 4


def test_two_names():
    x, y = Placeholder("x", ("N",), "float64"), Placeholder("y", ("M",), "float64")
    f = compile(x + y)
    for shapes in (
        ((3,), (3,)),
        ((3,), (1,)),
        ((1,), (3,)),
        ((8,), (8,)),
        ((0,), (1,)),
        ((0,), (0,)),
    ):
        feeds = both(*shapes)
        np.testing.assert_array_equal(f(**feeds), feeds["x"] + feeds["y"])
    assert f.compile_count == 3
    with pytest.raises(
        (FeedError, ShapeError),
        match=r"M = 2 and N = 3 do not broadcast in add .*test_compile_count\.py:\d+",
    ):
        f(**both((3,), (2,)))
    assert f.compile_count == 3


def test_one_name_is_one_extent():
    x, y = Placeholder("x", ("N",), "float64"), Placeholder("y", ("N",), "float64")
    f = compile(x + y)
    np.testing.assert_array_equal(f(x=np.ones(3), y=np.ones(3)), np.full(3, 2.0))
    with pytest.raises(FeedError, match=r"'y' has extent 1 along axis 0, but N is 3 in 'x'"):
        f(x=np.ones(3), y=np.ones(1))
    assert f.compile_count == 1


def test_two_axes_are_decided_one_by_one():
    x, y = (Placeholder(name, (None, None), "float64") for name in "xy")
    f = compile(sg.sum(sg.tanh(x) * y, axis=0))
    shapes = [((2, 3), (2, 3)), ((1, 3), (2, 3)), ((2, 1), (2, 3)), ((1, 1), (2, 3))]
    shapes += [(b, a) for a, b in shapes[1:]]
    for one, two in shapes * 2:
        feeds = both(one, two)
        expected = (np.tanh(feeds["x"]) * feeds["y"]).sum(axis=0)
        np.testing.assert_allclose(f(**feeds), expected, rtol=1e-14)
    assert f.compile_count == 7


def test_a_guard_inside_a_condition():
    x, y = (Placeholder(name, (None,), "float64") for name in "xy")
    p = Placeholder("p", (), "bool")
    f = compile(cond(p, lambda: sg.sum(x * y), lambda: sg.sum(x + y)))
    for shapes in (((3,), (3,)), ((3,), (1,)), ((1,), (3,)), ((6,), (6,))):
        feeds = both(*shapes)
        np.testing.assert_allclose(f(**feeds, p=True), np.sum(feeds["x"] * feeds["y"]))
        np.testing.assert_allclose(f(**feeds, p=False), np.sum(feeds["x"] + feeds["y"]))
    assert f.compile_count == 3


def test_an_open_extent_against_a_parameter():
    x, w = Placeholder("x", (None,), "float64"), Parameter(np.arange(5.0), "w")
    f = compile(x + w, updates={w: w + sg.sum(x)})
    np.testing.assert_array_equal(f(x=np.ones(5)), np.arange(5.0) + 1)
    np.testing.assert_array_equal(f(x=np.ones(1)), np.arange(5.0) + 6)
    assert f.compile_count == 2
    before = w.value
    with pytest.raises((FeedError, ShapeError), match=r"(?s)4.*5"):
        f(x=np.ones(4))
    np.testing.assert_array_equal(w.value, before)


# Ranks and dtypes.


def test_mixed_ranks_and_dtypes():
    a, b = Placeholder("a"), Placeholder("b")
    f = compile(a - b)
    cases = [((), ()), ((3,), ()), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3))]
    dtypes = [("float32", "float32"), ("int32", "float32"), ("int64", "int32")]
    for dtype_a, dtype_b in dtypes:
        for shape_a, shape_b in cases:
            one, two = np.full(shape_a, 5, dtype_a), np.full(shape_b, 3, dtype_b)
            for _ in range(2):
                found = f(a=one, b=two)
                assert found.dtype == (one - two).dtype
                np.testing.assert_array_equal(found, one - two)
    assert f.compile_count == len(dtypes) * len(cases)


def test_variants_share_their_parameters():
    x, w = Placeholder("x"), Parameter(1.0, "w")
    f = compile(w * x, updates={w: w + sg.sum(x) * 0 + 1})
    assert f(x=2.0) == 2
    np.testing.assert_array_equal(f(x=np.array([2.0, 3.0])), [4, 6])
    assert f(x=2.0) == 6
    assert (w.value, f.compile_count) == (4, 2)
