"""Where values are: on the host, on devices, and which of them are the newest."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, State, compile
from symgraph.errors import CheckpointError, DeviceError, DeviceMemoryError, ShapeError
from tests.symgraph.fake_device import DeviceFunction, adder, copies, installed, reader


@pytest.fixture
def devices(monkeypatch):
    return installed(monkeypatch)


# Moving by hand.


def test_a_parameter_moves_and_says_where_it_is(devices):
    p = Parameter(np.arange(3.0), "p")
    assert p.device == "cpu"
    assert p.to("cuda") is p
    assert p.device == "cuda:0"
    np.testing.assert_array_equal(p.value, [0, 1, 2])
    assert p.device == "cuda:0", "it is on the host too, but reading moves nothing"
    assert p.to("cuda:1").device == "cuda:1"
    assert [device.live for device in devices] == [0, 24]
    assert p.to("cpu").device == "cpu"
    assert [device.live for device in devices] == [0, 0]
    np.testing.assert_array_equal(p.value, [0, 1, 2])
    assert copies(devices) == [(1, 0), (1, 0)]


def test_assigning_a_value_moves_it_to_the_host(devices):
    p = Parameter(np.zeros(3), "p").to("cuda")
    p.value = [1.0, 2, 3]
    assert p.device == "cpu"
    np.testing.assert_array_equal(reader(devices[0], p)(), [1, 2, 3])
    assert p.device == "cuda:0"
    assert copies(devices) == [(2, 0), (0, 0)]


@pytest.mark.parametrize("value", [np.zeros((0, 3), "f4"), np.float64(7), np.array(True), 5])
def test_empty_arrays_and_scalars_move(devices, value):
    p = State(value, "p")
    before = p.value
    p.to("cuda").to("cuda:1").to("cpu")
    np.testing.assert_array_equal(p.value, before, strict=True)


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "cuda:1٣", "", None, 0, np.zeros(3)]
)
def test_other_names_of_devices_are_refused(devices, name):
    p = Parameter(np.zeros(3), "p")
    with pytest.raises(DeviceError, match=r"'cpu', 'cuda', or 'cuda:1' and so on, not .*\n  at "):
        p.to(name)
    assert p.device == "cpu"


def test_a_device_that_is_not_there_leaves_the_value_where_it_is(devices):
    p = Parameter(np.zeros(3), "p").to("cuda:0")
    with pytest.raises(DeviceError, match="there is no device 'cuda:7'"):
        p.to("cuda:7")
    assert p.device == "cuda:0"


def test_a_full_device_leaves_the_value_where_it_is(devices):
    p = Parameter(np.ones(1000), "p").to("cuda:0")
    adder(devices[0], p)()
    for _ in range(2):
        with pytest.raises(DeviceMemoryError, match="cuda:1 has no 8000 bytes left"):
            p.to("cuda:1")
        assert p.device == "cuda:0"
        assert (p.value == 2).all()


@pytest.mark.parametrize("target", ["cpu", "cuda:1"])
def test_a_device_that_fails_while_it_is_read_changes_nothing(devices, target):
    p = Parameter(np.ones(4), "p")
    adder(devices[0], p)()
    devices[0].broken = True
    with pytest.raises(DeviceError, match="cuda:0 does not answer"):
        p.to(target)
    with pytest.raises(DeviceError, match="cuda:0 does not answer"):
        _ = p.value
    devices[0].broken = False
    assert p.device == "cuda:0"
    assert (p.value == 2).all()


def test_a_deferred_parameter_is_drawn_once_and_moves(devices):
    drawn = []

    def initial():
        drawn.append(1)
        return np.full((2, 2), 3.0)

    p = Parameter.deferred((2, 2), "float64", initial, "p")
    assert (p.device, drawn) == ("cpu", [])
    assert p.to("cuda").device == "cuda:0"
    assert (p.to("cpu").value == 3).all()
    assert drawn == [1]


def test_what_is_assigned_before_it_is_drawn_is_never_drawn(devices):
    p = Parameter.deferred((2,), "float64", lambda: pytest.fail("drawn"), "p")
    p.value = [1.0, 2.0]
    assert p.to("cuda").value.tolist() == [1, 2]


def test_layers_and_optimisers_move_whole(devices):
    model = sg.models.MLP((5, 2), in_size=3)
    x = Placeholder("x", (4, 3), "float32")
    optimizer = sg.optim.Adam(0.1)
    optimizer.updates(sg.sum(model(x)), model.parameters())
    assert model.to("cuda") is model
    assert optimizer.to("cuda") is optimizer
    moved = [*model.parameters(), *model.states(), *optimizer.states().values()]
    assert {each.device for each in moved} == {"cuda:0"}
    model.to("cpu")
    optimizer.to("cpu")
    assert {each.device for each in moved} == {"cpu"}
    assert devices[0].live == 0


def test_a_layer_without_sizes_does_not_move(devices):
    with pytest.raises(ShapeError, match="does not know its input size"):
        sg.models.MLP((5, 2)).to("cuda")


# Functions on both sides.


def test_functions_take_turns_on_the_host_and_a_device(devices):
    p = Parameter(np.zeros(4), "p")
    on_host = compile([], updates={p: p * 2})
    reference = compile([], updates={p: p * 3}, mode="reference")
    on_device = adder(devices[0], p)
    expected = 0
    for _ in range(3):
        on_device()
        on_host()
        reference()
        expected = (expected + 1) * 6
        assert (p.value == expected).all()
    assert copies(devices[:1]) == [(3, 3)]


def test_what_stays_on_a_device_is_copied_once(devices):
    p = Parameter(np.zeros(4), "p")
    step, read = adder(devices[0], p), reader(devices[0], p)
    for _ in range(50):
        step()
        read()
    assert copies(devices[:1]) == [(1, 0)]
    assert len(step.bound) == len(read.bound) == 1
    assert (p.value == 50).all()
    assert (p.value == 50).all()
    assert copies(devices[:1]) == [(1, 1)]


def test_reading_on_the_host_keeps_the_copy_on_the_device(devices):
    p = Parameter(np.zeros(4), "p")
    read = compile(p * 1)
    step = adder(devices[0], p)
    for turn in range(3):
        step()
        assert (read() == turn + 1).all()
        assert (read() == turn + 1).all()
    assert copies(devices[:1]) == [(1, 3)]


def test_a_device_that_gave_memory_back_gets_new_addresses(devices):
    p = Parameter(np.zeros(4), "p")
    step = adder(devices[0], p)
    step()
    p.to("cpu")
    taken = Parameter(np.full(4, 9.0), "taken").to("cuda")
    step()
    assert (p.value == 2).all()
    assert (taken.value == 9).all()
    assert len(step.bound) == 2


def test_a_host_write_goes_to_the_same_memory(devices):
    p = Parameter(np.zeros(4), "p")
    step = adder(devices[0], p)
    for turn in range(4):
        p.value = np.full(4, 10.0 * turn)
        for _ in range(3):
            step()
        p.value = reader(devices[0], p)() * 2
        step()
        assert (p.value == 2 * (10 * turn + 3) + 1).all()
    assert len(step.bound) == 1


def test_other_devices_are_out_of_date_after_a_write(devices):
    p = Parameter(np.zeros(4), "p")
    first, second = (adder(device, p) for device in devices)
    for turn in range(3):
        first()
        second()
        assert (reader(devices[0], p)() == 2 * turn + 2).all()
        assert (reader(devices[1], p)() == 2 * turn + 2).all()
    assert copies(devices) == [(4, 3), (3, 3)]


def test_a_run_that_fails_on_a_device_leaves_the_value(devices):
    p = Parameter(np.full(4, 5.0), "p")

    def body(view):
        raise DeviceError("the run failed")

    failing = DeviceFunction(devices[0], [p], [p], body)
    with pytest.raises(DeviceError, match="the run failed"):
        failing()
    assert (p.value == 5).all()


def test_a_run_that_fails_on_the_host_leaves_the_value(devices):
    p = Parameter(np.full(4, 5.0), "p")
    index = Placeholder("index", ("N",), "int64")
    f = compile(p[index], updates={p: p + 1})
    adder(devices[0], p)()
    with pytest.raises(sg.BoundsError, match="no parameter was changed"):
        f(index=np.array([4]))
    assert (reader(devices[0], p)() == 6).all()
    f(index=np.array([3]))
    assert (reader(devices[0], p)() == 7).all()


def test_the_memory_of_a_device_goes_with_the_parameter(devices):
    p = Parameter(np.zeros(4), "p").to("cuda")
    assert devices[0].live == 32
    del p
    assert devices[0].live == 0


# Saving and loading.


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_saving_and_loading_on_a_device(devices, tmp_path, ending):
    path = tmp_path / f"p.{ending}"
    p = Parameter(np.zeros(4), "p")
    step = adder(devices[0], p)
    step()
    sg.save({"p": p}, path)
    step()
    assert p.device == "cuda:0", "training goes on there"
    sg.load({"p": p}, path)
    assert p.device == "cpu"
    step()
    assert (p.value == 2).all()
    assert copies(devices[:1]) == [(2, 2)]
    assert len(step.bound) == 1


def test_a_file_that_does_not_fit_changes_nothing(devices, tmp_path):
    path = tmp_path / "p.npz"
    p, q = Parameter(np.zeros(4), "p"), Parameter(np.zeros(4), "q")
    sg.save({"p": p, "q": Parameter(np.zeros(5), "q")}, path)
    steps = [adder(devices[0], each) for each in (p, q)]
    for step in steps:
        step()
    with pytest.raises(CheckpointError, match="q"):
        sg.load({"p": p, "q": q}, path)
    assert (p.device, q.device) == ("cuda:0", "cuda:0")
    assert copies(devices[:1]) == [(2, 0)]
    assert (p.value == 1).all()


def test_a_checkpoint_is_taken_from_the_device(devices, tmp_path):
    model = sg.models.MLP((5, 2), in_size=3).to("cuda")
    before = [each.value for each in model.parameters()]
    sg.save_checkpoint(tmp_path / "run.npz", {"model": model})
    for each in model.parameters():
        adder(devices[0], each)()
    sg.load_checkpoint(tmp_path / "run.npz", {"model": model})
    for each, value in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(reader(devices[0], each)(), value)
