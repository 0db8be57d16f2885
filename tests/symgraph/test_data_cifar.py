"""Archives of CIFAR, written by hand: what is read, what is kept, and what is refused."""

import io
import os
import tarfile

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import CIFAR10, CIFAR100, cifar, load_cache_npz, save_cache_npz
from tests.symgraph.file_server import serving


@pytest.fixture(autouse=True)
def _private_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("no_proxy", "*")


def _records(labels, seed=0):
    labels = np.atleast_2d(np.array(labels, "uint8").T).T
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype="uint8")
    return pixels, np.hstack([labels, pixels]).tobytes()


def _tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def cifar10(tmp_path):
    files = {f"cifar/data_batch_{n}.bin": _records([n, 9 - n], n)[1] for n in (3, 1, 2, 5, 4)}
    files["cifar/test_batch.bin"] = _records([0, 9, 5])[1]
    files["cifar/batches.meta.txt"] = b"airplane\n"
    return _tar(tmp_path / "cifar.tar.gz", files)


@pytest.mark.inventory("H.CIFAR10")
def test_cifar10_from_a_tiny_archive(cifar10):
    train, test = CIFAR10(True, source=cifar10), CIFAR10(False, source=str(cifar10))
    assert (train.data.shape, train.data.dtype) == ((10, 3, 32, 32), np.uint8)
    assert train.label.tolist() == [1, 8, 2, 7, 3, 6, 4, 5, 5, 4]
    assert train.label.dtype == np.int64
    np.testing.assert_array_equal(train.data[2:4].reshape(2, -1), _records([2, 7], 2)[0])
    assert test.label.tolist() == [0, 9, 5]
    x, t = test[1]
    assert (x.shape, x.dtype, t) == ((3, 32, 32), np.float32, 9)
    np.testing.assert_allclose(x, test.data[1] / 127.5 - 1, atol=1e-6)
    assert CIFAR10.labels()[0] == "airplane" and len(CIFAR10.labels()) == 10
    assert train.grid(2, 2).shape == (64, 64, 3)


@pytest.mark.inventory("H.CIFAR100")
def test_cifar100_has_two_kinds_of_labels(tmp_path):
    pixels, records = _records([[19, 99], [0, 5], [11, 0]])
    path = _tar(tmp_path / "cifar.tar", {"c/train.bin": records, "c/test.bin": records}, "w")
    for train in (True, False):
        fine, coarse = (
            CIFAR100(train, None, None, kind, source=path) for kind in ("fine", "coarse")
        )
        assert fine.label.tolist() == [99, 5, 0]
        assert coarse.label.tolist() == [19, 0, 11]
        np.testing.assert_array_equal(fine.data.reshape(3, -1), pixels)
    names = CIFAR100.labels()
    assert len(set(names.values())) == 100
    assert list(names.values()) == sorted(names.values())
    assert (names[0], names[99]) == ("apple", "worm")
    assert len(set(CIFAR100.labels("coarse").values())) == 20
    with pytest.raises(sg.DataError, match="a label type is 'fine' or 'coarse', not 'medium'"):
        CIFAR100(label_type="medium", source=path)
    with pytest.raises(sg.DataError, match="a label type is 'fine' or 'coarse'"):
        CIFAR100.labels("medium")


def test_cifar_from_a_folder_and_a_server(cifar10, tmp_path):
    with tarfile.open(cifar10) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    unpacked = CIFAR10(True, source=tmp_path / "unpacked")
    np.testing.assert_array_equal(unpacked.data, CIFAR10(True, source=cifar10).data)
    with serving() as server:
        server.files["/c.tar.gz"] = cifar10.read_bytes()
        for _ in range(2):
            assert len(CIFAR10(True, source=server.url + "/c.tar.gz")) == 10
        assert server.requests == ["/c.tar.gz"]


@pytest.mark.inventory("H.cache_npz")
def test_cifar_is_parsed_once(cifar10, monkeypatch):
    parsed = []
    original = cifar._contents
    monkeypatch.setattr(cifar, "_contents", lambda *args: parsed.append(1) or original(*args))
    first, second = CIFAR10(True, source=cifar10), CIFAR10(True, source=cifar10)
    assert len(parsed) == 1
    np.testing.assert_array_equal(first.data, second.data)
    assert CIFAR10(False, source=cifar10).label.tolist() == [0, 9, 5]
    assert len(parsed) == 2
    os.utime(cifar10, ns=(1, 1))  # the file is another one now
    CIFAR10(True, source=cifar10)
    assert len(parsed) == 3


def _five(data):
    return {f"data_batch_{n}.bin": data for n in range(1, 6)}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no data_batch_1.bin in .*; what is needed is the binary distribution"),
        (
            {"data_batch_1": b"pickle"},
            "there is no data_batch_1.bin .*pickles, which are never read",
        ),
        (_five(b""), "data_batch_1.bin of .* has 0 bytes, which are no records of 3073"),
        (_five(b"x" * 3072), "has 3072 bytes, which are no records of 3073"),
        (_five(_records([3, 10])[1]), "holds the label 10, but there are 10 classes"),
    ],
)
def test_archives_that_are_not_cifar(tmp_path, files, message):
    path = _tar(tmp_path / "c.tar.gz", files)
    with pytest.raises(sg.DataError, match=message):
        CIFAR10(True, source=path)
    assert not (tmp_path / "kept").exists()


def test_damaged_archives_are_refused(cifar10, tmp_path):
    data, path = cifar10.read_bytes(), tmp_path / "damaged.tar.gz"
    damaged = [data[:length] for length in (0, 1, 5, 1000, len(data) // 2, len(data) - 20)]
    damaged += [
        data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :] for at in range(30, 30000, 3001)
    ]
    for contents in damaged:
        path.write_bytes(contents)
        with pytest.raises(sg.DataError, match=r"damaged.tar.gz( is no archive|; what is| holds)"):
            CIFAR10(True, source=path)


def test_an_archive_that_claims_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_LARGEST_FILE", 1000)
    path = _tar(tmp_path / "c.tar.gz", _five(_records([1])[1]))
    with pytest.raises(sg.DataError, match=r"data_batch_1.bin of .* is too large: 3073 bytes"):
        CIFAR10(True, source=path)
    with pytest.raises(sg.DataError, match=r"there is no .*nothing.tar.gz"):
        CIFAR10(True, source=tmp_path / "nothing.tar.gz")


# What was parsed.


@pytest.mark.inventory("H.cache_npz")
def test_parsed_arrays_are_kept():
    url = "https://example.org/pictures.tar"
    assert load_cache_npz(url, True) is None
    path = save_cache_npz(np.arange(6).reshape(2, 3), np.array([1, 2]), url, True)
    data, label = load_cache_npz(url, True)
    assert (data.tolist(), label.tolist()) == ([[0, 1, 2], [3, 4, 5]], [1, 2])
    assert load_cache_npz(url, False) is None
    assert load_cache_npz("https://example.com/pictures.tar", True) is None
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-30], b"x" + whole[1:]):
        path.write_bytes(damaged)
        assert load_cache_npz(url, True) is None
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_objects_are_never_unpickled():
    url = "https://example.org/objects"
    path = save_cache_npz(np.zeros(1), np.zeros(1), url)
    with path.open("wb") as file:
        np.savez(file, data=np.array([{}]), label=np.zeros(1))
    assert load_cache_npz(url) is None


def test_a_failed_write_leaves_nothing(monkeypatch):
    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        save_cache_npz(np.zeros(1), np.zeros(1), "https://example.org/x")
    assert not list(sg.data.cache_dir().rglob("*.*"))
