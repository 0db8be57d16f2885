"""Batch and layer normalisation: recorded values, statistics, derivatives, what is refused."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import FeedError, ShapeError
from symgraph.ops.batch_statistics import batch_moments, running_moments
from symgraph.ops.normalization import batch_norm_training, normalized

SHAPES = [("N", 3), ("N", 3, "H", "W")]
X = np.array([[1.0, 2.0], [3.0, 6.0]])
GAMMA, BETA = np.array([1.0, 2.0]), np.array([0.0, 1.0])
EPS = 2e-5


def batch(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def axes_of(x):
    return tuple(axis for axis in range(x.ndim) if axis != 1)


def of_channels(values, x):
    return values.reshape([-1 if axis == 1 else 1 for axis in range(x.ndim)])


def training_step(shape=("N", 2), dtype="float64", decay=0.9):
    """Return leaves and the outputs of a training step."""
    channels = shape[1]
    x = sg.Placeholder("x", shape, dtype)
    names = ("gamma", "beta", "mean", "variance")
    leaves = [sg.Placeholder(name, (channels,), dtype) for name in names]
    return [x, *leaves], batch_norm_training(x, *leaves, decay, EPS)


def test_recorded_values_of_a_step_and_of_inference():
    leaves, outputs = training_step()
    y, mean, variance = sg.compile(outputs, inputs=leaves)(X, GAMMA, BETA, np.zeros(2), np.ones(2))
    expected = [[-0.9999900001, -0.9999950000], [0.9999900001, 2.9999950000]]
    np.testing.assert_allclose(y, expected, atol=1e-9)
    np.testing.assert_allclose(mean, [0.2, 0.4], rtol=1e-14)
    np.testing.assert_allclose(variance, [1.1, 1.7], rtol=1e-14)
    inference = sg.compile(normalized(*leaves, EPS), inputs=leaves)
    expected = [[0.7627631372, 3.4542735275], [2.6696709803, 9.5899573461]]
    np.testing.assert_allclose(inference(X, GAMMA, BETA, mean, variance), expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_of_a_batch(shape, dtype):
    x = 3 + 2 * batch(5, 3, *(4, 7)[: len(shape) - 2], dtype=dtype)
    leaf = sg.Placeholder("x", shape, dtype)
    mean, variance = sg.compile(batch_moments(leaf))(x)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(mean, x.mean(axis=axes_of(x)), rtol=tolerance)
    np.testing.assert_allclose(variance, x.var(axis=axes_of(x)), rtol=tolerance)
    assert mean.dtype == variance.dtype == dtype


def test_a_large_mean_does_not_drown_the_variance():
    x = (1000 + batch(4096, 2)).astype(np.float32)
    leaf = sg.Placeholder("x", ("N", 2), "float32")
    y = normalized(leaf, np.ones(2, np.float32), np.zeros(2, np.float32), *batch_moments(leaf))
    _, variance = sg.compile(batch_moments(leaf))(x)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=0), rtol=1e-6)
    found = sg.compile(y)(x)
    assert abs(found.std(dtype=np.float64) - 1) < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_the_whole_batch_formula(shape):
    x = batch(5, 3, *(4, 7)[: len(shape) - 2])
    g, (gamma, beta) = batch(*x.shape, seed=1), batch(2, 3, seed=2)
    leaves, (y, *_) = training_step(shape)
    given = sg.Placeholder("g", shape, "float64")
    slopes = sg.grad((y * given).sum(), leaves[:3])
    by_x, by_gamma, by_beta = sg.compile(slopes)(x=x, gamma=gamma, beta=beta, g=g)
    axes = axes_of(x)
    mean, variance = (f(x, axis=axes, keepdims=True) for f in (np.mean, np.var))
    standard = (x - mean) / np.sqrt(variance + EPS)
    np.testing.assert_allclose(by_beta, g.sum(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(by_gamma, (g * standard).sum(axis=axes), rtol=1e-12)
    inner = g - g.mean(axis=axes, keepdims=True)
    inner -= standard * (g * standard).mean(axis=axes, keepdims=True)
    expected = of_channels(gamma, x) / np.sqrt(variance + EPS) * inner
    np.testing.assert_allclose(by_x, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("trained", [True, False])
def test_gradients_agree_with_torch_to_second_order(trained):
    torch = pytest.importorskip("torch")
    x, gamma, beta = batch(4, 3, 2, 5), batch(3, seed=1), batch(3, seed=2)
    mean, variance = batch(3, seed=3), 1 + batch(3, seed=4) ** 2
    leaves, (y, *moved) = training_step(SHAPES[1], decay=0.7)
    if not trained:
        y = normalized(*leaves, EPS)
    first = sg.grad((y**3).sum(), leaves[:3])
    second = sg.grad(sum((slope**2).sum() for slope in first), leaves[:2])
    feeds = dict(zip(("x", "gamma", "beta", "mean", "variance"),
                     (x, gamma, beta, mean, variance), strict=True))  # fmt: skip
    ours = sg.compile((first, second, moved))(**feeds)
    tensors = [torch.from_numpy(v.copy()).requires_grad_() for v in (x, gamma, beta)]
    running = [torch.from_numpy(v.copy()) for v in (mean, variance)]
    out = torch.nn.functional.batch_norm(
        tensors[0], *running, *tensors[1:], training=trained, momentum=0.3, eps=EPS
    )
    slopes = torch.autograd.grad((out**3).sum(), tensors, create_graph=True)
    seconds = torch.autograd.grad(sum((s**2).sum() for s in slopes), tensors[:2])
    theirs = [*slopes, *seconds, *(running if trained else [])]
    found = [*ours[0], *ours[1], *(ours[2] if trained else [])]
    for left, right in zip(found, theirs, strict=True):
        np.testing.assert_allclose(left, right.detach().numpy(), rtol=1e-8, atol=1e-10)


def test_float32_gradients_are_as_exact_as_their_dtype():
    x = (100 + batch(64, 3, 6, 6)).astype(np.float32)
    g = batch(*x.shape, dtype="float32", seed=1)
    found = []
    for dtype in ("float32", "float64"):
        leaves, (y, *_) = training_step(SHAPES[1], dtype)
        given = sg.Placeholder("g", SHAPES[1], dtype)
        slopes = sg.compile(sg.grad((y * given).sum(), leaves[:3]))
        ones = np.ones(3, dtype)
        found.append(slopes(x=x.astype(dtype), gamma=ones, beta=ones, g=g.astype(dtype)))
    for single, double in zip(*found, strict=True):
        np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-5)


def test_one_compilation_serves_all_batches_and_an_empty_one_changes_nothing():
    _, outputs = training_step(SHAPES[1], "float32")
    function = sg.compile(outputs)
    state = {"mean": batch(3, dtype="float32"), "variance": np.ones(3, np.float32)}
    scale = {"gamma": np.ones(3, np.float32), "beta": np.zeros(3, np.float32)}
    for shape in ((8, 3, 4, 4), (1, 3, 1, 1), (0, 3, 4, 4)):
        y, mean, variance = function(x=batch(*shape, dtype="float32"), **state, **scale)
        assert y.shape == shape
        assert np.isfinite([mean, variance]).all()
    assert function.compile_count == 1
    np.testing.assert_array_equal(mean, state["mean"])
    np.testing.assert_array_equal(variance, state["variance"])


def test_running_statistics_keep_their_dtype():
    x = sg.Placeholder("x", ("N", 3), "float64")
    old = np.zeros(3, np.float32)
    assert [y.dtype for y in running_moments(x, batch_moments(x), (old, old))] == ["float32"] * 2


def test_open_inputs_are_normalised_too():
    x = sg.Placeholder("x")
    y, *_ = batch_norm_training(x, GAMMA, BETA, np.zeros(2), np.ones(2))
    found = sg.compile(y)(X)
    expected = [[-0.9999900001, -0.9999950000], [0.9999900001, 2.9999950000]]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_threads_do_not_change_bits():
    x = batch(32, 8, 15, 15, dtype="float32")
    leaf = sg.Placeholder("x", ("N", 8, "H", "W"), "float32")
    y, *moved = batch_norm_training(leaf, *np.ones((4, 8), np.float32))
    outputs = (y, *moved, sg.grad((y**3).sum(), leaf))
    one, two = (sg.compile(outputs, threads=threads)(x) for threads in (1, 2))
    for left, right in zip(one, two, strict=True):
        assert left.tobytes() == right.tobytes()


LAYER = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 8.0]])


def test_layer_norm_values():
    y = sg.nn.layer_norm(sg.Placeholder("x", ("N", 4), "float64"), np.full(4, 2.0), np.ones(4), 0)
    wide, narrow = 3 / np.sqrt(5), 1 / np.sqrt(5)
    root = np.sqrt(3)
    expected = [
        [1 - 2 * wide, 1 - 2 * narrow, 1 + 2 * narrow, 1 + 2 * wide],
        [1 - 2 / root, 1 - 2 / root, 1 - 2 / root, 1 + 2 * root],
    ]
    np.testing.assert_allclose(sg.compile(y)(LAYER), expected, rtol=1e-13)


@pytest.mark.parametrize("rank", [1, 2])
def test_layer_norm_agrees_with_torch_to_second_order(rank):
    torch = pytest.importorskip("torch")
    x = batch(5, 3, 7)
    gamma, beta = (batch(*x.shape[-rank:], seed=seed) for seed in (1, 2))
    leaves = [
        sg.Placeholder(name, value.shape, "float64")
        for name, value in (("x", x), ("gamma", gamma), ("beta", beta))
    ]
    y = sg.nn.layer_norm(*leaves)
    first = sg.grad((y**3).sum(), leaves)
    second = sg.grad(sum((slope**2).sum() for slope in first), leaves[:2])
    ours = sg.compile((y, *first, *second))(x=x, gamma=gamma, beta=beta)
    tensors = [torch.from_numpy(v).requires_grad_() for v in (x, gamma, beta)]
    out = torch.nn.functional.layer_norm(tensors[0], gamma.shape, *tensors[1:])
    slopes = torch.autograd.grad((out**3).sum(), tensors, create_graph=True)
    seconds = torch.autograd.grad(sum((s**2).sum() for s in slopes), tensors[:2])
    for left, right in zip(ours, (out, *slopes, *seconds), strict=True):
        np.testing.assert_allclose(left, right.detach().numpy(), rtol=1e-8, atol=1e-10)


HERE = r"[\s\S]*at .*test_normalization\.py:\d+"


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_what_has_no_channels_is_refused(shape):
    x, ones = sg.Placeholder("x", shape, "float32"), np.ones(3, np.float32)
    message = rf"x needs the axes \(N, D\) or \(N, C, H, W\), but has {len(shape)}{HERE}"
    with pytest.raises(ShapeError, match=message):
        batch_moments(x)
    with pytest.raises(ShapeError, match=message):
        normalized(x, ones, ones, ones, ones)


@pytest.mark.parametrize(
    ("position", "name"), [(0, "gamma"), (1, "beta"), (2, "the mean"), (3, "the variance")]
)
def test_another_number_of_channels_is_refused(position, name):
    operands = [np.ones(3, np.float32)] * 4
    operands[position] = np.ones(4, np.float32)
    x = sg.Placeholder("x", ("N", 3), "float32")
    with pytest.raises(ShapeError, match=f"{name} has the type .*, but x has 3 channels{HERE}"):
        normalized(x, *operands)
    operands[position] = np.ones((1, 3), np.float32)
    with pytest.raises(ShapeError, match=f"{name} has the type .*, but x has 3 channels{HERE}"):
        normalized(x, *operands)


def test_channels_are_checked_when_called():
    function = sg.compile(normalized(sg.Placeholder("x", ("N", "C"), "float64"), *[GAMMA] * 4))
    with pytest.raises(FeedError, match=f"gamma has the type .*, but x has C channels .*{HERE}"):
        function(np.ones((2, 3)))


@pytest.mark.parametrize("shape", [(), (2,), (5, 4), (2, 5, 3)])
def test_layer_parameters_of_another_shape_are_refused(shape):
    x, ones = sg.Placeholder("x", ("N", 3), "float32"), np.ones(shape, np.float32)
    with pytest.raises(ShapeError, match=f"gamma and beta have the types .*, but need the{HERE}"):
        sg.nn.layer_norm(x, ones, ones)


def test_layer_parameters_of_two_shapes_are_refused():
    x = sg.Placeholder("x", ("N", 3, 3), "float32")
    with pytest.raises(ShapeError, match=f"gamma and beta have the types .*, but need the{HERE}"):
        sg.nn.layer_norm(x, np.ones((3, 3), np.float32), np.ones(3, np.float32))
