"""The program of the Keras chapter: a model is told how to train, and then it is fitted."""

from contextlib import closing

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import BatchNorm, Dense, Embedding, Flatten, Linear
from symgraph.models import MLP, Sequential
from symgraph.training import Callback, Loss, Metric, Targets, Trainer, sources
from symgraph.training.sources import source_of

X = np.array([[1.0, 2.0, -1.0], [0.0, 1.0, 3.0]])
ONE_HOT = np.eye(2)[[1, 0]]
LOSSES = [0.8524963039521258, 0.7399315800992241, 0.6913112140429697]


def keras_model(**compiled):
    """Return the small model whose numbers are known, ready to be fitted."""
    model = Sequential(
        [
            Dense(4, activation="relu", in_size=3, dtype="float64"),
            Dense(2, activation="softmax", dtype="float64"),
        ]
    )
    model(sg.Placeholder("x", ("N", 3), "float64"))
    model.l0.W.value = (np.arange(12).reshape(3, 4) - 5) / 10
    model.l1.W.value = (np.arange(8).reshape(4, 2) - 3) / 10
    rmsprop = sg.optim.RMSProp(0.01, rho=0.9, eps=1e-7)
    options = {"loss": "categorical_crossentropy", "metrics": ["accuracy"], **compiled}
    return model.compile(rmsprop, **options)


@pytest.mark.inventory("P.fixture", "V.training")
def test_the_losses_of_the_keras_chapter():
    model = keras_model()
    history = model.fit(X, ONE_HOT, epochs=3, batch_size=2, verbose=0)
    np.testing.assert_allclose(history["loss"], LOSSES, rtol=1e-12)
    assert history["accuracy"] == [0.0, 0.0, 0.5]
    found = model.evaluate(X, ONE_HOT)
    assert found["loss"] == pytest.approx(0.656372374578, rel=1e-11)
    assert found["accuracy"] == 0.5


@pytest.mark.inventory("P.fixture")
def test_the_gradients_of_the_keras_chapter():
    model = keras_model()
    x, t = sg.Placeholder("x", ("N", 3), "float64"), sg.Placeholder("t", ("N", 2), "float64")
    loss = sg.nn.categorical_cross_entropy(model(x), t)
    gradients = sg.compile(sg.grad(loss, [model.l1.W, model.l1.b]))
    rows = np.array([0.2545810161, 0.3818715242, 0.5091620322, 0.6364525403])
    found, offset = gradients(x=X, t=ONE_HOT)
    np.testing.assert_allclose(found, np.stack([-rows, rows], axis=1), rtol=1e-9)
    np.testing.assert_allclose(offset, [-0.0682262701, 0.0682262701], rtol=1e-8)


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [
        ("Categorical-CrossEntropy", "accuracy"),
        (sg.nn.categorical_cross_entropy, ["acc"]),
        (lambda y, t: -(t * sg.log(y)).sum() / t.shape[0], ()),
    ],
)
@pytest.mark.inventory("E8")
def test_a_loss_by_name_or_as_a_function(loss, metrics):
    model = keras_model(loss=loss, metrics=metrics)
    history = model.fit(X, ONE_HOT, epochs=3, batch_size=2, verbose=0)
    np.testing.assert_allclose(history["loss"], LOSSES, rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sparse_categorical_crossentropy"])
def test_losses_that_take_labels(name):
    model = keras_model(loss=name)
    if name == "softmax_cross_entropy":
        model.l1.activation = lambda x: x
        model.compile(sg.optim.RMSProp(0.01, rho=0.9, eps=1e-7), name, "accuracy")
    history = model.fit(X, [1, 0], epochs=3, batch_size=2, verbose=0)
    np.testing.assert_allclose(history["loss"], LOSSES, rtol=1e-12)
    assert history["accuracy"] == [0.0, 0.0, 0.5]


@pytest.mark.inventory("P.sizes", "P.initial")
def test_the_mnist_model_has_its_parameters_and_starts_at_chance():
    model = Sequential(Dense(512, "relu", in_size=784, seed=0), Dense(10, "softmax", seed=1))
    model.compile("rmsprop", "categorical_crossentropy", ["accuracy"])
    assert sum(parameter.size for parameter in model.parameters()) == 407_050
    assert model.trainer.program.step.compile_count == 1  # before any data are seen
    rng = np.random.default_rng(0)
    x, labels = rng.random((600, 784), "float32"), rng.integers(0, 10, 600)
    found = model.evaluate(x, np.eye(10)[labels])
    assert found["loss"] == pytest.approx(np.log(10), abs=0.35)
    assert 0.0 < found["accuracy"] < 0.3


class Counting(Callback):
    """Notes how many rows each step saw."""

    def __init__(self):
        self.rows, self.total = [], 0.0

    def epoch_begin(self, trainer, epoch):
        self.total = 0.0

    def step_end(self, trainer, step, numbers):
        total = trainer.program.progress.value[2]
        self.rows.append(int(total - self.total))
        self.total = total


@pytest.mark.inventory("P.batches")
def test_60000_images_are_469_batches_and_five_epochs_2345_updates():
    rng = np.random.default_rng(0)
    x, labels = rng.random((60_000, 4), "float32"), rng.integers(0, 3, 60_000)
    model = Sequential(Dense(8, "relu", in_size=4, seed=0), Dense(3, seed=1))
    model.compile("rmsprop", "softmax_cross_entropy", ["accuracy"])
    counting = Counting()
    history = model.fit(x, labels, epochs=5, batch_size=128, callbacks=[counting], verbose=0)
    assert len(history) == 5
    assert len(counting.rows) == 2345 == int(model.trainer.program.steps.value)
    assert counting.rows[:469] == [128] * 468 + [96]
    assert model.trainer.program.step.compile_count == 1
    assert history["loss"][-1] < history["loss"][0]
    test = x[:10_000], labels[:10_000]
    with closing(source_of(*test, 128, False, 0).batches(0, 0)) as batches:
        sizes = [len(rows) for rows, _ in batches]
    assert sizes == [128] * 78 + [16]
    found = model.evaluate(*test, batch_size=128)
    assert found == pytest.approx(model.evaluate(*test, batch_size=10_000), rel=1e-6)
    assert model.trainer.program.evaluation.compile_count == 1


def test_an_epoch_is_the_mean_over_its_rows_and_not_over_its_batches():
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(7, 3)).astype("f4"), rng.normal(size=(7, 2)).astype("f4")
    model = MLP((2,), in_size=3, seed=0).compile(sg.optim.SGD(0.0), "mse", ["mae", "mse"])
    history = model.fit(x, t, batch_size=4, verbose=0)
    difference = x @ model.l0.W.value + model.l0.b.value - t
    assert history["loss"] == pytest.approx([np.square(difference).mean()], rel=1e-6)
    assert history["mse"] == pytest.approx(history["loss"], rel=1e-6)
    assert history["mae"] == pytest.approx([np.abs(difference).mean()], rel=1e-6)
    assert model.evaluate(x, t, batch_size=3)["loss"] == pytest.approx(history["loss"][0], rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "activation", "targets", "expected"),
    [
        ("categorical_crossentropy", sg.softmax, [[1, 0, 0]], 110.0),
        ("sparse_categorical_crossentropy", sg.softmax, [0], 110.0),
        ("binary_crossentropy", sg.sigmoid, [[0.5, 0, 0.5]], (110 + 2 * np.log(2)) / 3),
    ],
)
def test_a_model_that_is_sure_and_wrong_still_learns(loss, activation, targets, expected):
    model = Sequential(Linear(3, in_size=1), activation)
    model.l0.W.value = [[0, 110, 0]]
    model.compile(sg.optim.SGD(1.0), loss)
    history = model.fit(np.ones((1, 1), "f4"), np.array(targets), verbose=0)
    assert history["loss"] == pytest.approx([expected], rel=1e-6)
    assert np.isfinite(model.l0.W.value).all()
    assert model.l0.W.value[0, 1] < 110


def test_losses_by_name_average_over_elements_and_functions_over_rows():
    x, t = np.ones((4, 2), "f4"), np.zeros((4, 3), "f4")
    expected = {"mse": 4.0, "mae": 2.0, sg.nn.mean_squared_error: 12.0}
    for loss, value in expected.items():
        model = Sequential(Linear(3, in_size=2))
        model.l0.W.value = np.ones((2, 3))
        model.compile(sg.optim.SGD(0.0), loss)
        assert model.evaluate(x, t) == {"loss": value}


def test_the_graph_is_written_with_the_first_data_where_nobody_knows_the_input():
    model = Sequential(Flatten(), Linear(3, seed=0)).compile("sgd", "softmax_cross_entropy")
    with pytest.raises(
        sg.GraphError, match="nothing is compiled yet, because the shape of the inp"
    ):
        repr(model.trainer.program)
    images = np.random.default_rng(0).integers(0, 256, (9, 2, 2)).astype("uint8")
    assert model.predict(images).shape == (9, 3)
    model.fit(images, np.arange(9) % 3, batch_size=4, verbose=0)
    assert model.trainer.program.x.shape[1:] == (2, 2)
    assert model.trainer.program.x.dtype == "float32"
    assert model.predict(images[:0]).shape == (0, 3)


def test_the_input_may_be_given():
    model = Sequential(Flatten(), Linear(3)).compile("sgd", "mse", inputs=(2, 2))
    assert repr(model.trainer.program.x) == "<placeholder 'x': float32[N, 2, 2]>"
    ids = sg.Placeholder("ids", ("N", 4), "int64")
    model = Sequential(Embedding(9, 2), Flatten(), Linear(3)).compile("sgd", "mse", inputs=ids)
    assert model.predict([[0, 1, 2, 8]]).shape == (1, 3)
    model = Sequential(Embedding(9, 2), Flatten(), Linear(3)).compile("sgd", "mse")
    assert model.predict([[0, 1, 2, 8]]).shape == (1, 3)
    assert model.trainer.fit([[0, 1, 2, 8]], [[0, 0, 1]], verbose=0)["loss"][0] > 0


def test_dropout_and_running_statistics_follow_the_mode():
    model = Sequential(BatchNorm(3), lambda x: sg.nn.dropout(x, 0.5) if sg.is_training() else x)
    model.compile(sg.optim.SGD(0.0), "mse", inputs=(3,))
    x = np.random.default_rng(0).normal(2, 3, (64, 3)).astype("f4")
    before = model.predict(x)
    np.testing.assert_allclose(before, x, rtol=1e-4)
    model.fit(x, x, epochs=60, batch_size=64, verbose=0)
    np.testing.assert_allclose(model.l0.avg_mean.value, x.mean(0), rtol=1e-2)
    after = model.predict(x)
    np.testing.assert_array_equal(after, model.predict(x))
    np.testing.assert_allclose(after.std(0), 1, rtol=2e-2)


def test_metrics_of_binary_decisions():
    x, t = np.array([[2.0], [-1.0], [0.5], [-3.0]]), np.array([[1.0], [0.0], [0.0], [0.0]])
    model = MLP((1,), in_size=1, bias=False, dtype="float64")
    model.l0.W.value = [[1.0]]
    logits = model.compile("sgd", "sigmoid_cross_entropy", "accuracy").evaluate(x, t)
    expected = np.mean(np.log1p(np.exp(x)) - x * t)
    assert logits == pytest.approx({"loss": expected, "accuracy": 0.75}, rel=1e-12)
    model = Sequential(model, sg.sigmoid).compile("sgd", "binary_crossentropy", ["accuracy"])
    assert model.evaluate(x, t)["accuracy"] == 0.75


def test_losses_and_metrics_of_ones_own():
    huber = Loss("huber", lambda y, t: sg.mean(sg.minimum(sg.abs(y - t), 1.0)), Targets.VALUES)
    worst = Metric("worst", lambda y, t: sg.max(sg.abs(y - t)))

    def bias(y, t):
        return sg.mean(y - t)

    model = MLP((1,), in_size=1, seed=0).compile(sg.optim.SGD(0.0), huber, [worst, bias])
    model.l0.W.value = [[0.0]]
    found = model.evaluate([[1.0], [1.0]], [[0.5], [-3.0]])
    assert found == {"loss": 0.75, "worst": 3.0, "bias": 1.25}


def test_a_trainer_without_a_model_of_ours():
    class Line(sg.layers.Layer):
        def __init__(self):
            self.slope = sg.Parameter(0.0, "slope")

        def forward(self, x):
            return self.slope * x

    trainer = Trainer(Line(), sg.optim.SGD(0.2), "mse", inputs=sg.Placeholder("x", ("N",), "f8"))
    x = np.linspace(0, 1, 50)
    trainer.fit(x, 3 * x, epochs=40, batch_size=10, verbose=0)
    assert float(trainer.model.slope.value) == pytest.approx(3, abs=1e-3)
    assert sg.Trainer is Trainer


def test_data_come_from_data_sets_and_loaders_too():
    class Squares(sg.data.Dataset):
        def prepare(self):
            self.data = np.arange(20, dtype="float32")[:, None] / 20
            self.label = self.data**2

    def trained(data, y=None, **options):
        model = MLP((4, 1), in_size=1, seed=0).compile("adam", "mse")
        model.fit(data, y, epochs=3, batch_size=6, verbose=0, **options)
        return model.history["loss"]

    squares = Squares()
    arrays = trained(squares.data, squares.label, shuffle=False)
    assert trained(squares, shuffle=False) == arrays
    loader = sg.data.DataLoader(squares, 6, shuffle=False)
    assert trained(loader, validation_data=loader) == arrays
    assert trained(sg.data.batches(squares.data, squares.label, size=6)) == arrays
    shuffled = trained(sg.data.DataLoader(squares, 6, rng=5, prefetch=2))
    assert shuffled == trained(squares.data, squares.label, seed=5) != arrays
    assert MLP((1,), in_size=1).compile("sgd", "mse").evaluate(squares)["loss"] >= 0


def test_large_batches_are_prepared_by_a_thread(monkeypatch):
    x, t = np.random.default_rng(0).random((40, 5), "f4"), np.arange(40) % 3
    losses = []
    for limit in (1 << 20, 1):
        monkeypatch.setattr(sources, "PREFETCHED_BYTES", limit)
        model = MLP((3,), in_size=5, seed=0).compile("adam", "softmax_cross_entropy")
        losses.append(model.fit(x, t, epochs=2, batch_size=16, verbose=0)["loss"])
    assert losses[0] == losses[1]


def test_a_seed_decides_on_the_order():
    x, t = np.random.default_rng(0).random((40, 5), "f4"), np.arange(40) % 3

    def loss(**options):
        model = MLP((3,), in_size=5, seed=0).compile(sg.optim.SGD(0.5), "softmax_cross_entropy")
        return model.fit(x, t, epochs=2, batch_size=8, verbose=0, **options)["loss"]

    assert loss() == loss(seed=0) != loss(seed=1)
    assert loss(shuffle=False) == loss(shuffle=False, seed=1) != loss()


def test_the_last_rows_may_be_held_out():
    x, t = np.arange(40).reshape(10, 4) / 40, np.arange(10) % 3
    fitted = [
        MLP((3,), in_size=4, seed=0).compile("sgd", "softmax_cross_entropy") for _ in range(2)
    ]
    history = fitted[0].fit(x, t, validation_split=0.3, epochs=2, verbose=0)
    by_hand = fitted[1].fit(x[:7], t[:7], validation_data=(x[7:], t[7:]), epochs=2, verbose=0)
    assert history.rows == by_hand.rows
    assert "val_loss" in history.names
    assert fitted[0].trainer.run.identity["rows"] == 7
    # 10 * (1 - 0.9) is a little less than 1.
    fitted[0].fit(x, t, validation_split=0.9, verbose=0)
    assert fitted[0].trainer.run.identity["rows"] == 1


def test_fitting_twice_goes_on():
    x, t = np.random.default_rng(0).random((40, 5), "f4"), np.arange(40) % 3

    def model():
        return MLP((3,), in_size=5, seed=0).compile("adam", "softmax_cross_entropy")

    one, two = model(), model()
    once = one.fit(x, t, epochs=4, verbose=0)
    two.fit(x, t, epochs=1, verbose=0)
    twice = two.fit(x, t, epochs=3, verbose=0)
    assert once.rows == twice.rows
    two.compile("adam", "softmax_cross_entropy")
    assert len(two.history) == 0


def test_parameters_that_are_frozen_stay():
    model = MLP((4, 3), in_size=5, seed=0)
    model.l0.freeze()
    model.compile(sg.optim.SGD(0.5), "softmax_cross_entropy")
    before = [parameter.value for parameter in model.parameters()]
    model.fit(np.random.default_rng(0).random((40, 5), "f4"), np.arange(40) % 3, verbose=0)
    after = [parameter.value for parameter in model.parameters()]
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [
        True, True, False, False,
    ]  # fmt: skip
