"""Initial values: their distributions, their seeds, what is no initialiser."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import Conv2d, Linear, initial

HERE = r"(?s:.*)test_initial\.py:"
INPUTS, OUTPUTS = 400, 100


@pytest.mark.parametrize(
    ("initialiser", "variance", "limit"),
    [
        (initial.lecun_normal, 1 / INPUTS, None),
        (initial.lecun_uniform, 1 / INPUTS, np.sqrt(3 / INPUTS)),
        (initial.he_normal, 2 / INPUTS, None),
        (initial.he_uniform, 2 / INPUTS, np.sqrt(6 / INPUTS)),
        (initial.xavier_normal, 2 / (INPUTS + OUTPUTS), None),
        (initial.xavier_uniform, 2 / (INPUTS + OUTPUTS), np.sqrt(6 / (INPUTS + OUTPUTS))),
        (initial.normal(0.5), 0.25, None),
        (initial.uniform(-2, 2), 4 / 3, 2.0),
    ],
)
def test_the_spread_is_what_the_papers_say(initialiser, variance, limit):
    values = initial.draw(initialiser, (INPUTS, OUTPUTS), "float64", seed=0)
    assert values.var() == pytest.approx(variance, rel=0.02)
    assert abs(values.mean()) < 4 * np.sqrt(variance / values.size)
    # The fourth moment tells a normal distribution, 3, from a uniform one, 9 / 5.
    shape = np.mean(values**4) / variance**2
    assert shape == pytest.approx(3 if limit is None else 1.8, rel=0.05)
    if limit is not None:
        assert 0.99 * limit < np.abs(values).max() <= limit


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 2, 2, 2)])
def test_orthogonal_rows_or_columns(shape):
    values = initial.draw(
        initial.orthogonal(2.0), shape, "float64", seed=0, fans=initial.Fans(1, 1)
    ).reshape(shape[0], -1)
    small = values if values.shape[0] <= values.shape[1] else values.T
    np.testing.assert_allclose(small @ small.T, 4 * np.eye(len(small)), atol=1e-12)


def test_a_constant_draws_nothing():
    source = np.random.default_rng(0)
    layer = Linear(2, 3, initial=initial.constant(0.5), seed=source)
    np.testing.assert_array_equal(layer.W.value, np.full((3, 2), 0.5, "float32"))
    assert source.random() == np.random.default_rng(0).random()


def test_seeds_repeat():
    one, two = (initial.draw(initial.he_normal, (3, 4), seed=5) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (initial.draw(initial.he_normal, (3, 4), seed=(5, 1)) != one).all()
    assert (initial.draw(initial.he_normal, (3, 4)) != one).all()
    assert one.dtype == np.float32
    wide = initial.draw(initial.he_normal, (3, 4), "float64", seed=5)
    np.testing.assert_allclose(one, wide, rtol=1e-6)


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
def test_large_arrays_are_those_that_one_draw_would_give(source):
    shape = (1000, 700)
    values = initial.draw(initial.normal(), shape, "float64", seed=source(1))
    np.testing.assert_array_equal(values, source(1).standard_normal(shape))


def test_layers_take_their_fans_from_their_kernels():
    kept = []

    def watched(source, shape, dtype, fans):
        kept.append((shape, tuple(fans)))
        return np.zeros(shape, dtype)

    layers = (
        Linear(10, 4, initial=watched),
        Conv2d(8, (3, 5), groups=2, in_channels=6, initial=watched),
        sg.layers.Deconv2d(8, 3, in_channels=6, initial=watched),
        sg.layers.Embedding(7, 2, initial=watched),
    )
    for layer in layers:
        _ = layer.W.value
    assert kept == [
        ((4, 10), (4, 10)),
        ((8, 3, 3, 5), (45, 60)),
        ((6, 8, 3, 3), (54, 72)),
        ((7, 2), (7, 2)),
    ]


def test_what_is_no_initialiser_is_refused():
    layer = Linear(2, 3, initial=lambda source, shape, dtype, fans: np.zeros(3, dtype))
    with pytest.raises(sg.GraphError, match=rf"gives float32\[3\], not float32\[3, 2\]{HERE}"):
        layer.W.value  # noqa: B018  # asking for it is the test
    with pytest.raises(sg.GraphError, match=rf"gives float64\[3, 2\], not float32\[3, 2\]{HERE}"):
        initial.draw(lambda source, shape, dtype, fans: np.zeros(shape), (3, 2), seed=0)
    with pytest.raises(sg.GraphError, match=rf"the initialiser .* gives 1, not float32{HERE}"):
        initial.draw(lambda *_: 1, (3, 2), seed=0)
    with pytest.raises(sg.GraphError, match=rf"the fans of an array \(3,\) are not known{HERE}"):
        initial.draw(initial.he_normal, (3,))


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True, (), (1, -1)])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(sg.GraphError, match=f"a seed is a non-negative int, .*{HERE}"):
        initial.draw(initial.he_normal, (3, 2), seed=seed)
