"""Random numbers: known answers of the generator, distributions, seeds and streams."""

import numpy as np
import pytest
import scipy.stats

import symgraph as sg
from symgraph import Placeholder, grad
from symgraph.errors import DTypeError, GraphError
from symgraph.interpret import evaluate
from symgraph.ops.random_bits import RANDOM_BITS, threefry2x32

# Of the Random123 library, kat_vectors: counter, key, result.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def _value(node, call_index=0, **feeds):
    return evaluate([node], feeds, call_index=call_index)[0]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_threefry_gives_the_known_answers(counter, key, expected):
    def words(pair):
        return tuple(np.array([word], np.uint32) for word in pair)

    assert tuple(int(word[0]) for word in threefry2x32(words(key), words(counter))) == expected
    joined = (np.uint64(key[1]) << np.uint64(32) | np.uint64(key[0])).astype(np.int64)
    bits = RANDOM_BITS.numpy(*(np.asarray(v, np.int64) for v in (*counter, joined)))
    assert int(bits.astype(np.uint64)) == expected[0] << 32 | expected[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype):
    uniform = _value(sg.random.uniform(200_000, dtype=dtype, seed=1))
    assert uniform.dtype == dtype
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 0.01
    normal = _value(sg.random.normal((400, 500), dtype=dtype, seed=1))
    assert normal.dtype == dtype
    assert scipy.stats.kstest(normal.ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(normal[:-1].ravel(), normal[1:].ravel())[0, 1]) < 0.01


def test_scaled_distributions():
    found = _value(sg.random.uniform((1000,), -2, 3, seed=0))
    assert found.dtype == np.float32
    assert -2 <= found.min() < -1.9 < 2.9 < found.max() < 3
    found = _value(sg.random.normal((10_000,), mean=5, scale=0.1, dtype="float64", seed=0))
    assert abs(found.mean() - 5) < 0.01
    assert abs(found.std() - 0.1) < 0.01
    assert 0.23 < _value(sg.random.bernoulli(0.25, (10_000,), seed=0)).mean() < 0.27


def test_new_numbers_in_every_call_and_the_same_for_the_same_seed():
    node = sg.random.normal((100,), seed=7)
    again = sg.random.normal((100,), seed=7)
    calls = [_value(node, call_index=k) for k in range(3)]
    assert not np.any(calls[0] == calls[1])
    for k, values in enumerate(calls):
        np.testing.assert_array_equal(_value(again, call_index=k), values)
    np.testing.assert_array_equal(_value(node, call_index=2**40), _value(again, call_index=2**40))
    assert not np.any(_value(node, call_index=2**32) == calls[0])


def test_streams_and_seeds_are_independent():
    nodes = [
        sg.random.uniform((1000,), seed=seed, stream=stream, dtype="float64")
        for seed in (0, 1, -1, 2**40)
        for stream in (None, 1, 2)
    ]
    values = evaluate(nodes, {})
    for i, one in enumerate(values):
        for other in values[:i]:
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.15


def test_the_process_seed_numbers_the_streams():
    def draw():
        return evaluate([sg.random.uniform((5,)), sg.random.uniform((5,))], {})

    sg.random.seed(3)
    first = draw()
    assert not np.any(first[0] == first[1])
    assert not np.any(first[0] == draw()[0])
    sg.random.seed(3)
    np.testing.assert_array_equal(draw(), first)
    sg.random.seed(4)
    assert not np.any(draw()[0] == first[0])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3)])
def test_shapes(shape):
    for node in (sg.random.uniform(shape, seed=0), sg.random.normal(shape, seed=0)):
        assert node.shape == _value(node).shape == shape


def test_a_batch_is_a_prefix_of_a_larger_one():
    x = Placeholder("x", ("N", 3), "float32")
    node = sg.random.uniform(x.shape, seed=0) + 0 * x
    small, large = (_value(node, x=np.zeros((n, 3), "float32")) for n in (2, 5))
    np.testing.assert_array_equal(large[:2], small)


def test_dropout_keeps_the_mean_and_selects():
    x = Placeholder("x", None, "float32")
    for shape in ((), (0, 2), (100, 100)):
        found = _value(sg.dropout(x, 0.25, seed=0), x=np.ones(shape, "float32"))
        assert found.dtype == np.float32
        assert found.shape == shape
        assert set(np.unique(found)) <= {np.float32(0), np.float32(1 / 0.75)}
    assert abs(found.mean() - 1) < 0.02
    spoiled = np.full((50,), np.nan, "float32")
    assert np.any(_value(sg.dropout(x, 0.5, seed=0), x=spoiled) == 0)


def test_dropout_scales_by_a_ratio_that_may_change():
    x, ratio = Placeholder("x", (1000,), "float32"), Placeholder("r", (), "float64")
    node = sg.dropout(x, ratio, seed=0)
    assert node.dtype == "float32"
    for value in (0.0, 0.433, 0.563):
        found = _value(node, x=np.ones(1000, "float32"), r=np.array(value))
        assert abs(np.mean(found == 0) - value) < 0.05
        np.testing.assert_allclose(found[found > 0], 1 / (1 - value), rtol=1e-6)


def test_dropout_outside_of_training_is_the_identity():
    x, training = Placeholder("x", (8,), "float32"), Placeholder("t", (), "bool")
    assert sg.dropout(x, 0.5, training=False) is x
    node = sg.dropout(x, 0.5, training=training, seed=0)
    array = np.arange(1, 9, dtype="float32")
    np.testing.assert_array_equal(_value(node, x=array, t=np.array(False)), array)
    on = _value(node, x=array, t=np.array(True))
    assert np.all((on == 0) | (on == 2 * array))
    mask = _value(sg.random.dropout_mask((8,), 0.5, seed=0))
    np.testing.assert_array_equal(on, array * mask)


def test_gradient_of_dropout_is_its_mask():
    x = Placeholder("x", (50,), "float64")
    y = sg.dropout(x, 0.5, seed=0)
    value, gradient = evaluate([y, grad(y.sum(), x)], {"x": np.full(50, 3.0)})
    np.testing.assert_array_equal(gradient, value / 3)


def test_the_ends_of_a_distribution_are_differentiable():
    low = Placeholder("low", (), "float64")
    drawn = sg.random.uniform((4,), low, 1.0, dtype="float64", seed=0)
    (found,) = evaluate([grad(drawn.sum(), low)], {"low": np.array(0.0)})
    np.testing.assert_allclose(found, 4 - _value(drawn, low=np.array(0.0)).sum())


def test_wrong_arguments_are_refused():
    with pytest.raises(DTypeError, match="random numbers are floats, not int64"):
        sg.random.uniform((2,), dtype="int64")
    for ratio in (1.0, -0.1, 2):
        with pytest.raises(GraphError, match=r"the ratio to drop is in \[0, 1\)"):
            sg.dropout(Placeholder("x", (2,), "float32"), ratio)


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_the_number_of_a_call_decides_and_not_what_was_fed_before(mode):
    x = sg.Placeholder("x", ("N",), "float64")
    f = sg.compile(x + sg.random.uniform(x.shape, dtype="float64", seed=1), mode=mode)
    rows = [np.zeros(count) for count in (3, 3, 5, 3, 2)]
    found = [f(x=row) for row in rows]
    assert f.call_index == 5
    for number in (4, 2, 0, 3, 1):
        f.call_index = number
        np.testing.assert_array_equal(f(x=rows[number]), found[number])
    assert f.call_index == 2
