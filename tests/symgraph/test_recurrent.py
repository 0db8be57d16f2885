"""Recurrent layers: values, gradients, states that stay, and what is refused."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, grad
from symgraph.errors import ShapeError
from symgraph.layers import GRU, LSTM, RNN

RNG = np.random.default_rng(0)
MODES = ("reference", "native")


def all_set(layer, wx, wh):
    layer.Wx.value = np.full(layer.Wx.shape, wx)
    layer.Wh.value = np.full(layer.Wh.shape, wh)


@pytest.mark.parametrize("mode", MODES)
def test_a_recurrent_layer_step_by_step(mode):
    layer = RNN(2, in_size=1, dtype="float64")
    all_set(layer, 0.5, 0.25)
    xs = Placeholder("xs", ("T", 1, 1), "float64")
    hs = layer(xs)
    values = np.array([1.0, 2.0]).reshape(2, 1, 1)
    f = compile([hs, *grad(hs[-1].sum(), [layer.Wx, layer.Wh])], mode=mode)
    found, gx, gh = f(xs=values)
    np.testing.assert_allclose(found[:, 0], [[0.46211715726] * 2, [0.84288610332] * 2])
    np.testing.assert_allclose(gx, [[0.69294126] * 2], atol=1e-8)
    np.testing.assert_allclose(gh, [[0.1338027958] * 2] * 2, atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_end_where_a_call_begins(mode):
    layer = RNN(2, dtype="float64")
    x = Placeholder("x", (1, 1, 1), "float64")
    hs = layer.resume(x)
    all_set(layer, 0.5, 0.25)
    f = compile([hs, *grad(hs.sum(), [layer.Wx, layer.Wh])], mode=mode)
    for _ in range(2):
        assert [state.name for state in layer.states()] == ["h"]
        f(x=np.ones((1, 1, 1)))
        np.testing.assert_allclose(layer.h.value, [[0.46211715726] * 2])
        found, gx, gh = f(x=np.full((1, 1, 1), 2.0))
        np.testing.assert_allclose(found.ravel(), [0.84288610332] * 2)
        np.testing.assert_allclose(gx, [[0.57908603] * 2], atol=1e-8)
        np.testing.assert_allclose(gh, [[0.1338027958] * 2] * 2, atol=1e-10)
        layer.reset_state()


@pytest.mark.inventory("E7")
@pytest.mark.parametrize("mode", MODES)
def test_an_lstm_step_by_step(mode):
    layer = LSTM(1, in_size=1, dtype="float64")
    all_set(layer, 0.5, 0.25)
    xs = Placeholder("xs", ("T", 1, 1), "float64")
    (_, c), hs = layer.run(xs)
    f = compile([hs, c, *grad(hs[-1].sum(), [layer.Wx, layer.Wh])], mode=mode)
    values = np.array([1.0, 2.0]).reshape(2, 1, 1)
    found, cell, gx, gh = f(xs=values)
    np.testing.assert_allclose(found.ravel(), [0.17426972, 0.48651755], atol=1e-8)
    np.testing.assert_allclose(cell, [[0.78904392]], atol=1e-8)
    np.testing.assert_allclose(f(xs=values[:1])[1], [[0.28764914]], atol=1e-8)
    np.testing.assert_allclose(gx[0, 3], 0.41900877, atol=1e-8)
    np.testing.assert_allclose(gh[0, 0], 0.00405037, atol=1e-8)


def test_a_layer_whose_hidden_size_is_not_that_of_its_input():
    xs = Placeholder("xs", ("T", "B", 3), "float32")
    for kind in (RNN, LSTM, GRU):
        layer = kind(5, seed=0)
        ys = layer(xs)
        assert str(ys.type) == "float32[T, B, 5]"
        f = compile(ys)
        for steps, batch in ((4, 2), (0, 2), (1, 0), (7, 1)):
            assert f(xs=np.ones((steps, batch, 3), "f4")).shape == (steps, batch, 5)
        assert f.compile_count == 1


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_native_is_reference(kind, checkpoint):
    layer = kind(6, in_size=3, dtype="float64", seed=1, checkpoint=checkpoint)
    xs = Placeholder("xs", ("T", "B", 3), "float64")
    ys = layer.run(xs, reverse=True)[1]
    outputs = [ys, *grad((ys**2).sum(), [*layer.parameters(), xs])]
    values = RNG.normal(size=(5, 4, 3))
    reference, *natives = (
        compile(outputs, mode=mode, threads=threads)(xs=values)
        for mode, threads in (("reference", None), ("native", 1), ("native", 2))
    )
    for one, other, third in zip(reference, *natives, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-11, atol=1e-13)
        assert other.tobytes() == third.tobytes()


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_layers_are_those_of_torch(kind):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind.__name__)(3, 5, dtype=torch.float64)
    ours = kind(5, in_size=3, dtype="float64")
    # PyTorch's LSTM has its gates in the order i, f, u, o.
    order = {RNN: [0], LSTM: [1, 0, 3, 2], GRU: [0, 1, 2]}[kind]

    def arranged(tensor):
        return np.concatenate([np.split(tensor.detach().numpy(), len(order))[k] for k in order])

    bias, hidden = arranged(theirs.bias_ih_l0), arranged(theirs.bias_hh_l0)
    if kind is GRU:
        ours.bn.value = hidden[10:]
        hidden = np.concatenate([hidden[:10], np.zeros(5)])
    ours.Wx.value, ours.Wh.value = arranged(theirs.weight_ih_l0).T, arranged(theirs.weight_hh_l0).T
    ours.b.value = bias + hidden
    values = RNG.normal(size=(7, 2, 3))
    xs = Placeholder("xs", ("T", 2, 3), "float64")
    ys = ours(xs)
    found, gx, gw = compile([ys, *grad((ys**3).sum(), [xs, ours.Wx])])(xs=values)
    tensor = torch.tensor(values, requires_grad=True)
    expected = theirs(tensor)[0]
    (expected**3).sum().backward()
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(gx, tensor.grad.numpy(), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(gw, arranged(theirs.weight_ih_l0.grad).T, rtol=1e-9, atol=1e-14)


def test_the_states_that_stay_are_saved_and_named():
    layer = LSTM(4, in_size=2, name="memory")
    layer.resume(Placeholder("xs", ("T", 3, 2), "float32"))
    assert list(layer.named_states()) == ["memory/h", "memory/c"]
    assert list(layer.named_parameters()) == ["memory/Wx", "memory/Wh", "memory/b"]
    assert [s.shape for s in layer.states()] == [(3, 4), (3, 4)]


def test_what_is_no_sequence_is_refused():
    layer = RNN(4, in_size=2)
    with pytest.raises(ShapeError, match=r"sequences of shape \(steps, batch, inputs\)"):
        layer(Placeholder("x", (3, 2), "float32"))
    with pytest.raises(ShapeError, match="is for 2 inputs, but the last axis has 3"):
        layer(Placeholder("x", ("T", 1, 3), "float32"))
    with pytest.raises(ShapeError, match="as many rows as a batch, which is no number here"):
        layer.resume(Placeholder("x", ("T", "B", 2), "float32"))
    layer.resume(Placeholder("x", ("T", 5, 2), "float32"))
    with pytest.raises(ShapeError, match="is for a batch of 5, not of 6"):
        layer.resume(Placeholder("x", ("T", 6, 2), "float32"))


def test_layers_train_in_a_sequential_program():
    sg.random.seed(0)
    layer, head = LSTM(8, in_size=1, seed=0), sg.layers.Linear(1, seed=1)
    xs = Placeholder("xs", ("T", "B", 1), "float32")
    loss = ((head(layer(xs)) - xs**2) ** 2).mean()
    parameters = [*layer.parameters(), *head.parameters()]
    step = compile(loss, updates=sg.optim.Adam(1e-2).updates(loss, parameters))
    values = RNG.uniform(-1, 1, size=(10, 16, 1)).astype("f4")
    losses = [float(step(xs=values)) for _ in range(150)]
    assert losses[-1] < losses[0] / 10
