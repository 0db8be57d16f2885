"""Data sets: the base class, and those that are made of formulas, text and lazily read files."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import (
    ArrayDataset,
    BigData,
    Characters,
    Dataset,
    ImageNet,
    Shakespeare,
    SinCurve,
    Spiral,
    get_spiral,
)
from symgraph.data.transforms import Elementwise


class Squares(Dataset):
    def prepare(self):
        self.data = np.arange(10.0).reshape(10, 1)
        self.label = np.arange(10) ** 2


# The base class.


def test_a_sample_is_data_and_label():
    x, t = Squares()[3]
    assert (x.tolist(), t) == ([3.0], 9)
    assert len(Squares()) == 10
    assert Squares()[-1][1] == Squares()[np.int64(9)][1] == 81


def test_transforms_are_applied_to_samples_and_labels():
    data = Squares(transform=lambda x: x / 2.0, target_transform=lambda t: t + 1)
    assert (data[3][0].tolist(), data[3][1]) == ([1.5], 10)


@pytest.mark.parametrize("halve", [lambda x: x / 2.0, Elementwise(lambda x: x / 2.0)])
def test_several_samples_are_arrays(halve):
    data = Squares(transform=halve, target_transform=lambda t: t + 1)
    for index in (slice(2, 5), [2, 3, 4], np.array([2, 3, 4]), np.arange(10) // 3 * 3 == 3):
        rows = [3, 4, 5] if isinstance(index, np.ndarray) and index.dtype == bool else [2, 3, 4]
        x, t = data[index]
        assert x.ravel().tolist() == [row / 2 for row in rows]
        assert t.tolist() == [row**2 + 1 for row in rows]
    assert data[::-3][1].tolist() == [82, 37, 10, 1]
    assert data[[-1, 0]][1].tolist() == [82, 1]


def test_several_samples_are_copies():
    data = Squares()
    for index in (slice(0, 2), [0, 1]):
        x, t = data[index]
        x += 100
        t += 100
        assert (data[0][0][0], data[0][1]) == (0.0, 0)
        assert x.flags.c_contiguous and x.base is None


def test_a_data_set_is_iterated_over():
    assert [t for _, t in Squares()] == [n * n for n in range(10)]


def test_labels_may_be_absent():
    data = ArrayDataset(np.arange(3))
    assert data[1] == (1, None)
    assert data[:2][1] is None
    assert [label for _, label in data] == [None] * 3


def test_data_need_not_be_an_array():
    class Words(Dataset):
        def prepare(self):
            self.data = ["ab", "c", "def"]

    words = Words(transform=lambda word: np.array([len(word)]))
    assert words[2] == (np.array([3]), None)
    assert words[[2, 0]][0].tolist() == [[3], [2]]


def test_a_data_set_of_its_own_needs_no_data():
    class Lazy(Dataset):
        def __getitem__(self, index):
            return index, -index

        def __len__(self):
            return 7

    assert Lazy()[3] == (3, -3)
    assert len(Lazy()) == 7


@pytest.mark.parametrize("index", [10, -11, [0, 10], np.array([-11])])
def test_a_sample_that_is_not_there(index):
    with pytest.raises(sg.BoundsError, match=r"there is no sample -?1[01] among 10"):
        Squares()[index]


@pytest.mark.parametrize(
    "index", ["3", 1.5, None, [[0, 1]], [0.5], np.array([True, False]), (1, 2.5)]
)
def test_an_index_without_a_meaning(index):
    with pytest.raises(sg.DataError, match="samples are chosen by an int, a slice, a list of ints"):
        Squares()[index]


def test_data_that_were_not_prepared():
    class Forgetful(Dataset):
        pass

    with pytest.raises(sg.DataError, match=r"Forgetful has no data: set self.data in prepare\(\)"):
        Forgetful()


def test_labels_of_another_number():
    class Uneven(Dataset):
        def prepare(self):
            self.data, self.label = np.zeros(3), np.zeros(2)

    with pytest.raises(sg.DataError, match="Uneven has 3 samples, but 2 labels"):
        Uneven()
    with pytest.raises(sg.DataError, match="different numbers of rows: 3, 2"):
        ArrayDataset(np.zeros(3), np.zeros(2))


def test_samples_that_do_not_fit_together():
    class Ragged(Dataset):
        def prepare(self):
            self.data = [np.zeros(2), np.zeros(2), np.zeros(3)]

    assert Ragged()[:2][0].shape == (2, 2)
    with pytest.raises(
        sg.DataError, match=r"sample 2 is float64 of shape \(3,\), but sample 1 .* \(2,\)"
    ):
        Ragged()[1:]


# Row H: the spiral.


@pytest.mark.inventory("H.Spiral")
@pytest.mark.parametrize(
    ("train", "first", "labels"),
    [
        (True, [-0.13981389, -0.00721657], [1, 1, 2, 0, 1, 2, 0, 0, 1, 2]),
        (False, [0.13246453, 0.13620993], [0, 1, 0, 1, 2, 2, 1, 2, 2, 0]),
    ],
)
def test_the_spiral_has_the_recorded_numbers(train, first, labels):
    data = Spiral(train)
    assert (data.data.shape, data.data.dtype) == ((300, 2), np.float32)
    assert data.label.dtype == np.int64
    assert np.bincount(data.label).tolist() == [100, 100, 100]
    np.testing.assert_allclose(data.data[0], first, atol=5e-9)
    assert data.label[:10].tolist() == labels


def test_the_spiral_leaves_the_global_generator_alone():
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    Spiral()
    assert np.random.rand() == expected


def test_a_program_goes_on_with_the_generator_of_the_spiral():
    random = np.random.RandomState(1984)
    np.testing.assert_array_equal(get_spiral(rng=random)[0], Spiral().data)
    assert random.permutation(300)[:3].tolist() != get_spiral()[1][:3].tolist()


@pytest.mark.inventory("H.Dataset")
def test_step_49_halves_the_spiral():
    whole, half = Spiral(), Spiral(transform=lambda x: x / 2.0)
    np.testing.assert_array_equal(half[7][0], whole[7][0] / 2)
    assert half[7][1] == whole[7][1]


@pytest.fixture
def dezero_datasets(monkeypatch):
    # DeZero was written for a NumPy that had this name.
    monkeypatch.setattr(np, "int", int, raising=False)
    return pytest.importorskip("dezero.datasets")


@pytest.mark.parametrize("train", [True, False])
def test_curves_are_those_of_dezero_bit_for_bit(dezero_datasets, train):
    theirs = dezero_datasets.get_spiral(train)
    for ours, other in zip(get_spiral(train), theirs, strict=True):
        np.testing.assert_array_equal(ours, other)
    np.random.seed(0)
    theirs = dezero_datasets.SinCurve(train)
    after = np.random.rand()
    np.random.seed(0)
    ours = SinCurve(train)
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.label, theirs.label)
    assert np.random.rand() == after


# Row H: the sine.


@pytest.mark.inventory("H.SinCurve")
def test_the_sine_has_the_recorded_numbers():
    np.random.seed(0)
    train = SinCurve(train=True)
    np.testing.assert_allclose(train.data[:3, 0], [0.00488135, 0.02780837, 0.02285496], atol=5e-9)
    assert len(train) == 999
    x, t = train[0]
    assert (x.shape, t.shape, x.dtype) == ((1,), (1,), np.float64)
    assert train[1][0] == t
    np.testing.assert_array_equal(SinCurve(rng=np.random.RandomState(0)).data, train.data)


@pytest.mark.inventory("H.SinCurve")
def test_the_cosine_is_clean():
    test = SinCurve(train=False)
    assert (test[0][0], test[998][1]) == (1.0, 1.0)
    np.testing.assert_allclose(test.data[:, 0], np.cos(np.linspace(0, 2 * np.pi, 1000))[:-1])


# Row H: characters.


@pytest.mark.inventory("H.Shakespeare")
def test_hello():
    hello = Characters("hello")
    assert hello.data.tolist() == [0, 1, 2, 2]
    assert hello.label.tolist() == [1, 2, 2, 3]
    assert hello.data.dtype == np.int64
    assert hello.id_to_char[2] == "l"
    assert hello.char_to_id == {"h": 0, "e": 1, "l": 2, "o": 3}
    assert hello[3] == (2, 3)


def test_characters_beyond_16_bits():
    text = "a\N{GRINNING FACE}é\ud800a"
    found = Characters(text)
    assert [found.id_to_char[i] for i in [*found.data, found.label[-1]]] == list(text)


@pytest.mark.parametrize("text", ["", "x", None, b"hello"])
def test_a_text_that_is_too_short(text):
    with pytest.raises(sg.DataError, match="at least two characters"):
        Characters(text)


def test_plays_from_a_file(tmp_path):
    path = tmp_path / "plays.txt"
    path.write_text("To be, or not to be", encoding="utf-8")
    plays = Shakespeare(path)
    assert "".join(plays.id_to_char[int(i)] for i in plays.data) == "To be, or not to b"


def test_plays_that_are_no_text(tmp_path):
    path = tmp_path / "plays.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(sg.DataError, match=r"plays.txt is no text in UTF-8"):
        Shakespeare(path)
    with pytest.raises(sg.DataError, match=r"there is no .*nothing.txt"):
        Shakespeare(tmp_path / "nothing.txt")


# Row H: names of ImageNet's classes.


@pytest.mark.inventory("H.ImageNet")
def test_names_are_parsed_without_running_them(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text(
        "{0: 'tench, Tinca tinca',\n 1: \"carpenter's kit, tool kit\",\n 2: 'a\\'b: \\\\c',}\n"
    )
    assert ImageNet.labels(path) == {
        0: "tench, Tinca tinca",
        1: "carpenter's kit, tool kit",
        2: "a'b: \\c",
    }
    path.write_text("{" + ",\n ".join(f"{n}: 'class {n}'" for n in range(1000)) + "}")
    names = ImageNet.labels(path)
    assert (len(names), names[999]) == (1000, "class 999")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no list of names in braces"),
        ("[1, 2]", "no list of names in braces"),
        ("{}", "names no class"),
        ("{0: 'a',\n1: __import__('os')}", "in quotes in line 2"),
        ("{0: 'a' + 'b'}", "in quotes in line 1"),
        ("{0: 'a\\x41'}", "in quotes in line 1"),
        ("{0: 'a', 2: 'b'}", "goes on with 2 where 1 was expected"),
        ("{0: 'a', 0: 'b'}", "goes on with 0 where 1 was expected"),
        ("{0: 'a' 1: 'b'}", "in quotes in line 1"),
        ("{" * 5000 + "}" * 5000, "in quotes in line 1"),
    ],
)
def test_another_form_of_names_is_refused(tmp_path, text, message):
    path = tmp_path / "names.txt"
    path.write_text(text)
    with pytest.raises(sg.DataError, match=f"names.txt .*{message}"):
        ImageNet.labels(path)


# Row H: data that are read when they are asked for.


@pytest.fixture
def opened(monkeypatch):
    """Return a list to which the names of opened files are added."""
    names = []
    original = open

    def watching(file, *args, **kwargs):
        names.append(str(file))
        return original(file, *args, **kwargs)

    monkeypatch.setattr("builtins.open", watching)
    monkeypatch.setattr("io.open", watching)
    return names


def _write_samples(folder, count):
    for part in ("data", "label"):
        (folder / part).mkdir()
    for n in range(count):
        np.save(folder / "data" / f"{n}.npy", np.full((2, 3), n, "float32"))
        np.save(folder / "label" / f"{n}.npy", np.int64(n))


@pytest.mark.inventory("H.BigData")
def test_a_sample_reads_exactly_two_files(tmp_path, opened):
    _write_samples(tmp_path, 5)
    opened.clear()
    samples = BigData(tmp_path)
    assert len(samples) == 1_000_000
    assert opened == []
    x, t = samples[3]
    assert (x.shape, x.dtype, x[0, 0], t) == ((2, 3), np.float32, 3.0, 3)
    assert opened == [str(tmp_path / "data" / "3.npy"), str(tmp_path / "label" / "3.npy")]


def test_big_data_go_through_a_loader(tmp_path):
    _write_samples(tmp_path, 5)
    samples = BigData(tmp_path, 5, transform=lambda x: x / 2, target_transform=lambda t: t + 1)
    batches = list(sg.data.DataLoader(samples, 2, shuffle=False, prefetch=1))
    assert [x.shape for x, _ in batches] == [(2, 2, 3), (2, 2, 3), (1, 2, 3)]
    assert np.concatenate([t for _, t in batches]).tolist() == [1, 2, 3, 4, 5]
    assert samples[-1][1] == 5


@pytest.mark.parametrize("array", [np.zeros(0), np.zeros((2, 0)), np.asfortranarray(np.eye(3)[:2])])
def test_arrays_of_every_form_are_read(tmp_path, array):
    from symgraph.data.big import read_npy

    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), array)


def test_damaged_samples_are_refused(tmp_path):
    _write_samples(tmp_path, 3)
    path = tmp_path / "data" / "1.npy"
    whole = path.read_bytes()
    cases = [
        (whole[:-1], r"1.npy has 23 bytes for float32 of shape \(2, 3\)"),
        (whole + b"x", "1.npy has 25 bytes"),
        (whole[:40], "1.npy is no .npy file"),
        (b"", "1.npy is no .npy file"),
        (b"PK\x03\x04" + whole, "1.npy is no .npy file"),
        (whole.replace(b"(2, 3), ", b"(9**9),"), "1.npy is no .npy file"),
        (whole.replace(b"'<f4'", b"'|O8'"), "1.npy holds object, not numbers"),
    ]
    for data, message in cases:
        path.write_bytes(data)
        with pytest.raises(sg.DataError, match=message):
            BigData(tmp_path)[1]
    with pytest.raises(sg.DataError, match=r"there is no .*data.7\.npy"):
        BigData(tmp_path)[7]


@pytest.mark.parametrize("index", [3, -4])
def test_big_data_end(tmp_path, index):
    with pytest.raises(sg.BoundsError, match=f"there is no sample {index} among 3"):
        BigData(tmp_path, 3)[index]


@pytest.mark.parametrize("length", [-1, 2.0, True, None])
def test_a_length_that_is_none(length):
    with pytest.raises(sg.DataError, match="a length is a non-negative int"):
        BigData(length=length)
