"""Files of MNIST and CIFAR, written by hand: what is read, and what is refused."""

import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import (
    CIFAR10,
    CIFAR100,
    MNIST,
    cifar,
    load_cache_npz,
    read_idx,
    save_cache_npz,
    write_idx,
    write_stand_in_mnist,
)
from tests.symgraph.file_server import serving


@pytest.fixture(autouse=True)
def _private_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("no_proxy", "*")


# IDX.


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", ["a.gz", "a.idx"])
def test_arrays_go_to_files_and_back(tmp_path, dtype, name):
    for shape in ((2, 3, 4), (5,), (), (0, 28, 28)):
        array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
        write_idx(tmp_path / name, array)
        found = read_idx(tmp_path / name)
        np.testing.assert_array_equal(found, array)
        assert found.dtype == dtype and found.dtype.isnative
        assert found.flags.writeable


def test_the_bytes_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, 258]], ">i2"))
    expected = b"\0\0\x0b\x02" + struct.pack(">IIhh", 1, 2, 1, 258)
    assert (tmp_path / "a").read_bytes() == expected
    write_idx(tmp_path / "a.gz", np.array([[1, 258]], "int16").T.copy().T)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == expected
    first = (tmp_path / "a.gz").read_bytes()
    write_idx(tmp_path / "a.gz", np.array([[1, 258]], "int16"))
    assert (tmp_path / "a.gz").read_bytes() == first


@pytest.mark.parametrize("array", [np.zeros(3, "int64"), np.zeros(2, "complex64"), np.array(["x"])])
def test_arrays_that_the_format_has_not(tmp_path, array):
    with pytest.raises(sg.DataError, match="IDX files cannot hold"):
        write_idx(tmp_path / "a", array)
    assert list(tmp_path.iterdir()) == []


LABELS = b"\0\0\x08\x01\0\0\0\x02\x07\x03"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no IDX file: it begins with nothing"),
        (b"\0\0", "is no IDX file: it begins with 00 00"),
        (b"\x08\0\0\x01", "is no IDX file: it begins with 08 00 00 01"),
        (b"\0\0\x07\x01", "is no IDX file: it begins with 00 00 07 01"),
        (b"\0\0\x08\x03\0\0\0\x02", "ends within its header"),
        (LABELS[:-1], r"promises 2 bytes .*more than fit|ends after 1 of the 2 bytes"),
        (LABELS + b"x", r"goes on after the 2 bytes of shape \(2,\)"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "promises 18446744065119617025 bytes for shape"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_files_that_are_no_idx(tmp_path, data, message, zipped):
    path = tmp_path / "labels"
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(sg.DataError, match=f"labels {message}"):
        read_idx(path)


def test_a_damaged_gzip_is_refused(tmp_path):
    random = np.random.default_rng(0)
    whole = tmp_path / "whole.gz"
    write_idx(whole, random.integers(0, 256, 5000, dtype="uint8"))
    data, path = whole.read_bytes(), tmp_path / "damaged.gz"
    cut = [data[:length] for length in (2, 10, 100, len(data) // 2, len(data) - 9, len(data) - 1)]
    flipped = [bytearray(data) for _ in range(20)]
    for n, changed in enumerate(flipped):
        changed[20 + 200 * n] ^= 0x40
    for damaged in [*cut, *map(bytes, flipped)]:
        path.write_bytes(damaged)
        with pytest.raises(
            sg.DataError, match=r"damaged.gz (is damaged|is no IDX|ends|goes on|pro)"
        ):
            read_idx(path)


# MNIST.


def _write_mnist(folder, images, labels, train=True, suffix=".gz"):
    part = "train" if train else "t10k"
    write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
    write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels)


IMAGES = np.arange(2 * 28 * 28).reshape(2, 28, 28).astype("uint8")
DIGITS = np.array([7, 3], "uint8")


@pytest.mark.inventory("H.MNIST")
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_from_two_pictures(tmp_path, train, suffix):
    _write_mnist(tmp_path, IMAGES, DIGITS, train, suffix)
    data = MNIST(train, source=tmp_path)
    assert (data.data.shape, data.data.dtype) == ((2, 1, 28, 28), np.uint8)
    assert data.data[0, 0, 1, 0] == 28
    assert data.label.tolist() == [7, 3]
    x, t = data[0]
    assert (x.shape, x.dtype, t) == ((784,), np.float32, 7)
    np.testing.assert_array_equal(x, IMAGES[0].ravel() / np.float32(255))
    assert MNIST(train, None, source=str(tmp_path))[1][0].shape == (1, 28, 28)
    assert MNIST.labels()[7] == "7" and len(MNIST.labels()) == 10


def test_mnist_in_batches_is_ready_to_be_fed(tmp_path):
    _write_mnist(tmp_path, IMAGES, DIGITS)
    x = sg.Placeholder("x", ("N", 784), "float32")
    t = sg.Placeholder("t", ("N",), "int64")
    f = sg.compile(sg.sum(x) + sg.sum(t), inputs=[x, t])
    (batch,) = sg.data.DataLoader(MNIST(source=tmp_path), 2)
    np.testing.assert_allclose(f(*batch), IMAGES.sum() / 255 + 10, rtol=1e-6)


def test_mnist_from_a_server(tmp_path):
    _write_mnist(tmp_path, IMAGES, DIGITS)
    with serving() as server:
        for path in tmp_path.glob("*.gz"):
            server.files[f"/mnist/{path.name}"] = path.read_bytes()
        for _ in range(2):
            assert MNIST(source=server.url + "/mnist/").label.tolist() == [7, 3]
        assert sorted(server.requests) == sorted(server.files)
        with pytest.raises(
            sg.DownloadError, match="t10k-images-idx3-ubyte.gz could not be fetched"
        ):
            MNIST(train=False, source=server.url + "/mnist")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, DIGITS[:1], r"labels.* holds uint8 of shape \(1,\), but there are 2 pictures"),
        (IMAGES, DIGITS[:, None], r"labels.* holds uint8 of shape \(2, 1\), but there are 2"),
        (IMAGES[:, 1:], DIGITS, r"images.* holds uint8 of shape \(2, 27, 28\)"),
        (IMAGES[0], DIGITS, r"images.* holds uint8 of shape \(28, 28\)"),
        (DIGITS, DIGITS, r"images.* holds uint8 of shape \(2,\)"),
        (IMAGES.astype("int32"), DIGITS, "images.* holds int32"),
        (IMAGES, DIGITS.astype("int32"), "labels.* holds int32"),
        (IMAGES, DIGITS + 5, "labels.* holds the label 12, which is no digit"),
    ],
)
def test_files_that_are_not_mnist(tmp_path, images, labels, message):
    _write_mnist(tmp_path, images, labels)
    with pytest.raises(sg.DataError, match=message):
        MNIST(source=tmp_path)


def test_a_folder_without_the_files(tmp_path):
    with pytest.raises(sg.DataError, match="there is no train-images-idx3-ubyte.gz in"):
        MNIST(source=tmp_path)


def test_mnist_without_pictures(tmp_path):
    _write_mnist(tmp_path, IMAGES[:0], DIGITS[:0])
    data = MNIST(source=tmp_path)
    assert len(data) == 0
    with pytest.raises(sg.DataError, match="a grid has positive rows and columns|no pictures"):
        data.grid()
    with pytest.raises(sg.DataError, match="the data set is empty"):
        sg.data.DataLoader(data, 32)


@pytest.mark.inventory("H.MNIST")
def test_pictures_are_shown_side_by_side(tmp_path):
    _write_mnist(tmp_path, IMAGES, DIGITS)
    data = MNIST(source=tmp_path)
    grid = data.grid(2, 3)
    assert (grid.shape, grid.dtype) == ((56, 84), np.uint8)
    assert {grid[:28, 28:56].tobytes()} <= {image.tobytes() for image in IMAGES}
    assert data.show(tmp_path / "grid.png", 2, 3).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(sg.DataError, match="a grid has positive rows and columns; got 0 and 3"):
        data.grid(0, 3)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    pytest.importorskip("sklearn")
    return write_stand_in_mnist(tmp_path_factory.mktemp("stand-in"), train=1000, test=100)


def test_the_stand_in_is_read_as_mnist(stand_in, tmp_path):
    train, test = MNIST(True, source=stand_in), MNIST(False, source=stand_in)
    assert (len(train), len(test)) == (1000, 100)
    assert set(train.label.tolist()) == set(range(10))
    assert 0.05 < train[:][0].mean() < 0.3
    again = write_stand_in_mnist(tmp_path, train=1000, test=100)
    for path in stand_in.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()
    other = write_stand_in_mnist(tmp_path, train=1000, test=100, seed=1)
    assert not np.array_equal(MNIST(source=other).data, train.data)


def test_pictures_of_one_digit_of_the_stand_in_are_alike(stand_in):
    train, test = MNIST(True, source=stand_in), MNIST(False, source=stand_in)
    (x, t), (x_test, t_test) = train[:], test[:]
    means = np.stack([x[t == digit].mean(axis=0) for digit in range(10)])
    nearest = ((x_test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == t_test).mean() > 0.6


@pytest.mark.parametrize("count", [0, -1, 2.0])
def test_numbers_of_pictures_that_are_none(tmp_path, count):
    with pytest.raises(sg.DataError, match="the numbers of pictures are positive ints"):
        write_stand_in_mnist(tmp_path / "x", train=count)
    assert not (tmp_path / "x").exists()


# CIFAR.


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
    with pytest.raises(sg.DataError, match="data_batch_1.bin of .* is too large: 3073 bytes"):
        CIFAR10(True, source=path)
    with pytest.raises(sg.DataError, match="there is no .*nothing.tar.gz"):
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
    with pytest.raises(KeyboardInterrupt, match="^$"):
        save_cache_npz(np.zeros(1), np.zeros(1), "https://example.org/x")
    assert not list(sg.data.cache_dir().rglob("*.*"))


def test_the_official_files_are_checked(monkeypatch):
    """Every official address has its checksum; an address that gives other bytes is refused."""
    from symgraph.data import mnist

    with serving() as server:
        monkeypatch.setattr(mnist, "OFFICIAL", server.url)
        monkeypatch.setattr(CIFAR10, "url", server.url + "/c.tar.gz")
        server.files["/c.tar.gz"] = server.files["/train-images-idx3-ubyte.gz"] = b"other"
        with pytest.raises(sg.DownloadError, match="has the sha256 d9298a10.*, but 440fcabf"):
            MNIST()
        with pytest.raises(sg.DownloadError, match="has the sha256 d9298a10.*, but c4a38c50"):
            CIFAR10()


def test_reading_files_needs_no_network_module(tmp_path):
    _write_mnist(tmp_path, IMAGES, DIGITS)
    code = (
        "import sys, symgraph as sg; sg.data.MNIST(source=sys.argv[1]);"
        "print([n for n in ('urllib.request', 'http.client', 'tqdm') if n in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
