"""Files of MNIST, written by hand: what is read, and what is refused."""

import gzip
import struct
import subprocess
import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import (
    CIFAR10,
    MNIST,
    read_idx,
    write_idx,
    write_stand_in_mnist,
)
from symgraph.data import stand_in as stand_in_module
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
            sg.DownloadError, match=r"t10k-images-idx3-ubyte.gz could not be fetched"
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
    with pytest.raises(sg.DataError, match=r"there is no train-images-idx3-ubyte.gz in"):
        MNIST(source=tmp_path)


def test_mnist_without_pictures(tmp_path):
    _write_mnist(tmp_path, IMAGES[:0], DIGITS[:0])
    data = MNIST(source=tmp_path)
    assert len(data) == 0
    with pytest.raises(sg.DataError, match=r"a grid has positive rows and columns|no pictures"):
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


def test_a_stand_in_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")

    def interrupted(path, array):
        raise KeyboardInterrupt

    monkeypatch.setattr(stand_in_module, "write_idx", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        write_stand_in_mnist(tmp_path / "new", train=10, test=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [0, -1, 2.0])
def test_numbers_of_pictures_that_are_none(tmp_path, count):
    with pytest.raises(sg.DataError, match="the numbers of pictures are positive ints"):
        write_stand_in_mnist(tmp_path / "x", train=count)
    assert not (tmp_path / "x").exists()


# Both.


def test_the_official_files_are_checked(monkeypatch):
    """Every official address has its checksum; an address that gives other bytes is refused."""
    from symgraph.data import mnist

    with serving() as server:
        monkeypatch.setattr(mnist, "OFFICIAL", server.url)
        monkeypatch.setattr(CIFAR10, "url", server.url + "/c.tar.gz")
        server.files["/c.tar.gz"] = server.files["/train-images-idx3-ubyte.gz"] = b"other"
        with pytest.raises(sg.DownloadError, match=r"has the sha256 d9298a10.*, but 440fcabf"):
            MNIST()
        with pytest.raises(sg.DownloadError, match=r"has the sha256 d9298a10.*, but c4a38c50"):
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
