"""Saving and loading values: formats, names, layers that do not know their sizes, conversions."""

import os
import stat

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import BatchNorm, Conv2d, Flatten, Linear
from symgraph.models import MLP, Sequential

FORMATS = pytest.mark.parametrize("ending", ["npz", "safetensors"])
KINDS = {
    "float32": np.array([[1.5, -0.0], [np.nan, np.inf]], "float32"),
    "float64": np.linspace(0, 1, 7),
    "int32": np.arange(3, dtype="int32"),
    "int64": np.array(2**40),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), "float32"),
}


def _input(*shape):
    return sg.Placeholder("x", ("N", *shape), "float32")


def _values(layer):
    return {
        name: p.value for name, p in {**layer.named_parameters(), **layer.named_states()}.items()
    }


def _assert_same(one, two):
    assert list(one) == list(two)
    for name in one:
        assert one[name].dtype == two[name].dtype
        np.testing.assert_array_equal(one[name], two[name], strict=True)


@FORMATS
def test_every_dtype_comes_back_bit_by_bit(tmp_path, ending):
    path = tmp_path / f"all.{ending}"
    there = {f"group/{name}": sg.Parameter(value) for name, value in KINDS.items()}
    sg.save(there, path)
    back = {name: sg.Parameter(np.zeros_like(p.value)) for name, p in there.items()}
    assert sg.load(back, path) == ([], [])
    for name, parameter in there.items():
        assert back[name].value.tobytes() == parameter.value.tobytes()
    assert set(sg.load_arrays(path)) == set(there)


@FORMATS
@pytest.mark.inventory("N.save")
def test_an_mlp_keeps_its_names_and_its_output(tmp_path, ending):
    path = tmp_path / f"mlp.{ending}"
    one, two = MLP((10, 3), in_size=2, seed=0), MLP((10, 3), in_size=2, seed=1)
    x = np.array([[0.2, -0.4]], "float32")
    before = sg.compile(one(_input(2)))(x=x)
    f = sg.compile(two(_input(2)))
    assert (f(x=x) != before).any()
    one.save_weights(path)
    assert sorted(sg.load_arrays(path)) == ["l0/W", "l0/b", "l1/W", "l1/b"]
    assert two.load_weights(path) == ([], [])
    np.testing.assert_array_equal(f(x=x), before)


def test_numpy_reads_what_is_written_and_the_other_way_round(tmp_path):
    model = MLP((10, 3), in_size=2, seed=0)
    sg.save(model, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as found:
        assert sorted(found.files) == ["l0/W", "l0/b", "l1/W", "l1/b"]
        arrays = {name: found[name] for name in found.files}
    _assert_same(dict(sorted(_values(model).items())), dict(sorted(arrays.items())))
    fortran = {name: np.asfortranarray(array) for name, array in arrays.items()}
    np.savez_compressed(tmp_path / "theirs.npz", **fortran)
    other = MLP((10, 3), in_size=2, seed=1)
    sg.load(other, tmp_path / "theirs.npz")
    _assert_same(_values(model), _values(other))
    np.savez(tmp_path / "big.npz", w=np.arange(3.0).astype(">f8"))
    w = sg.Parameter(np.zeros(3))
    sg.load({"w": w}, tmp_path / "big.npz")
    assert w.value.tolist() == [0, 1, 2]


def test_equal_values_give_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        sg.save(MLP((3, 2), in_size=4, seed=0), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@FORMATS
def test_what_is_in_a_dict_is_named_by_its_key(tmp_path, ending):
    model, optimizer = MLP((3,), in_size=2, seed=0), sg.optim.Adam(0.1)
    loss = model(_input(2)).sum()
    step = sg.compile(loss, updates=optimizer.updates(loss, model.parameters()))
    step(x=np.ones((4, 2), "float32"))
    path = tmp_path / f"both.{ending}"
    sg.save({"model": model, "rule": optimizer, "more": {"n": sg.State(3)}}, path)
    names = list(sg.load_arrays(path))
    assert {"model/l0/W", "model/l0/b", "more/n"} < set(names)
    assert any(name.startswith("rule/adam/") and name.endswith("l0/W") for name in names)
    state = {name: value.value for name, value in optimizer.states().items()}
    step(x=np.ones((4, 2), "float32"))
    sg.load({"model": model, "rule": optimizer, "more": {"n": sg.State(0)}}, path)
    _assert_same(state, {name: value.value for name, value in optimizer.states().items()})


def _images():
    return Sequential(Conv2d(4, 3), BatchNorm(), sg.relu, Flatten(), Linear(5))


@FORMATS
@pytest.mark.inventory("N.fresh")
def test_a_fresh_model_is_loaded_before_its_first_call(tmp_path, ending):
    path = tmp_path / f"images.{ending}"
    one, two = _images(), _images()
    one(_input(2, 8, 8))
    one.named_states()["l1/avg_mean"].value = np.arange(4.0)
    sg.save({"net": one}, path)
    sg.load({"net": two}, path)
    _assert_same(_values(one), _values(two))
    assert two(_input(2, 8, 8)).shape[1] == 5
    with pytest.raises(sg.ShapeError, match="is for 2 channels, but axis 1 has 3"):
        two(_input(3, 8, 8))


def test_a_fresh_vgg16_takes_the_weights_of_a_small_one(tmp_path):
    # fc6, 102 million numbers for images of 224 x 224, belongs to images of 32 x 32 here.
    rng = np.random.default_rng(0)
    model = sg.models.VGG16(classes=3)
    model(_input(3, 32, 32))
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters().items()}
    small = {n: s for n, s in shapes.items() if n.startswith("conv") or n == "fc8/W"}
    arrays = {name: rng.random(shape, "float32") for name, shape in small.items()}
    fresh = sg.models.VGG16(classes=3)
    # The other arrays are not there, so fc6 still does not know its size.
    with pytest.raises(sg.ShapeError, match="<Linear 'fc6'> does not know its input size"):
        sg.load(fresh, arrays, strict=False)
    fresh(_input(3, 32, 32))
    left = sg.load(fresh, arrays, strict=False)
    assert left.unexpected == []
    assert set(left.missing) == set(shapes) - set(small)
    found = fresh.conv5_3.W.value
    np.testing.assert_array_equal(found, arrays["conv5_3/W"])


def test_a_load_that_fails_leaves_a_fresh_model_unsized(tmp_path):
    one, wrong = _images(), Sequential(Conv2d(4, 3), BatchNorm(), sg.relu, Flatten(), Linear(6))
    one(_input(2, 8, 8))
    sg.save(one, tmp_path / "images.npz")
    with pytest.raises(sg.CheckpointError, match=r"'l3/W' is float32\[144, 5\], wanted is"):
        sg.load(wrong, tmp_path / "images.npz")
    assert wrong(_input(7, 8, 8)).shape[1] == 6


@FORMATS
@pytest.mark.inventory("N.unknown")
def test_nothing_is_saved_before_shapes_are_known(tmp_path, ending):
    with pytest.raises(sg.ShapeError, match="<Linear 'l0'> does not know its input size yet"):
        sg.save(MLP((10, 3)), tmp_path / f"early.{ending}")
    assert not list(tmp_path.iterdir())


def test_loading_draws_no_initial_numbers(tmp_path):
    path = tmp_path / "w.npz"
    sg.save({"w": sg.Parameter(np.arange(3.0))}, path)

    def never():
        raise AssertionError("initial numbers were drawn")

    w = sg.Parameter.deferred((3,), "float64", never)
    sg.load({"w": w}, path)
    assert w.value.tolist() == [0, 1, 2]


@FORMATS
def test_weights_of_which_only_a_part_is_wanted(tmp_path, ending):
    path = tmp_path / f"pretrained.{ending}"
    sg.save(MLP((4, 4, 2), in_size=3, seed=0), path)
    part = MLP((4, 4, 4, 4), in_size=3, seed=1)
    before = _values(part)
    names = {n: p for n, p in part.named_parameters().items() if not n.startswith("l2")}
    assert sg.load(names, path, strict=False) == (["l3/W", "l3/b"], ["l2/W", "l2/b"])
    after = _values(part)
    same = [name for name in after if np.array_equal(after[name], before[name])]
    assert same == ["l0/b", "l1/b", "l2/W", "l2/b", "l3/W", "l3/b"]


def test_arrays_with_other_names_are_renamed_and_loaded():
    model = MLP((3,), in_size=2, seed=0)
    arrays = {"fc.weight": np.ones((2, 3), "f4"), "fc.bias": np.zeros(3, "f4")}
    renamed = {
        name.replace("fc.", "l0/").replace("weight", "W").replace("bias", "b"): array
        for name, array in arrays.items()
    }
    sg.load(model, renamed)
    assert model.l0.W.value.sum() == 6


def test_floats_are_converted_only_on_demand(tmp_path):
    np.savez(tmp_path / "half.npz", w=np.array([0.5, 65504], "f2"), n=np.array([7], "i8"))
    targets = {"w": sg.Parameter(np.zeros(2, "f4")), "n": sg.Parameter(np.zeros(1, "i4"))}
    with pytest.raises(sg.CheckpointError, match=r"'w' is float16\[2\].*pass convert=True"):
        sg.load(targets, tmp_path / "half.npz")
    sg.load(targets, tmp_path / "half.npz", convert=True)
    assert targets["w"].value.tolist() == [0.5, 65504]
    assert targets["n"].value.tolist() == [7]
    np.savez(tmp_path / "large.npz", w=np.array([1e300, 0]), n=np.array([7], "i8"))
    with pytest.raises(
        sg.CheckpointError, match="'w' holds numbers that are too large for float32"
    ):
        sg.load(targets, tmp_path / "large.npz", convert=True)
    np.savez(tmp_path / "long.npz", w=np.zeros(2, "f4"), n=np.array([2**40]))
    with pytest.raises(sg.CheckpointError, match="'n' holds numbers that are too large for int32"):
        sg.load(targets, tmp_path / "long.npz", convert=True)
    np.savez(tmp_path / "kind.npz", w=np.zeros(2, "i4"), n=np.array([7], "i4"))
    with pytest.raises(sg.CheckpointError, match=r"'w' is int32\[2\], wanted is float32\[2\] "):
        sg.load(targets, tmp_path / "kind.npz", convert=True)
    assert targets["w"].value.tolist() == [0.5, 65504]


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    wanted = stat.S_IMODE(os.stat(tmp_path / "plain").st_mode)
    for ending in ("npz", "safetensors"):
        sg.save({"w": sg.Parameter(1.0)}, tmp_path / f"w.{ending}")
        assert stat.S_IMODE(os.stat(tmp_path / f"w.{ending}").st_mode) == wanted


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "latest.npz").symlink_to(tmp_path / "store" / "one.npz")
    sg.save({"w": sg.Parameter(1.0)}, tmp_path / "latest.npz")
    assert (tmp_path / "latest.npz").is_symlink()
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["one.npz"]


@FORMATS
@pytest.mark.inventory("N.state", "D.step53")
def test_a_checkpoint_of_ones_own_loop_goes_on_bit_by_bit(tmp_path, ending):
    """With dropout and Adam, half a run and a resumed half give what a whole run gives."""
    path = tmp_path / f"run.{ending}"
    data = np.random.default_rng(0).random((6, 5, 4), "float32")

    def program():
        sg.random.seed(3)
        model, optimizer = MLP((8, 2), in_size=4, seed=0), sg.optim.Adam(0.05)
        loss = sg.nn.dropout(model(_input(4)), 0.5).sum()
        step = sg.compile(loss, updates=optimizer.updates(loss, model.parameters()))
        return {"model": model, "optimizer": optimizer}, step

    whole, step = program()
    for number, batch in enumerate(data):
        step(x=batch)
        if number == 2:
            sg.save_checkpoint(path, whole, functions={"step": step}, metadata={"epoch": 3})
    resumed, step = program()
    assert sg.load_checkpoint(path, resumed, functions={"step": step}) == {"epoch": 3}
    for batch in data[3:]:
        step(x=batch)
    _assert_same(_values(whole["model"]), _values(resumed["model"]))


def test_bfloat16_is_converted_on_demand(tmp_path, bfloat16_file):
    path = bfloat16_file(tmp_path / "brain.safetensors", {"w": [1.0, -2.0, 3.140625]})
    w = sg.Parameter(np.zeros(3, "f4"))
    with pytest.raises(sg.CheckpointError, match=r"'w' is bfloat16\[3\].*pass convert=True"):
        sg.load({"w": w}, path)
    sg.load({"w": w}, path, convert=True)
    assert w.value.tolist() == [1.0, -2.0, 3.140625]


@pytest.fixture
def bfloat16_file():
    return write_bfloat16


def write_bfloat16(path, arrays):
    """Write a `.safetensors` by hand, whose arrays hold the upper halves of float32 numbers."""
    import json
    import struct

    header, data = {}, b""
    for name, numbers in arrays.items():
        halves = (np.array(numbers, "<f4").view("<u4") >> 16).astype("<u2")
        span = [len(data), len(data) + halves.nbytes]
        header[name] = {"dtype": "BF16", "shape": [len(numbers)], "data_offsets": span}
        data += halves.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path
