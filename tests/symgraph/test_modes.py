"""Modes of building: training and use, and what obeys them."""

import asyncio
import threading

import numpy as np
import pytest

import symgraph as sg


def test_graphs_are_built_for_training_by_default():
    assert sg.is_training()


@pytest.mark.inventory("L.modes")
def test_blocks_nest_and_restore():
    with sg.test_mode():
        assert not sg.is_training()
        with sg.train_mode():
            assert sg.is_training()
            with sg.using_config("train", False):
                assert not sg.is_training()
            assert sg.is_training()
        assert not sg.is_training()
    assert sg.is_training()


@pytest.mark.inventory("L.modes")
def test_an_error_restores_too():
    with pytest.raises(ValueError, match="out of here"), sg.test_mode():
        raise ValueError("out of here")
    assert sg.is_training()


def test_a_mode_decorates_functions():
    @sg.test_mode()
    def mode():
        return sg.is_training()

    assert (mode(), mode(), sg.is_training()) == (False, False, True)


@pytest.mark.inventory("L.modes")
def test_other_threads_are_unaffected():
    found = []
    with sg.test_mode():
        thread = threading.Thread(target=lambda: found.append(sg.is_training()))
        thread.start()
        thread.join()
    assert found == [True]


def test_tasks_are_unaffected_by_each_other():
    async def inside(mode):
        with mode():
            await asyncio.sleep(0)
            return sg.is_training()

    async def both():
        return await asyncio.gather(inside(sg.test_mode), inside(sg.train_mode))

    assert asyncio.run(both()) == [False, True]


def test_unknown_settings_are_refused():
    with pytest.raises(
        sg.GraphError, match=r"there is no setting 'cuda', only train(?s:.*)test_modes"
    ):
        with sg.using_config("cuda", True):
            pass
    with pytest.raises(sg.GraphError, match=r"train is a bool, not 0(?s:.*)test_modes"):
        with sg.using_config("train", 0):
            pass


# Dropout obeys.


def _ones(count):
    return np.ones(count, "float32")


@pytest.mark.inventory("B.Dropout", "E8")
def test_dropout_drops_in_training_alone():
    x = sg.Placeholder("x", ("N",), "float32")
    y = sg.dropout(x, 0.5, seed=0)
    with sg.test_mode():
        assert sg.dropout(x, 0.5, seed=0) is x
        forced = sg.dropout(x, 0.5, training=True, seed=0)
    assert sg.dropout(x, 0.5, training=False) is x
    f, g = sg.compile(y), sg.compile(forced)
    first, second = f(x=_ones(10_000)), f(x=_ones(10_000))
    assert set(np.unique(first)) == {0.0, 2.0}
    assert np.mean(first == 0) == pytest.approx(0.5, abs=0.02)
    assert np.any(first != second)
    np.testing.assert_array_equal(g(x=_ones(10_000)), first)


@pytest.mark.inventory("B.Dropout")
def test_the_ratio_may_change_at_every_call():
    x, ratio = sg.Placeholder("x", ("N",), "float32"), sg.Placeholder("ratio", (), "float32")
    model = sg.models.Sequential(sg.layers.Dropout(ratio, seed=1))
    f = sg.compile(model(x))
    for dropped in (0.433, 0.563, 0.0):
        found = f(x=_ones(40_000), ratio=np.float32(dropped))
        assert np.mean(found == 0) == pytest.approx(dropped, abs=0.01)
        np.testing.assert_allclose(found[found != 0], 1 / (1 - np.float32(dropped)), rtol=1e-6)
    assert f.compile_count == 1


@pytest.mark.inventory("E.GRU")
def test_a_layer_that_is_called_twice_drops_others():
    layer, x = sg.layers.Dropout(0.5, seed=3), sg.Placeholder("x", (1000,), "float32")
    one, two = sg.compile([layer(x), layer(x)])(x=_ones(1000))
    assert np.any(one != two)
    again = sg.compile(sg.layers.Dropout(0.5, seed=3)(x))(x=_ones(1000))
    np.testing.assert_array_equal(one, again)


@pytest.mark.inventory("L.modes")
def test_one_model_in_both_modes_shares_its_parameters():
    x = sg.Placeholder("x", ("N", 4), "float32")
    model = sg.models.Sequential(sg.layers.Linear(8, seed=0), sg.layers.Dropout(0.5, seed=0))
    train = sg.compile(model(x))
    with sg.test_mode():
        use = sg.compile(model(x))
    fed = np.random.default_rng(0).standard_normal((50, 4)).astype("float32")
    dropped, kept = train(x=fed), use(x=fed)
    np.testing.assert_allclose(dropped[dropped != 0], 2 * kept[dropped != 0], rtol=1e-6)
    model.l0.W.value = np.zeros((4, 8))
    assert not train(x=fed).any()
    assert not use(x=fed).any()


@pytest.mark.parametrize("ratio", [1.0, -0.1, 2])
def test_a_layer_refuses_a_ratio_out_of_range(ratio):
    with pytest.raises(sg.GraphError, match=rf"the ratio to drop is in \[0, 1\), not {ratio}"):
        sg.layers.Dropout(ratio)


# Without gradients nothing is kept.


@pytest.mark.inventory("L.no_grad")
def test_a_chain_without_gradients_keeps_one_intermediate_at_most():
    x = sg.Placeholder("x", ("N",), "float64")
    y = x
    for _ in range(10):
        y = sg.tanh(y)
    memory = sg.compile(y).memory(N=1_000_000)
    assert memory.arena <= 8_000_000
    assert memory.outputs == 8_000_000


@pytest.mark.parametrize("mode", ["native", "reference"])
@pytest.mark.parametrize("ratio", [-1.0, 1.0, 1.5, np.nan])
def test_a_ratio_out_of_range_is_refused_when_it_is_fed(ratio, mode):
    x, fed = sg.Placeholder("x", ("N",), "float32"), sg.Placeholder("ratio", (), "float32")
    w = sg.Parameter(np.float32(2), "w")
    y = sg.nn.dropout(x * w, fed, seed=0)
    f = sg.compile(y, updates={w: w + y.sum()}, mode=mode)
    with pytest.raises(
        sg.FeedError,
        match=rf"the ratio to drop is in \[0, 1\), not {ratio}[\s\S]*test_modes\.py:\d+",
    ):
        f(x=_ones(5), ratio=np.float32(ratio))
    assert w.value == 2
    assert f(x=_ones(5), ratio=np.float32(0)).tolist() == [2] * 5


def test_a_ratio_is_a_float():
    ratio = sg.Placeholder("ratio", (), "bool")
    with pytest.raises(sg.DTypeError, match="the ratio to drop is a float, not bool"):
        sg.nn.dropout(sg.Placeholder("x", ("N",), "float32"), ratio)
    with pytest.raises(sg.GraphError, match=r"the ratio to drop is in \[0, 1\), not 1.5"):
        sg.nn.dropout(sg.Placeholder("x", ("N",), "float32"), np.float32(1.5))
