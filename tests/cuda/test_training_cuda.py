"""Training on a device: the numbers of the host, what is copied, and what is waited for."""

import gc

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import ArrayDataset, DataLoader
from symgraph.layers import Linear
from symgraph.models import MLP, Sequential
from symgraph.training import Callback, EarlyStopping, ModelCheckpoint, Trainer, sources

HERE = r"(?s:.*)test_training_cuda\.py:\d+"
X = np.random.default_rng(0).standard_normal((40, 6)).astype("float32")
T = (X.sum(axis=1) > 0).astype("int64")
Y = np.stack([X.sum(axis=1), X[:, 0]], axis=1)


def _model(device, loss="softmax_cross_entropy", metrics=("accuracy",), optimizer="adam"):
    model = MLP((8, 2), in_size=6)
    for number, parameter in enumerate(model.parameters()):
        draw = np.random.default_rng(number)
        parameter.value = 0.3 * draw.standard_normal(parameter.shape)
    return model.compile(optimizer, loss, metrics, device=device)


def _values(model):
    return [parameter.value for parameter in model.parameters()]


def _agree(left, right):
    for one, other in zip(left, right, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_run_gives_the_numbers_of_the_host(cuda):
    runs = []
    for device in ("cpu", "cuda"):
        model = _model(device)
        history = model.fit(
            X, T, epochs=3, batch_size=16, verbose=0, validation_data=(X[:10], T[:10])
        )
        measured = model.evaluate(X, T, batch_size=16)
        runs.append((history.rows, measured, model.predict(X, batch_size=16), _values(model)))
    _agree(runs[0][0], runs[1][0])
    assert runs[0][1] == pytest.approx(runs[1][1], rel=1e-5)
    assert isinstance(runs[1][2], np.ndarray)
    np.testing.assert_allclose(runs[1][2], runs[0][2], rtol=1e-4, atol=1e-6)
    for one, other in zip(runs[0][3], runs[1][3], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def test_parameters_and_states_stay_on_the_device(cuda):
    model = _model("cuda")
    model.fit(X, T, epochs=1, batch_size=8, verbose=0)
    assert {parameter.device for parameter in model.parameters()} == {"cuda:0"}
    moments = [state for state in model.trainer.optimizer.states().values() if state.shape]
    assert moments and {state.device for state in moments} == {"cuda:0"}


def test_a_step_waits_for_nothing_and_copies_its_feeds_alone(cuda):
    model = _model("cuda", "mse", ())
    model.fit(X, Y, epochs=1, batch_size=4, verbose=0)
    counts = [_counted(cuda, model, batch_size) for batch_size in (4, 2)]
    steps = 10  # more of them, with the smaller batch
    more = {name: counts[1][name] - counts[0][name] for name in counts[1]}
    assert more["copyHostToDevice"] == steps
    assert more["copyDeviceToHost"] == 0
    assert more["synchronize"] <= steps  # of the event behind the feeds before, which is over


def _counted(cuda, model, batch_size):
    """Return what one epoch costs when all is compiled and recorded."""
    for _ in range(2):
        model.fit(X, Y, epochs=1, batch_size=batch_size, verbose=0)
    before = cuda.counts.copy()
    model.fit(X, Y, epochs=1, batch_size=batch_size, verbose=0)
    return cuda.counts - before


class Watching(Callback):
    def __init__(self, every):
        self.every, self.seen = every, {}

    def step_end(self, trainer, step, numbers):
        if step % self.every == 0:
            self.seen[step] = {name: float(value) for name, value in numbers.items()}


def test_callbacks_see_the_numbers_of_each_step(cuda):
    seen = []
    for device in ("cpu", "cuda"):
        watching = Watching(2)
        _model(device).fit(X, T, epochs=2, batch_size=16, verbose=0, callbacks=[watching])
        seen.append(watching.seen)
    assert list(seen[1]) == [2, 4, 6]
    _agree(seen[0].values(), seen[1].values())


def test_numbers_nobody_looks_at_are_not_copied(cuda):
    counts = []
    for every in (1, 1000):
        watching = Watching(every)
        model = _model("cuda", "mse", ())
        before = cuda.counts.copy()
        model.fit(X, Y, epochs=3, batch_size=4, verbose=0, callbacks=[watching])
        counts.append((cuda.counts - before)["copyDeviceToHost"])
    assert counts[0] - counts[1] == 30


def test_an_evaluation_reads_what_it_has_measured_once_in_a_while(cuda, monkeypatch):
    from symgraph.training import reading

    model = _model("cuda", "mse", ("mae",))
    expected = _model("cpu", "mse", ("mae",)).evaluate(X, Y, batch_size=3)
    for most in (1, 5, 64):
        monkeypatch.setattr(reading, "MOST_UNREAD", most)
        assert model.evaluate(X, Y, batch_size=3) == pytest.approx(expected, rel=1e-5)


def test_large_batches_are_brought_ahead(cuda, monkeypatch):
    monkeypatch.setattr(sources, "PREFETCHED_BYTES", 1)
    ahead, plain = _model("cuda"), _model("cpu")
    for model in (ahead, plain):
        model.fit(X, T, epochs=2, batch_size=16, verbose=0, validation_data=(X, T))
    _agree(ahead.history.rows, plain.history.rows)


def test_a_loader_that_gives_batches_on_the_device(cuda):
    runs = []
    for device in ("cpu", "cuda"):
        loader = DataLoader((X, T), 16, rng=5, device=device)
        model = _model(device)
        model.fit(loader, epochs=2, verbose=0, validation_data=loader)
        runs.append((model.history.rows, model.evaluate(loader)))
    _agree(runs[0][0], runs[1][0])
    assert runs[0][1] == pytest.approx(runs[1][1], rel=1e-5)


def test_a_data_set_is_read_on_the_host(cuda):
    data = ArrayDataset(X, T)
    runs = [_model(d).fit(data, epochs=1, batch_size=16, verbose=0).rows for d in ("cpu", "cuda")]
    _agree(*runs)


class Pairs:
    def __init__(self, pairs):
        self._pairs = pairs

    def __len__(self):
        return len(self._pairs)

    def __iter__(self):
        return iter(self._pairs)


def test_what_a_loader_on_a_device_may_not_give(cuda):
    model = _model("cuda")
    for arrays, kind, message in [
        ((X.astype("f8"), T), sg.FeedError, "x has the dtype float64, but float32 is needed"),
        ((X[:, :3], T), sg.FeedError, r"x has the shape \(16, 3\), but \(N, 6\) is needed"),
        ((X,), sg.DataError, "x gives batches of 1 arrays; a pair"),
    ]:
        with pytest.raises(kind, match=rf"{message}{HERE}"):
            model.fit(DataLoader(arrays, 16, device="cuda"), verbose=0)
    with pytest.raises(sg.DeviceError, match="on a GPU, but the function runs on the CPU"):
        _model("cpu").fit(DataLoader((X, T), 16, device="cuda"), verbose=0)
    there = cuda.cupy.asarray(X)
    with pytest.raises(sg.DataError, match=rf"x lies on a GPU; give the array of the host{HERE}"):
        model.fit(there, T)
    with pytest.raises(sg.DataError, match=rf"y is an array of the host beside one on{HERE}"):
        model.fit(Pairs([(there, T)]), verbose=0)


def test_labels_out_of_range_on_the_device(cuda):
    model = _model("cuda")
    before = _values(model)
    with pytest.raises(
        sg.BoundsError,
        match=r"an index is out of range, at (?s:.*) earlier call(?s:.*) no parameter",
    ):
        model.fit(DataLoader((X, T + 1), 40, device="cuda"), verbose=0)
    for one, other in zip(before, _values(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_numbers_that_are_not_finite(cuda):
    model = _model("cuda", "mse", (), sg.optim.SGD(1e30))
    with pytest.raises(sg.NonFiniteError, match=r"epoch 1/9, step \d+: "):
        model.fit(X, Y, epochs=9, batch_size=8, verbose=0, terminate_on_nan=True)
    assert all(np.isfinite(value).all() for value in _values(model))


def test_the_best_epoch_is_restored(cuda):
    runs = []
    for device in ("cpu", "cuda"):
        model = _model(device, optimizer=sg.optim.SGD(2.0))
        stopping = EarlyStopping("loss", patience=2, restore_best=True)
        model.fit(X, T, epochs=8, batch_size=16, verbose=0, callbacks=[stopping])
        runs.append((len(model.history), _values(model)))
    assert runs[0][0] == runs[1][0]
    for one, other in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


def test_a_run_that_stops_goes_on_bit_for_bit(cuda, tmp_path):
    path = tmp_path / "run.npz"
    whole = _model("cuda")
    whole.fit(X, T, epochs=4, batch_size=16, verbose=0)
    _model("cuda").fit(X, T, epochs=2, batch_size=16, verbose=0, callbacks=[ModelCheckpoint(path)])
    resumed = _model("cuda")
    resumed.fit(X, T, epochs=4, batch_size=16, verbose=0, resume=path)
    assert resumed.history.rows == whole.history.rows
    for one, other in zip(_values(whole), _values(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    on_host = _model("cpu")
    on_host.fit(X, T, epochs=4, batch_size=16, verbose=0, resume=path)
    _agree(on_host.history.rows, whole.history.rows)


def test_the_bar_shows_numbers(cuda, capsys):
    model = _model("cuda")
    model.fit(X, T, epochs=1, batch_size=16, verbose=1)
    model.evaluate(X, T, verbose=1)
    assert "loss" in capsys.readouterr().err


def test_models_and_trainers_take_a_device(cuda):
    model = Sequential(Linear(4, 6), sg.relu, Linear(2, 4))
    trainer = Trainer(model, "sgd", "mse", device="cuda:0", precision="tf32")
    assert trainer.program.step.device == "cuda:0"
    trainer.fit(X, Y, verbose=0)
    for options, kind, message in [
        ({"device": "cuda:1"}, sg.DeviceError, "there is no device 'cuda:1'"),
        ({"device": "tpu"}, sg.DeviceError, "a device is 'cpu', 'cuda'"),
        ({"precision": "tf32"}, sg.GraphError, "precision='tf32' is for device='cuda'"),
        ({"device": "cuda", "precision": "half"}, sg.GraphError, "precision is 'float32', 'tf32'"),
    ]:
        with pytest.raises(kind, match=f"{message}{HERE}"):
            Trainer(model, "sgd", "mse", **options)


def test_nothing_is_left_on_the_device(cuda):
    model = _model("cuda")
    model.fit(DataLoader((X, T), 16, device="cuda"), epochs=1, verbose=0)
    del model
    gc.collect()
    cuda.machine.check()
    assert not cuda.machine.pinned
