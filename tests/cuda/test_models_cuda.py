"""Training steps of whole models on the emulated GPU: the CPU's numbers, and always the same."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import nn
from symgraph.errors import BoundsError, NonFiniteError
from symgraph.layers import LSTM, BatchNorm, Conv2d, Embedding, Layer, Linear
from symgraph.runtime.cuda import frame

STEPS = 4
DIGITS = np.random.default_rng(1).integers(0, 5, 6)
NAMES = ("mlp", "cnn", "lstm")


class Step:
    """A training step, what it changes, and what it is fed.

    Args:
        loss: what is minimised.
        optimizer: how.
        layer: what is trained.
        feeds: of each call.
    """

    def __init__(self, loss, optimizer, layer, **feeds):
        self.loss, self.layer, self.feeds = loss, layer, feeds
        self._updates = optimizer.updates(loss, layer.parameters())
        self._changed = [*layer.parameters(), *layer.states(), *optimizer.states().values()]

    def compiled(self, device, **options):
        return sg.compile(self.loss, updates=self._updates, device=device, **options)

    def values(self):
        return [np.asarray(changed.value) for changed in self._changed]

    def run(self, device, steps=STEPS):
        """Return the losses of some steps, and what these leave behind."""
        function = self.compiled(device)
        losses = [function(**self.feeds) for _ in range(steps)]
        return [*losses, *self.values()]


class Mlp(Layer):
    """Two dense layers with dropout between them."""

    def __init__(self):
        self.first, self.second = Linear(20, in_size=7, seed=1), Linear(5, in_size=20, seed=2)

    def forward(self, x):
        return self.second(nn.dropout(nn.relu(self.first(x)), 0.4, seed=3))


class Cnn(Layer):
    """Convolutions, batch normalisation and both kinds of pooling, as in LeNet."""

    def __init__(self):
        self.first = Conv2d(4, 3, in_channels=1, pad=1, seed=1)
        self.norm = BatchNorm(4)
        self.second = Conv2d(6, 3, in_channels=4, stride=2, seed=2)
        self.last = Linear(5, in_size=24, seed=3)

    def forward(self, x):
        x = nn.max_pool2d(nn.relu(self.norm(self.first(x))), 2)
        x = nn.average_pool2d(sg.tanh(self.second(x)), 2, stride=1)
        return self.last(nn.flatten(x))


class Recurrent(Layer):
    """An embedding, an LSTM through time, and a dense layer."""

    def __init__(self):
        self.words = Embedding(9, 6, seed=1)
        self.memory = LSTM(8, in_size=6, seed=2)
        self.last = Linear(5, in_size=8, seed=3)

    def forward(self, ids):
        return self.last(self.memory(self.words(ids))[-1])


def _step(name):
    """Return the step of a new model, the same each time."""
    rng = np.random.default_rng(0)
    t = sg.Placeholder("t", ("N",), "int64")
    if name == "mlp":
        model, optimizer = Mlp(), sg.optim.Adam(0.01)
        fed, shape, dtype = rng.normal(size=(6, 7)), ("N", 7), "float32"
    elif name == "cnn":
        model, optimizer = Cnn(), sg.optim.Momentum(0.05)
        fed, shape, dtype = rng.normal(size=(6, 1, 14, 14)), ("N", 1, 14, 14), "float32"
    else:
        model, optimizer = Recurrent(), sg.optim.Adam(0.01, hooks=[sg.optim.ClipGrad(1.0)])
        fed, shape, dtype = rng.integers(0, 9, (5, 6)), ("T", "N"), "int64"
    loss = nn.softmax_cross_entropy(model(sg.Placeholder("x", shape, dtype)), t)
    return Step(loss, optimizer, model, x=fed.astype(dtype), t=DIGITS)


def _bits(arrays):
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("name", NAMES)
def test_training_gives_the_numbers_of_the_cpu(cuda, name):
    for found, expected in zip(_step(name).run("cuda"), _step(name).run("cpu"), strict=True):
        scale = max(1e-3, float(np.max(np.abs(expected), initial=0)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_training_gives_the_same_bits_whatever_runs_first(cuda, name, monkeypatch):
    replayed = _bits(_step(name).run("cuda"))
    assert cuda.counts["graph_launch"] == STEPS - 1
    with cuda.reverse():
        assert _bits(_step(name).run("cuda")) == replayed
    launched = cuda.counts["graph_launch"]
    monkeypatch.setattr(frame, "MOST_RECORDED", 0)
    assert _bits(_step(name).run("cuda")) == replayed
    cuda.machine.late = False
    assert _bits(_step(name).run("cuda")) == replayed
    assert cuda.counts["graph_launch"] == launched


@pytest.mark.parametrize("name", NAMES)
def test_a_replayed_step_copies_and_allocates_nothing(cuda, name):
    step = _step(name)
    function = step.compiled("cuda", results="device")
    feeds = {key: cuda.cupy.asarray(array) for key, array in step.feeds.items()}
    for _ in range(3):
        function(**feeds)
    before = cuda.counts.copy()
    function(**feeds)
    done = cuda.counts - before
    assert done["graph_launch"] == 1
    assert done["launch"] == done["pinned"] == 0
    # The loss is a new array. Dropout is told the number of the call, and the host whether all
    # labels were in range.
    assert done["alloc"] == 1
    assert done["copyHostToDevice"] == (name == "mlp")
    assert done["copyDeviceToHost"] == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_label_out_of_range_leaves_everything_as_it_was(cuda, name):
    step = _step(name)
    function = step.compiled("cuda")
    for _ in range(3):
        function(**step.feeds)
    before = _bits(step.values())
    for _ in range(2):
        with pytest.raises(
            BoundsError, match=r"index 5 is out of range(.|\n)*no parameter was changed"
        ):
            function(x=step.feeds["x"], t=np.full(6, 5))
    assert _bits(step.values()) == before
    function(**step.feeds)
    assert _bits(step.values()) != before


@pytest.mark.parametrize("name", NAMES[:2])
def test_numbers_that_are_not_finite_leave_everything_as_it_was(cuda, name):
    step = _step(name)
    function = step.compiled("cuda", check_finite=True)
    function(**step.feeds)
    before = _bits(step.values())
    with pytest.raises(NonFiniteError, match="no parameter was changed"):
        function(x=step.feeds["x"] * np.float32(1e37), t=DIGITS)
    assert _bits(step.values()) == before


def _halving_step():
    """Return a step in which data decide how many times something is done, and whether."""
    w = sg.Parameter(np.array([3.0, -2.0], "float32"), "w")
    x = sg.Placeholder("x", ("N", 2), "float32")
    length = sg.sum(w * w)
    shrunk = sg.while_loop(lambda value: value > 1.0, lambda value: value * 0.5, length)
    steep = sg.cond(shrunk > 0.7, lambda: sg.sum(w * 3), lambda: sg.sum(sg.tanh(w)))
    loss = shrunk + steep + sg.mean((x @ w) ** 2)
    return w, loss, {w: w - 0.05 * sg.grad(loss, w)}


def test_data_dependent_jumps_in_a_training_step(cuda):
    x = np.random.default_rng(2).normal(size=(5, 2)).astype("float32")
    runs = []
    for device in ("cpu", "cuda"):
        w, loss, updates = _halving_step()
        step = sg.compile(loss, updates=updates, device=device)
        runs.append([*(step(x=x) for _ in range(6)), w.value])
    for found, expected in zip(runs[1], runs[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert cuda.counts["graph_launch"] == 0
