"""Section 1 of the design: the names and behaviours that users rely on."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, compile, cond, grad

BATCHES = (1, 7, 8, 64, 0)
MODES = ("native", "reference")


def small_mlp(*, seed=0, batch="N", inputs=6, hidden=8, classes=3, dtype="float32"):
    """Return the step of a small classifier and its parameters."""
    rng = np.random.default_rng(seed)
    shapes = {"W1": (inputs, hidden), "b1": (hidden,), "W2": (hidden, classes), "b2": (classes,)}
    parameters = {
        name: Parameter((rng.standard_normal(shape) * 0.3).astype(dtype), name)
        for name, shape in shapes.items()
    }
    x = Placeholder("x", (batch, inputs), dtype)
    labels = Placeholder("labels", (batch,), "int64")
    first = sg.relu(x @ parameters["W1"] + parameters["b1"])
    loss = sg.nn.softmax_cross_entropy(first @ parameters["W2"] + parameters["b2"], labels)
    return loss, list(parameters.values())


def mlp_feeds(count, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((count, 6)).astype("float32"),
        "labels": rng.integers(0, 3, count),
    }


@pytest.mark.parametrize("mode", MODES)
def test_the_example(mode):
    a, b = Placeholder("a"), Placeholder("b")
    f = compile(a * b + Constant(1), mode=mode)
    result = f(a=np.array(2), b=np.array(3))
    assert isinstance(result, np.ndarray)
    assert (result.ndim, result.dtype.kind, result.item()) == (0, "i", 7)
    vectors = f(a=np.ones(10), b=2 * np.ones(10))
    assert vectors.dtype == np.float64
    np.testing.assert_array_equal(vectors, np.full(10, 3.0))


def test_the_example_keeps_every_dtype():
    a, b = Placeholder("a"), Placeholder("b")
    f = compile(a * b + Constant(1))
    for dtype in ("int32", "int64", "float32", "float64"):
        assert f(a=np.array([2], dtype), b=np.array([3], dtype)).dtype == dtype
    assert f.compile_count == 4


@pytest.mark.parametrize(
    ("extents", "compilations"), [(("N",), 1), ((None,), 1)], ids=["named", "unnamed"]
)
def test_one_compilation_serves_every_batch(extents, compilations):
    x = Placeholder("x", (*extents, 5), "float32")
    f = compile([sg.tanh(x) * 2 + 1, x.sum(axis=0), x.mean(axis=1)])
    for count in BATCHES:
        values = np.random.default_rng(count).standard_normal((count, 5)).astype("float32")
        shown, total, means = f(x=values)
        np.testing.assert_allclose(shown, np.tanh(values) * 2 + 1, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(total, values.sum(axis=0), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(means, values.mean(axis=1), rtol=1e-5, atol=1e-6)
    assert f.compile_count == compilations


def test_one_compilation_serves_every_batch_of_a_train_step():
    loss, parameters = small_mlp()
    gradients = grad(loss, parameters)
    step = compile(
        loss, updates={p: p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)}
    )
    reference = compile([loss, *gradients], mode="reference")
    for count in BATCHES[:-1]:
        feeds = mlp_feeds(count)
        before = [parameter.value for parameter in parameters]
        expected, *slopes = reference(**feeds)
        np.testing.assert_allclose(step(**feeds), expected, rtol=1e-5)
        for parameter, old, slope in zip(parameters, before, slopes, strict=True):
            np.testing.assert_allclose(
                parameter.value, old - np.float32(0.1) * slope, rtol=1e-5, atol=1e-6
            )
    empty = step(**mlp_feeds(0))
    assert empty.shape == ()
    assert step.compile_count == 1


def test_open_shapes_compile_once_for_growing_batches():
    a, b, bias = Placeholder("a"), Placeholder("b"), Parameter(np.arange(4.0))
    f = compile(sg.sin(a) * b + bias)
    for count in (2, 3, 10, 1, 64, 0):
        values = np.random.default_rng(count).standard_normal((2, count, 4))
        np.testing.assert_allclose(
            f(a=values[0], b=values[1]), np.sin(values[0]) * values[1] + np.arange(4.0)
        )
    assert f.compile_count == 1


def test_open_ranks_compile_once_for_each_rank():
    a = Placeholder("a")
    f = compile(a * 2)
    for shape in [(3,), (2, 2), (), (4,), (1, 1, 1), (2, 0), (5, 5)]:
        np.testing.assert_array_equal(f(a=np.ones(shape)), np.full(shape, 2.0))
    assert f.compile_count == 4


def test_open_dtypes_compile_once_for_each_dtype():
    a = Placeholder("a", ("N",))
    f = compile(a + a)
    for dtype in ("float32", "int64", "float32", "int64", "int32"):
        result = f(a=np.ones(3, dtype))
        assert result.dtype == dtype
    assert f.compile_count == 3


def test_broadcasts_of_open_extents_are_decided_at_the_call():
    x, y = Placeholder("x", (None, None), "float64"), Placeholder("y", (None, None), "float64")
    f = compile(x + y)
    shapes = [((5, 5), (5, 5)), ((1, 5), (5, 5)), ((5, 5), (5, 1)), ((1, 1), (1, 1))]
    shapes += [((0, 3), (0, 3)), ((0, 3), (1, 3)), ((7, 2), (7, 2)), ((7, 1), (1, 2))]
    for one, other in shapes:
        values = np.random.default_rng(3).random(one), np.random.default_rng(4).random(other)
        np.testing.assert_array_equal(f(x=values[0], y=values[1]), values[0] + values[1])


def test_a_condition_runs_one_side():
    flag = Placeholder("flag", (), "bool")
    x, y = Placeholder("x", (), "float64"), Placeholder("y", (), "float64")
    f = compile(cond(flag, lambda: x + y, lambda: x * y))
    assert f(flag=True, x=2.0, y=3.0) == 5
    assert f(flag=False, x=2.0, y=3.0) == 6


def test_gradients_are_nodes():
    x, w, b = (Placeholder(name, (), "float64") for name in "xwb")
    loss = sg.tanh(x * w + b)
    gx = grad(loss, x)
    assert isinstance(gx, sg.Node)
    assert isinstance(grad(loss, [w, b]), list)
    third = grad(grad(gx, x), x)
    result = compile(third)(x=0.3, w=1.0, b=0.0)
    t = np.tanh(0.3)
    np.testing.assert_allclose(result, (1 - t * t) * (6 * t * t - 2), rtol=1e-13)


def test_weak_numbers_keep_the_dtype():
    x = Placeholder("x", ("N",), "float32")
    k = Placeholder("k", ("N",), "int32")
    outputs = [x * 2.0, 1 / x, x**2, Constant(1) + x, x + np.float32(1), k * 2, k + Constant(1)]
    results = compile(outputs)(x=np.ones(2, "f4"), k=np.ones(2, "i4"))
    assert [r.dtype.name for r in results] == ["float32"] * 5 + ["int32"] * 2
    strong = compile([x + np.float64(1), k + np.int64(1), k * 2.0])(
        x=np.ones(2, "f4"), k=np.ones(2, "i4")
    )
    assert [r.dtype.name for r in strong] == ["float64", "int64", "float64"]


def test_a_train_step_with_an_optimizer_is_one_function():
    loss, parameters = small_mlp()
    step = compile(loss, updates=sg.optim.Adam(1e-2).updates(loss, parameters))
    feeds = mlp_feeds(40)
    losses = [float(step(**feeds)) for _ in range(60)]
    assert losses[-1] < 0.6 * losses[0]
    assert step.compile_count == 1


def test_native_and_reference_train_alike():
    results = []
    for mode in MODES:
        loss, parameters = small_mlp(dtype="float64")
        slopes = grad(loss, parameters)
        step = compile(
            [loss, {"slopes": slopes}],
            updates={p: p - 0.3 * g for p, g in zip(parameters, slopes, strict=True)},
            mode=mode,
        )
        rng = np.random.default_rng(9)
        feeds = {"x": rng.standard_normal((17, 6)), "labels": rng.integers(0, 3, 17)}
        losses = [step(**feeds)[0] for _ in range(20)]
        results.append((losses, [parameter.value for parameter in parameters]))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    for native, reference in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(native, reference, rtol=1e-11, atol=1e-13)


def test_threads_do_not_change_the_bits():
    x = Placeholder("x", ("N", "M"), "float32")
    w = Parameter(np.random.default_rng(0).standard_normal((300, 70)).astype("f4"))
    outputs = [
        sg.exp(x).sum(),
        sg.tanh(x) @ w,
        x.mean(axis=0),
        sg.softmax(x),
        sg.sum(sg.sin(x) * x, axis=1),
    ]
    values = np.random.default_rng(1).standard_normal((2000, 300)).astype("f4")
    alone, pair, free = (compile(outputs, threads=n)(x=values) for n in (1, 2, None))
    for one, two, any_number in zip(alone, pair, free, strict=True):
        assert one.tobytes() == two.tobytes() == any_number.tobytes()


def test_shapes_unknown_at_compile_time_are_asked_for_with_a_reason():
    f = compile(Placeholder("a") * 2)
    assert f.compile_count == 0
    with pytest.raises(sg.ShapeError, match=r"open until the first call(?s:.*)test_contract\.py:"):
        f.stages  # noqa: B018  # the property raises
    f(a=1.0)
    assert f.stages
