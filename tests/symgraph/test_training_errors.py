"""Bad input to `compile`, `fit`, `evaluate` and `predict`: typed errors, and nothing is changed."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import Linear
from symgraph.models import MLP, Sequential
from symgraph.training import Trainer

X, T = np.ones((6, 4), "float32"), np.arange(6) % 3
HERE = r"\n  at .*test_training_errors\.py:\d+"


@pytest.fixture(scope="module")
def model():
    return MLP((3,), in_size=4, seed=0).compile("adam", "softmax_cross_entropy", ["accuracy"])


def _made(**given):
    options = {"optimizer": "adam", "loss": "softmax_cross_entropy", **given}
    return MLP((3,), in_size=4, seed=0).compile(**options)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"optimizer": "adm"}, sg.GraphError, "no optimizer called 'adm'; did you mean 'adam'"),
        ({"optimizer": "zzz"}, sg.GraphError, "no optimizer called 'zzz'; known are .*rmsprop"),
        ({"optimizer": 0.1}, sg.GraphError, r"such as sg.optim.Adam\(1e-3\), not 0.1" + HERE),
        ({"optimizer": sg.optim.Adam}, sg.GraphError, "not <class 'symgraph.optim.adam.Adam'>"),
        (
            {"loss": "softmax_crossentropy"},
            sg.GraphError,
            "no loss called 'softmax_crossentropy'; did you mean 'softmax_cross_entropy'",
        ),
        ({"loss": None}, sg.GraphError, "a loss is a name or a function of output and targets, no"),
        ({"metrics": "acuracy"}, sg.GraphError, "called 'acuracy'; did you mean 'accuracy'"),
        ({"metrics": [3]}, sg.GraphError, "a metric is a name or a function of output and target"),
        (
            {"metrics": ["accuracy", "accuracy"]},
            sg.GraphError,
            "two metrics are called 'accuracy'" + HERE,
        ),
        (
            {"metrics": "accuracy", "loss": "mse"},
            sg.GraphError,
            "'accuracy' means with the loss mean",
        ),
        ({"metrics": lambda y, t: y}, sg.ShapeError, "the metric <lambda> is one number, the mean"),
        (
            {"metrics": lambda y, t: 3},
            sg.GraphError,
            "is a function from nodes to a node, but gave 3",
        ),
        ({"inputs": "x"}, sg.GraphError, r"inputs is a placeholder or the shape of a row, such as"),
        ({"inputs": (4.5,)}, sg.GraphError, r"such as \(784,\), not \(4.5,\)"),
        (
            {"inputs": sg.Placeholder("x")},
            sg.ShapeError,
            "first axis of an input is that of the rows",
        ),
        (
            {"inputs": sg.Placeholder("x", (2, 4), "f4")},
            sg.ShapeError,
            "of the rows and has a name",
        ),
        ({"inputs": sg.Placeholder("x", ("N", 4))}, sg.DTypeError, "an input needs a dtype"),
        (
            {"inputs": (5,)},
            sg.ShapeError,
            r"<Linear 'l0'> is for 4 inputs, but the last axis has 5",
        ),
    ],
)
def test_models_cannot_be_compiled_with_just_anything(given, kind, message):
    with pytest.raises(kind, match=message):
        _made(**given)


def test_a_loss_that_is_none():
    for loss, kind, message in [
        (lambda y, t: y - t, sg.ShapeError, "the loss <lambda> is one number, the mean over all"),
        (lambda y, t: 3.0, sg.GraphError, "from nodes to a node, but gave 3.0"),
        (lambda y, t: (y > t).sum(), sg.DTypeError, "the loss <lambda> is a float, not"),
    ]:
        with pytest.raises(kind, match=message):
            _made(loss=loss).fit(X, np.ones((6, 3), "f4"), verbose=0)


def test_models_that_cannot_be_trained():
    with pytest.raises(sg.GraphError, match="a model is a layer, not relu"):
        Trainer(sg.relu, "adam", "mse")
    two = Sequential(Linear(3, 4), lambda x: (x, x)).compile
    with pytest.raises(
        sg.GraphError, match="a model that is trained gives one node, but <Sequential"
    ):
        two("adam", "mse")
    total = Sequential(Linear(3, 4), sg.sum).compile
    with pytest.raises(
        sg.ShapeError, match="gives one row for each row of its input, but <Sequenti"
    ):
        total("adam", "mse")
    flat = Sequential(Linear(3, 4), lambda x: x[:, 0]).compile
    with pytest.raises(sg.ShapeError, match="takes one score for each class, so an output"):
        flat("adam", "softmax_cross_entropy")


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
def test_nothing_goes_before_compile(call):
    model = MLP((3,), in_size=4)
    arguments = (X,) if call == "predict" else (X, T)
    message = r"<MLP> does not know yet how it is trained: call compile\(optimizer, loss\)" + (
        r" first" + HERE
    )
    with pytest.raises(sg.GraphError, match=message):
        getattr(model, call)(*arguments)


NONE = np.zeros((0, 4), "float32")
DATA = [
    ((X[:5], T), sg.DataError, "x has 5 rows and y has 6"),
    ((X, None), sg.DataError, "there are no targets: y is missing"),
    ((NONE, T[:0]), sg.DataError, "x has no rows"),
    (
        (X[:, :3], T),
        sg.FeedError,
        r"x has the shape \(6, 3\), but \(N, 4\) is needed: that is the in",
    ),
    ((X[0], T[:4]), sg.FeedError, r"x has the shape \(4,\), but \(N, 4\) is needed"),
    (
        (X, T[:, None]),
        sg.FeedError,
        r"y has the shape \(6, 1\), but \(N,\) is needed: the targets of",
    ),
    (
        (X, T.astype("f4")),
        sg.FeedError,
        "y has the dtype float32, but int64 is needed: the targets",
    ),
    ((X, np.eye(3)[T]), sg.FeedError, "the targets of softmax_cross_entropy are integers, one for"),
    ((X, T + 1), sg.BoundsError, "y holds the label 3 in row 2, but there are 3 classes"),
    ((X, T - 1), sg.BoundsError, "y holds the label -1 in row 0, but there are 3 classes"),
    ((3.0, T), sg.DataError, "x is a single number and has no rows"),
    (([[1, 2], [3]], T), sg.DataError, "x is no array: "),
    ((X.astype(str), T), sg.DataError, "x holds numbers, not values of dtype <U"),
    ((X.astype(object), T), sg.DataError, "x holds numbers, not values of dtype object"),
    (("images", T), sg.DataError, "x is an array of rows, not str"),
    ((sg.Constant(X), T), sg.DataError, "x is an array of rows, not Constant"),
    ((np.ma.array(X), T), sg.DataError, "x is an array of rows, not MaskedArray"),
    ((X.astype("f8") * 1e300, T), sg.FeedError, "x holds numbers that are too large for float32"),
    (
        (sg.data.batches(X, T, size=2), T),
        sg.DataError,
        "x is a Batches, which gives the targets to",
    ),
    ((sg.data.batches(X, size=2), None), sg.DataError, "gives batches of 1 arrays|are no targets"),
    (
        (sg.data.batches(X, T, T, size=2), None),
        sg.DataError,
        "gives batches of 3 arrays; a pair of",
    ),
    ((iter([(X, T)]), None), sg.DataError, "must know its number of batches and begin anew"),
]


@pytest.mark.parametrize(("data", "kind", "message"), DATA)
def test_data_that_do_not_fit_are_refused_before_anything_is_changed(model, data, kind, message):
    before = model.l0.W.value
    with pytest.raises(kind, match=message + "(.|\n)*" + HERE):
        model.fit(*data, verbose=0)
    with pytest.raises(kind, match=message):
        model.evaluate(*data)
    if data[1] is not None and kind is not sg.BoundsError:
        with pytest.raises(kind, match="the validation "):
            model.fit(X, T, validation_data=data, verbose=0)
    np.testing.assert_array_equal(model.l0.W.value, before)
    assert len(model.history) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is a positive int, not 0"),
        ({"epochs": 1.5}, "epochs is a positive int, not 1.5"),
        ({"batch_size": -1}, "batch_size is a positive int, not -1"),
        ({"seed": "a"}, "a seed is a non-negative int, not 'a'"),
        ({"epoch": 3}, "there is no option of fit called 'epoch'; did you mean 'epochs'"),
        ({"verbose": 3}, "verbose is one of 0, 1, 2, not 3"),
        ({"validation_split": 0.0}, "is a share of the rows, a float between 0 and 1, not 0.0"),
        ({"validation_split": 1.0}, "is a share of the rows, a float between 0 and 1, not 1.0"),
        ({"validation_split": 1}, "is a share of the rows, a float between 0 and 1, not 1"),
        ({"validation_split": np.nan}, "is a share of the rows, a float between 0 and 1, not nan"),
        (
            {"validation_split": 0.5, "validation_data": (X, T)},
            "validation_data and validation_split both say what to measure on; give one",
        ),
    ],
)
def test_options_that_make_no_sense(model, options, message):
    with pytest.raises(sg.GraphError, match=message + "[^\\n]*" + HERE):
        model.fit(X, T, **options)


def test_a_share_that_cannot_be_held_out(model):
    with pytest.raises(sg.DataError, match="x has 6 rows, of which .*=0.95 leaves 0 to.*" + HERE):
        model.fit(X, T, validation_split=0.95)
    with pytest.raises(sg.DataError, match="validation_split divides arrays, but x is a DataLoade"):
        model.fit(sg.data.DataLoader(sg.data.ArrayDataset(X, T), 2), validation_split=0.5)
    with pytest.raises(sg.DataError, match="there are no targets: y is missing"):
        model.fit(X, validation_split=0.5)


def test_columns_and_rows_of_targets_are_told_apart(model):
    column = Sequential(Linear(1, in_size=4), sg.sigmoid).compile("adam", "binary_crossentropy")
    message = r"(?s)y has the shape \(6,\), but \(N, 1\) is needed.*one more axis: y\[:, None\]$"
    with pytest.raises(sg.FeedError, match=message):
        column.fit(X, T > 0)
    with pytest.raises(sg.FeedError, match=r"drop the last axis: y\[\.\.\., 0\]$"):
        model.fit(X, T, validation_data=(X, T[:, None]))


def test_validation_data_that_are_no_pair(model):
    with pytest.raises(
        sg.DataError, match="validation_data is a pair of inputs and targets, not 3"
    ):
        model.fit(X, T, validation_data=(X, T, T), verbose=0)
    with pytest.raises(sg.DataError, match="there are no targets: the validation y is missing"):
        model.fit(X, T, validation_data=(X, None), verbose=0)


def test_predictions_need_rows_of_the_right_width(model):
    with pytest.raises(sg.FeedError, match=r"x has the shape \(6, 3\), but \(N, 4\) is needed"):
        model.predict(X[:, :3])
    with pytest.raises(sg.GraphError, match="batch_size is a positive int, not 0"):
        model.predict(X, batch_size=0)


def test_a_bad_batch_of_a_loader_ends_the_run_with_the_last_whole_step(model):
    class Loader:
        def __len__(self):
            return 2

        def __iter__(self):
            yield X, T
            yield X[:, :2], T

    with pytest.raises(sg.FeedError, match=r"x has the shape \(6, 2\), but \(N, 4\) is needed"):
        model.fit(Loader(), verbose=0)
    assert int(model.trainer.program.steps.value) == 1
    assert len(model.history) == 0


def test_a_loss_that_is_not_finite_ends_the_run_when_asked():
    x = X.copy()
    x[4] = np.inf
    model = _made()
    before = model.l0.W.value
    message = r"epoch 1/2, step 3: (.|\n)*not finite|epoch 1/2, step 3: (.|\n)*NaN"
    with pytest.raises(sg.NonFiniteError, match=message):
        model.fit(x, T, epochs=2, batch_size=2, shuffle=False, terminate_on_nan=True, verbose=0)
    assert int(model.trainer.program.steps.value) == 2
    assert np.isfinite(model.l0.W.value).all() and (model.l0.W.value != before).any()
    history = model.fit(x, T, epochs=1, batch_size=2, verbose=0)
    assert np.isnan(history["loss"][0])
