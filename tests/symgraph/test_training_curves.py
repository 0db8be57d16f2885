"""Training curves of DeZero's steps 42 to 50, and of the Keras chapter's small fixture.

All arithmetic is in float64; DeZero's offsets are float32, which is why its own figures are met to
1e-6, and less closely where training is unstable. Data, orders and weights come from one legacy
generator, in the order in which the programs draw them: the weights at the first forward pass, so
after the first permutation.
"""

import numpy as np
import pytest

import symgraph as sg
from symgraph import nn
from symgraph.layers import Layer, Linear
from symgraph.models import MLP


def _placeholders(columns, label_columns=None):
    """Return leaves for inputs, and for labels: class numbers, or rows of numbers."""
    x = sg.Placeholder("x", ("N", columns), "float64")
    if label_columns is None:
        return x, sg.Placeholder("t", ("N",), "int64")
    return x, sg.Placeholder("t", ("N", label_columns), "float64")


def _drawn(random, inputs, outputs):
    """Return a layer's first weights: drawn, rounded to float32, then scaled."""
    return random.randn(inputs, outputs).astype("float32") * np.sqrt(1 / inputs)


def _mlp(random, sizes, inputs):
    """Return an MLP with DeZero's first weights."""
    model = MLP(sizes, in_size=inputs, dtype="float64", seed=0)
    for layer in (model.l0, model.l1):
        layer.W.value = _drawn(random, *layer.W.shape)
    return model


def _sine_data(random):
    x = random.rand(100, 1)
    return x, np.sin(2 * np.pi * x) + random.rand(100, 1)


@pytest.mark.inventory("D.step42")
def test_step42_linear_regression():
    random = np.random.RandomState(0)
    x = random.rand(100, 1)
    y = 5 + 2 * x + random.rand(100, 1)
    w, b = sg.Parameter(np.zeros((1, 1)), "W"), sg.Parameter(np.zeros(1), "b")
    loss = nn.mean_squared_error(y, x @ w + b)
    step = sg.compile(loss, updates=sg.optim.SGD(0.1).updates(loss, [w, b]))
    losses = [float(step())]
    found = [[w.value.item(), b.value.item()]]
    losses += [float(step()) for _ in range(99)]
    found.append([w.value.item(), b.value.item()])
    np.testing.assert_allclose(losses[0], 42.296340129442335, rtol=1e-12)
    np.testing.assert_allclose(found[0], [0.64433458, 1.29473389], rtol=0, atol=6e-9)
    np.testing.assert_allclose(found[1], [2.118073690511974, 5.466089050922982], rtol=1e-10)
    np.testing.assert_allclose(losses[-1], 0.07908606512411756, rtol=1e-10)
    # 3000 updates reach the solution of least squares.
    for _ in range(2900):
        step()
    best, *_ = np.linalg.lstsq(np.hstack([x, np.ones_like(x)]), y, rcond=None)
    np.testing.assert_allclose([w.value.item(), b.value.item()], best[:, 0], rtol=1e-9)
    np.testing.assert_allclose(best[:, 0], [1.93655, 5.55808], atol=6e-6)
    assert float(sg.compile(loss)()) == pytest.approx(0.07623, abs=6e-6)


@pytest.mark.inventory("D.step43")
def test_step43_a_network_by_hand():
    random = np.random.RandomState(0)
    x, y = _sine_data(random)
    w1 = sg.Parameter(0.01 * random.randn(1, 10), "W1")
    w2 = sg.Parameter(0.01 * random.randn(10, 1), "W2")
    b1, b2 = sg.Parameter(np.zeros(10), "b1"), sg.Parameter(np.zeros(1), "b2")
    loss = nn.mean_squared_error(y, sg.sigmoid(x @ w1 + b1) @ w2 + b2)
    step = sg.compile(loss, updates=sg.optim.SGD(0.2).updates(loss, [w1, b1, w2, b2]))
    losses = [float(step()) for _ in range(9001)]
    expected = [0.8473695850, 0.2514286285, 0.2475948547, 0.2378612045, 0.2122223133]
    expected += [0.1674218112, 0.0968193262, 0.0784952829, 0.0774972955, 0.0772213240]
    np.testing.assert_allclose(losses[::1000], expected, rtol=1e-10, atol=6e-11)


class TwoLayerNet(Layer):
    """Two layers that a model of one's own holds, as in step 45."""

    def __init__(self, hidden, outputs):
        self.l0, self.l1 = Linear(hidden, 1, dtype="float64"), Linear(outputs, dtype="float64")

    def forward(self, x):
        return self.l1(sg.sigmoid(self.l0(x)))


def _layers(x):
    first, second = Linear(10, dtype="float64"), Linear(1, dtype="float64")
    return second(sg.sigmoid(first(x))), [first, second]


def _own_model(x):
    model = TwoLayerNet(10, 1)
    return model(x), [model.l0, model.l1]


def _ready_model(x):
    model = MLP((10, 1), dtype="float64")
    return model(x), [model.l0, model.l1]


SAME_NETWORK = {
    "step44": pytest.param(_layers, marks=pytest.mark.inventory("D.step44")),
    "step45": pytest.param(_own_model, marks=pytest.mark.inventory("D.step45")),
    "step46": pytest.param(_ready_model, marks=pytest.mark.inventory("D.step46")),
}


@pytest.mark.parametrize("build", SAME_NETWORK.values(), ids=SAME_NETWORK)
def test_steps_44_to_46_a_network_of_layers(build):
    random = np.random.RandomState(0)
    points, values = _sine_data(random)
    x, t = _placeholders(1, 1)
    y, layers = build(x)
    for layer in layers:
        layer.W.value = _drawn(random, *layer.W.shape)
    loss = nn.mean_squared_error(y, t)
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    step = sg.compile(loss, updates=sg.optim.SGD(0.2).updates(loss, parameters))
    losses = [float(step(x=points, t=values)) for _ in range(9001)][::1000]
    expected = [0.8165178479901, 0.2499028013421, 0.2460987369924, 0.2372158516317]
    expected += [0.2079321555216, 0.1231191887063, 0.0788816801079]
    np.testing.assert_allclose(losses[:7], expected, rtol=1e-6)
    # From here on training is unstable: the order of the rows alone makes a difference of 7e-5.
    np.testing.assert_allclose(losses[7:], [0.07666, 0.07635, 0.07617], rtol=2e-3)


@pytest.mark.inventory("D.step47")
def test_step47_logits_and_loss_of_a_small_network():
    model = _mlp(np.random.RandomState(0), (10, 3), 2)
    x, t = _placeholders(2)
    y = model(x)
    f = sg.compile([y, sg.softmax(y), nn.softmax_cross_entropy(y, t)])
    logits, probabilities, _ = f(x=np.array([[0.2, -0.4]]), t=np.array([0]))
    expected = [-0.6150577741649041, -0.4279016103816791, 0.31733286708119207]
    np.testing.assert_allclose(logits[0], expected, rtol=1e-6)
    expected = [0.21068638851179733, 0.254048928722685, 0.5352646827655178]
    np.testing.assert_allclose(probabilities[0], expected, rtol=1e-6)
    points = np.array([[0.2, -0.4], [0.3, 0.5], [1.3, -3.2], [2.1, 0.3]])
    _, probabilities, loss = f(x=points, t=np.array([2, 0, 1, 0]))
    expected = [0.19019916286779812, 0.31806646964605584, 0.4917343674861459]
    np.testing.assert_allclose(probabilities[1], expected, rtol=1e-6)
    np.testing.assert_allclose(loss, 1.4967442462341742, rtol=1e-6)


class _Classifier:
    """A step that trains a model on classes, and a function that judges it; both give means."""

    def __init__(self, model, rate=1.0):
        x, t = _placeholders(2)
        y = model(x)
        loss = nn.softmax_cross_entropy(y, t)
        judged = [loss, (sg.argmax(y, axis=1) == t).mean()]
        updates = sg.optim.SGD(rate).updates(loss, model.parameters())
        self.train, self.judge = sg.compile(judged, updates=updates), sg.compile(judged)

    def run(self, function, batches):
        """Return loss and accuracy over batches, each counted by its rows, and single losses."""
        results = [(len(t), *function(x=x.astype("float64"), t=t)) for x, t in batches]
        rows, losses, accuracies = np.array(results, "float64").T
        return np.average(losses, weights=rows), np.average(accuracies, weights=rows), losses


# Epoch and mean loss, from DeZero's program.
SPIRAL = {
    **{1: 1.1269415244417917, 2: 1.0461450609687302, 3: 0.9506376064761476},
    **{10: 0.7900152732917377, 50: 0.6930600010777888, 100: 0.42710288236963606},
    **{200: 0.17794230939071345, 300: 0.12958943819809787},
}


@pytest.mark.inventory("D.step48")
def test_step48_the_spiral():
    random = np.random.RandomState(1984)
    points, labels = sg.data.get_spiral(rng=random)
    orders = [random.permutation(300)]
    judge = _Classifier(_mlp(random, (10, 3), 2))
    orders += [random.permutation(300) for _ in range(299)]
    found = {}
    for epoch, order in enumerate(orders, 1):
        batches = sg.data.batches(points[order], labels[order], size=30)
        found[epoch], _, losses = judge.run(judge.train, batches)
        if epoch == 1:
            np.testing.assert_allclose(losses[0], 1.1317895380196608, rtol=1e-6)
    np.testing.assert_allclose([found[epoch] for epoch in SPIRAL], [*SPIRAL.values()], rtol=1e-6)
    for train, expected in ((True, 0.97333), (False, 0.94333)):
        accuracy = judge.run(judge.judge, [sg.data.get_spiral(train)])[1]
        assert accuracy == pytest.approx(expected, abs=6e-6)
    assert judge.train.compile_count == 1


@pytest.mark.inventory("D.step49")
def test_step49_the_spiral_as_a_data_set():
    random = np.random.RandomState(1984)
    sg.data.get_spiral(rng=random)
    points = sg.data.Spiral()
    orders = [random.permutation(len(points))]
    judge = _Classifier(_mlp(random, (10, 3), 2))
    orders += [random.permutation(len(points)) for _ in range(9)]
    found = {}
    for epoch, order in enumerate(orders, 1):
        batches = []
        for rows in order.reshape(10, 30):
            samples = [points[int(row)] for row in rows]
            batches.append((np.array([x for x, _ in samples]), np.array([t for _, t in samples])))
        found[epoch] = judge.run(judge.train, batches)[0]
    for epoch in (1, 2, 3, 10):
        assert found[epoch] == pytest.approx(SPIRAL[epoch], rel=1e-6)


# Epoch: loss and accuracy in training, loss and accuracy on the test set.
SPIRAL_BY_LOADER = {
    1: (1.094449381368157, 0.4033333333333333, 1.0467588286513, 0.32666666666666666),
    100: (0.31456447160988144, 0.87, 0.3247719202382298, 0.86),
    200: (0.14471714211619355, 0.95, 0.17096298726673423, 0.9433333333333334),
    300: (0.10824844789493203, 0.9666666666666667, 0.14575615299858244, 0.96),
}


@pytest.mark.inventory("D.step50")
def test_step50_the_spiral_by_a_data_loader():
    # The test set is built last, so its seed is the one that everything after it is drawn from.
    random = np.random.RandomState(2020)
    sg.data.get_spiral(train=False, rng=random)
    training = sg.data.DataLoader(sg.data.Spiral(), 30, rng=random)
    testing = sg.data.DataLoader(sg.data.Spiral(train=False), 30, shuffle=False)
    first = iter(training)
    judge = _Classifier(_mlp(random, (10, 3), 2))
    for epoch in range(1, 301):
        trained = judge.run(judge.train, first if epoch == 1 else training)
        if epoch in SPIRAL_BY_LOADER:
            found = (*trained[:2], *judge.run(judge.judge, testing)[:2])
            np.testing.assert_allclose(found, SPIRAL_BY_LOADER[epoch], rtol=1e-4)
    assert (judge.train.compile_count, judge.judge.compile_count) == (1, 1)


@pytest.mark.inventory("P.loop")
def test_the_fixture_of_the_keras_chapter_by_hand():
    first, second = Linear(4, 3, dtype="float64"), Linear(2, 4, dtype="float64")
    first.W.value = (np.arange(12.0).reshape(3, 4) - 5) / 10
    second.W.value = (np.arange(8.0).reshape(4, 2) - 3) / 10
    x, t = _placeholders(3, 2)
    y = sg.softmax(second(sg.relu(first(x))))
    loss = nn.categorical_cross_entropy(y, t)
    accuracy = (sg.argmax(y, axis=1) == sg.argmax(t, axis=1)).mean()
    parameters = [*first.parameters(), *second.parameters()]
    slopes = sg.grad(loss, parameters)
    optimizer = sg.optim.RMSProp(0.01, rho=0.9, eps=1e-7)
    outputs = [loss, accuracy, slopes[2], slopes[3]]
    step = sg.compile(outputs, updates=optimizer.updates_from(slopes, parameters))
    feeds = {"x": np.array([[1.0, 2, -1], [0, 1, 3]]), "t": np.array([[0.0, 1], [1, 0]])}
    found = [step(**feeds) for _ in range(4)]
    expected = [0.8524963039521258, 0.7399315800992241, 0.6913112140429697, 0.656372374578]
    np.testing.assert_allclose([row[0] for row in found], expected, rtol=1e-12)
    assert [float(row[1]) for row in found[:3]] == [0.0, 0.0, 0.5]
    rows = np.array([0.2545810161, 0.3818715242, 0.5091620322, 0.6364525403])
    np.testing.assert_allclose(found[0][2], np.stack([-rows, rows], axis=1), rtol=0, atol=6e-11)
    np.testing.assert_allclose(found[0][3], [-0.0682262701, 0.0682262701], rtol=0, atol=6e-11)
