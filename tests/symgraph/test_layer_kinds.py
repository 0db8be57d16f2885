"""Dense, Embedding, Flatten; freezing; sizes that saved arrays tell."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import BatchNorm, Conv2d, Dense, Dropout, Embedding, EmbedID, Flatten, Linear
from symgraph.models import MLP, Sequential

HERE = r"(?s:.*)test_layer_kinds\.py:"
MODES = pytest.mark.parametrize("mode", ["native", "reference"])


def _input(*shape, dtype="float32", name="x"):
    return sg.Placeholder(name, shape, dtype)


# Dense.


@pytest.mark.inventory("E8")
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda z: np.maximum(z, 0)),
        ("softmax", lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True)),
        ("log_softmax", lambda z: z - np.log(np.exp(z).sum(-1, keepdims=True))),
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
        ("softplus", lambda z: np.log1p(np.exp(z))),
        ("leaky_relu", lambda z: np.where(z > 0, z, 0.2 * z)),
        ("tanh", np.tanh),
        ("linear", lambda z: z),
        (None, lambda z: z),
        (sg.sin, np.sin),
    ],
)
def test_an_activation_has_a_name(name, function):
    layer = Dense(4, name, in_size=3, dtype="float64", seed=0)
    fed = np.random.default_rng(0).standard_normal((5, 3))
    found = sg.compile(layer(_input("N", 3, dtype="float64")))(x=fed)
    np.testing.assert_allclose(found, function(fed @ layer.W.value + layer.b.value), rtol=1e-12)


def test_dense_layers_in_a_list_are_a_model():
    model = Sequential([Dense(512, "relu", in_size=784), Dense(10, "softmax", in_size=512)])
    assert sum(p.size for p in model.parameters()) == 407_050
    assert list(model.named_parameters()) == ["l0/W", "l0/b", "l1/W", "l1/b"]
    assert model(_input("N", 784)).shape[1:] == (10,)


@pytest.mark.parametrize("wrong", ["swish", 3, _input(2)])
def test_an_unknown_activation_is_refused(wrong):
    with pytest.raises(
        sg.GraphError, match=f"an activation is a function or one of gelu, .*{HERE}"
    ):
        Dense(4, wrong)


# Embedding.


@pytest.mark.inventory("E5")
@MODES
def test_ids_become_rows(mode):
    layer = EmbedID(5, 2, dtype="float64")
    assert layer.W.shape == (5, 2)
    layer.W.value = np.arange(10).reshape(5, 2)
    ids = _input("N", dtype="int64", name="ids")
    y = layer(ids)
    rows, slope = sg.compile([y, sg.grad(y.sum(), layer.W)], mode=mode)(ids=np.array([1, 3, 1]))
    np.testing.assert_array_equal(rows, [[2, 3], [6, 7], [2, 3]])
    np.testing.assert_array_equal(slope, [[0, 0], [2, 2], [0, 0], [1, 1], [0, 0]])


def test_rows_start_normal():
    weights = Embedding(200, 50, seed=np.random.RandomState(0)).W.value
    np.testing.assert_allclose(weights, np.random.RandomState(0).randn(200, 50), rtol=1e-6)


@pytest.mark.inventory("E5")
@MODES
@pytest.mark.parametrize("bad", [5, -1])
def test_an_id_out_of_range_is_an_error(mode, bad):
    f = sg.compile(Embedding(5, 2)(_input("N", dtype="int64", name="ids")), mode=mode)
    with pytest.raises(sg.BoundsError, match=f"index {bad} is out of range .* extent 5;.*{HERE}"):
        f(ids=np.array([0, bad]))


def test_ids_are_integers():
    with pytest.raises(sg.DTypeError, match=f"ids are integers, not float32{HERE}"):
        Embedding(5, 2)(_input("N"))
    with pytest.raises(sg.GraphError, match=f"count is a positive int, not 0{HERE}"):
        Embedding(0, 2)


# Flatten.


@MODES
def test_images_become_rows(mode):
    x = _input("N", 2, 3, 4)
    fed = np.arange(48, dtype="float32").reshape(2, 2, 3, 4)
    found = sg.compile(Flatten()(x), mode=mode)(x=fed)
    np.testing.assert_array_equal(found, fed.reshape(2, 24))
    assert Flatten()(_input("N")).shape[1:] == (1,)
    with pytest.raises(sg.ShapeError, match=f"x needs an axis, which stays as it is{HERE}"):
        Flatten()(_input())


@MODES
def test_layers_and_functions_mix(mode):
    model = Sequential(
        Flatten(), Linear(8, seed=0), sg.relu, Dropout(0.5), BatchNorm(), lambda x: 2 * x, Linear(3)
    )
    y = model(_input("N", 2, 3))
    assert y.shape[1:] == (3,)
    assert list(model.named_parameters()) == [
        "l1/W", "l1/b", "l3/gamma", "l3/beta", "l4/W", "l4/b",
    ]  # fmt: skip
    assert list(model.named_states()) == ["l3/avg_mean", "l3/avg_var"]
    assert sg.compile(y, mode=mode)(x=np.ones((4, 2, 3), "float32")).shape == (4, 3)


# Freezing.


def test_frozen_layers_stay_as_they_are():
    model = MLP((4, 2), in_size=3, seed=0)
    model.l0.freeze()
    assert [p.trainable for p in model.parameters()] == [False, False, True, True]
    loss = (model(_input("N", 3)) ** 2).mean()
    before = [p.value for p in model.parameters()]
    step = sg.compile(loss, updates=sg.optim.SGD(0.1).updates(loss, model.parameters()))
    step(x=np.ones((2, 3), "float32"))
    changed = [
        bool((p.value != old).any()) for p, old in zip(model.parameters(), before, strict=True)
    ]
    assert changed == [False, False, True, True]


def test_what_is_made_later_is_frozen_too():
    model = Sequential(Linear(4), BatchNorm(), Linear(2))
    model.freeze()
    model(_input("N", 3))
    assert not any(p.trainable for p in model.parameters())
    model.unfreeze()
    assert all(p.trainable for p in model.parameters())
    assert not any(s.trainable for s in model.states())


def test_freezing_a_shared_layer_ends():
    class Ring(sg.layers.Layer):
        def __init__(self):
            self.one = Linear(2, 2)
            self.two, self.me = self.one, self

        def forward(self, x):
            return self.two(self.one(x))

    ring = Ring()
    ring.freeze()
    assert [p.trainable for p in ring.parameters()] == [False, False]


# Sizes that saved arrays tell.


def _convolutional():
    return Sequential(
        Conv2d(4, 3, groups=2), BatchNorm(), sg.relu, Flatten(), Linear(3), name="net"
    )


def test_saved_arrays_tell_sizes():
    model = _convolutional()
    forget = model.learn_sizes(
        {
            "net/l0/W": (4, 3, 3, 3),
            "net/l1/gamma": (4,),
            "net/l3/W": (36, 3),
            "W": (1, 1),
            "net/l2/W": (7,),
        }
    )
    assert [p.shape for p in model.parameters()] == [
        (4, 3, 3, 3), (4,), (4,), (4,), (36, 3), (3,),
    ]  # fmt: skip
    assert (model.l0.in_channels, model.l3.in_size) == (6, 36)
    forget()
    assert (model.l0.in_channels, model.l3.in_size) == (None, None)
    model(_input("N", 2, 5, 5))
    assert model.l0.W.shape == (4, 1, 3, 3)


def test_arrays_that_tell_nothing_are_ignored():
    model = _convolutional()
    model.learn_sizes({"net/l0/W": (4, 3), "net/l3/W": (0, 3), "other": (2,)})
    with pytest.raises(sg.ShapeError, match=f"'net/l0'> does not know its input size{HERE}"):
        model.parameters()
