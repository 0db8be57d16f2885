"""Files that do not fit, or are damaged: a typed error, and nothing is changed."""

import io
import json
import random
import re
import struct
import zipfile

import numpy as np
import pytest

import symgraph as sg

FORMATS = pytest.mark.parametrize("ending", ["npz", "safetensors"])


def _pair():
    w = sg.Parameter(np.arange(6, dtype="f4").reshape(2, 3), "w")
    return {"l0/w": w, "b": sg.Parameter(np.arange(3.0), "b")}


def _refused(targets, path, message, **options):
    before = {name: parameter.value for name, parameter in targets.items()}
    with pytest.raises(sg.CheckpointError, match=message):
        sg.load(targets, path, **options)
    for name, parameter in targets.items():
        np.testing.assert_array_equal(parameter.value, before[name])


@FORMATS
@pytest.mark.inventory("N.load")
def test_all_that_does_not_fit_is_listed_at_once(tmp_path, ending):
    path = tmp_path / f"w.{ending}"
    sg.save({"l0/w": sg.Parameter(np.ones((2, 4), "f4")), "extra": sg.Parameter(1.0)}, path)
    message = (
        r"w\.\w+ does not fit; nothing was loaded\n"
        r"  missing in the file:\n    'b' \(float64\[3\]\)\n"
        r"  in the file, but not wanted:\n    'extra' \(float64\[\]\)\n"
        r"  of another type:\n    'l0/w' is float32\[2, 4\], wanted is float32\[2, 3\] "
        r"\(made at .*test_serialise_errors.py:\d+\)\n"
        r"  at .*test_serialise_errors.py:\d+\n"
        r"  load what is on both sides with strict=False, or rename what load_arrays gives"
    )
    _refused(_pair(), path, message)
    _refused(_pair(), path, "of another type", strict=False)
    _refused({"c": sg.Parameter(0.0)}, path, "no name is the same on both sides", strict=False)


def test_a_long_list_of_problems_is_cut():
    arrays = {f"w{number:02d}": np.zeros(1) for number in range(40)}
    _refused(_pair(), arrays, r"'w11' \(float64\[1\]\)\n    \.\.\. and 28 more")


@pytest.mark.parametrize(
    ("savable", "message"),
    [
        ({}, r"there is nothing to save in \{\}"),
        (
            sg.optim.SGD(sg.Placeholder("rate", (), "float64")),
            "an optimiser has state, if its rule",
        ),
        (sg.Parameter(1.0, "w"), r"not <parameter 'w': float64\[\]>; give it a name"),
        ({"a": 3}, "not 3 under 'a'"),
        ([sg.Parameter(1.0)], "what is saved is a layer, a model, an optimiser, or a dict"),
        ({1: sg.Parameter(1.0)}, "a name is a str, not 1"),
        ({"": sg.Parameter(1.0)}, "what is saved is a layer"),
        ({"a\0b": sg.Parameter(1.0)}, "cannot be the name of a saved array"),
        ({"__metadata__": sg.Parameter(1.0)}, "does not begin with '__'"),
        ({"x" * 1001: sg.Parameter(1.0)}, r"'xxx.*\.\.\.x+' cannot be the name"),
        (
            {"a/b": sg.Parameter(1.0), "a": {"b": sg.Parameter(2.0)}},
            "two arrays are called 'a/b'\n  at .*test_serialise_errors",
        ),
    ],
)
@FORMATS
def test_what_cannot_be_saved(tmp_path, ending, savable, message):
    with pytest.raises(sg.CheckpointError, match=message):
        sg.save(savable, tmp_path / f"w.{ending}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["weights", "weights.pkl", "weights.pt", 3, None])
def test_other_endings_are_refused(path):
    message = r"a file of weights ends in \.npz or \.safetensors, unlike .*\n  at .*test_serialise"
    with pytest.raises(sg.CheckpointError, match=message):
        sg.save(_pair(), path)
    with pytest.raises(sg.CheckpointError, match=message):
        sg.load(_pair(), path)


@FORMATS
def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path, ending):
    path = tmp_path / f"none.{ending}"
    message = rf"there is no file {re.escape(str(path))} to load from\n  at .*test_serialise_errors"
    for read in (
        lambda: sg.load(_pair(), path),
        lambda: sg.load_arrays(path),
        lambda: sg.load_checkpoint(path, _pair()),
        lambda: sg.models.MLP((3,), in_size=4).load_weights(path),
    ):
        with pytest.raises(FileNotFoundError, match=message) as caught:
            read()
        assert isinstance(caught.value, sg.CheckpointError)
    with pytest.raises(FileNotFoundError, match="No such file"):
        sg.save(_pair(), tmp_path / "folder" / f"none.{ending}")
    (tmp_path / f"folder.{ending}").mkdir()
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        sg.save(_pair(), tmp_path / f"folder.{ending}")
    assert [path.name for path in tmp_path.iterdir()] == [f"folder.{ending}"]


def test_only_arrays_are_loaded_from_a_dict():
    message = "the dict to load from holds arrays, not 3 under 'w'"
    _refused(_pair(), {"w": 3}, message)
    _refused(_pair(), {"w": sg.Constant(3)}, "holds arrays, not <constant 3")


@FORMATS
@pytest.mark.inventory("N.load")
def test_damaged_files_never_load_wrong_numbers(tmp_path, ending):
    """Every truncation and every flipped bit gives the right numbers or a CheckpointError."""
    path, bad = tmp_path / f"good.{ending}", tmp_path / f"bad.{ending}"
    there = _pair()
    sg.save(there, path, metadata={"epoch": 3})
    good = path.read_bytes()
    rng = random.Random(0)
    broken = [good[:length] for length in rng.sample(range(len(good)), 60)]
    for _ in range(300):
        flipped = bytearray(good)
        flipped[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        broken.append(bytes(flipped))
    refused = 0
    for data in broken:
        bad.write_bytes(data)
        targets = {name: sg.Parameter(np.full_like(p.value, -1)) for name, p in there.items()}
        try:
            sg.load(targets, bad)
        except sg.CheckpointError:
            refused += 1
            assert all((p.value == -1).all() for p in targets.values())
        else:
            for name, parameter in targets.items():
                np.testing.assert_array_equal(parameter.value, there[name].value)
    assert refused > len(broken) / 2


def test_pickled_objects_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("a trap has sprung",)

    path = tmp_path / "trap.npz"
    np.savez(path, **{"l0/w": np.array([Trap()], dtype=object), "b": np.zeros(3)})
    _refused(_pair(), path, r"'l0/w' holds pickled Python objects, which are never loaded")
    with pytest.raises(sg.CheckpointError, match="holds Python objects, which only unpickling"):
        sg.load_arrays(path)


def _header(shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([("b.npy", b"no array")], "is damaged or incomplete: the magic string is not correct"),
        ([("b.npy", _header((10**12,)) + b"1234")], "another length than its header says"),
        ([("b.npy", _header((3,)) + b"1" * 13)], "another length than its header says"),
        ([("b.npy", _header((3,)) + b"1" * 12)] * 2, "'b' is in it twice"),
        ([("__metadata__.npy", _header((3,)) + b"1" * 12)], "its metadata are no text"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_made_up(tmp_path, parts, message):
    with zipfile.ZipFile(tmp_path / "made.npz", "w") as archive:
        for name, data in parts:
            archive.writestr(name, data)
    _refused(_pair(), tmp_path / "made.npz", message)


def test_a_bomb_is_not_unpacked(tmp_path):
    """64 megabytes of zeros take 64 kilobytes; its type is compared first, so nothing is read."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("b.npy", "w", force_zip64=True) as stream:
            stream.write(_header((1 << 24,)))
            for _ in range(1 << 6):
                stream.write(bytes(1 << 20))
    _refused({"b": sg.Parameter(np.zeros(3))}, tmp_path / "bomb.npz", r"'b' is float32\[16777216\]")


def test_metadata_that_are_no_json(tmp_path):
    for metadata, message in [
        ({"a": object()}, "metadata are str, numbers, lists and dicts of them"),
        ({"a": np.zeros(2)}, "metadata are str, numbers"),
    ]:
        for ending in ("npz", "safetensors"):
            with pytest.raises(sg.CheckpointError, match=message):
                sg.save(_pair(), tmp_path / f"w.{ending}", metadata=metadata)
    assert not list(tmp_path.iterdir())


def test_a_safetensors_header_that_lies(tmp_path):
    header = json.dumps({"b": {"dtype": "F64", "shape": [10**9], "data_offsets": [0, 24]}}).encode()
    path = tmp_path / "lie.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(24))
    _refused(_pair(), path, "is damaged or incomplete")
    header = json.dumps({"b": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [0, 3]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(3))
    _refused({"b": sg.Parameter(np.zeros(3))}, path, r"'b' is f8_e4m3\[3\], wanted is float64\[3\]")
    with pytest.raises(sg.CheckpointError, match="has the dtype f8_e4m3, which is not supported"):
        sg.load_arrays(path)


@FORMATS
def test_a_checkpoint_is_told_from_a_file_of_weights(tmp_path, ending):
    path = tmp_path / f"w.{ending}"
    sg.save(_pair(), path)
    with pytest.raises(
        sg.CheckpointError, match="no checkpoint of this version; for a file of wei"
    ):
        sg.load_checkpoint(path, _pair())
    f = sg.compile(sg.random.uniform((2,), seed=0))
    f(), f()
    sg.save_checkpoint(path, _pair(), functions={"step": f})
    message = r"has the positions of the functions \['step'\], but \[\] were given"
    with pytest.raises(sg.CheckpointError, match=message):
        sg.load_checkpoint(path, _pair())
    following = f()
    f.call_index = 0
    sg.load_checkpoint(path, _pair(), functions={"step": f})
    np.testing.assert_array_equal(f(), following)
    with pytest.raises(sg.GraphError, match="call_index is a non-negative int, not -1"):
        f.call_index = -1
