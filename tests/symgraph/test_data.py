"""Data: the digits, splitting, batches."""

import gzip
import subprocess
import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import batches, digits, train_test_split

# The digits.


def test_the_digits():
    x, t = digits()
    assert (x.shape, x.dtype, t.shape, t.dtype) == ((1797, 64), np.float32, (1797,), np.int64)
    assert (x.min(), x.max()) == (0.0, 1.0)
    assert t[:10].tolist() == list(range(10))
    assert np.bincount(t).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_array_equal(x[0, :8] * 16, [0, 0, 5, 13, 9, 1, 0, 0])


def _lines(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize("zipped", [False, True])
def test_digits_from_a_file(tmp_path, zipped):
    text = _lines([[*([0, 16, 8, 4] * 16), 7], [*([1] * 64), 3]])
    path = tmp_path / ("digits.csv.gz" if zipped else "digits.csv")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    x, t = digits(path)
    assert t.tolist() == [7, 3]
    np.testing.assert_array_equal(x[0, :4], [0.0, 1.0, 0.5, 0.25])
    assert digits(str(path))[0].shape == (2, 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", "has 3 columns; digits have 64 pixels and a label"),
        ("a,b\n", "does not hold numbers separated by commas"),
        ("1,2\n3\n", "does not hold numbers separated by commas"),
        (_lines([[*([0] * 64), 10]]), "pixels outside 0 to 16, or labels that are no digit"),
        (_lines([[*([17] * 64), 1]]), "pixels outside 0 to 16, or labels that are no digit"),
        (_lines([["nan"] * 64 + [1]]), "pixels outside 0 to 16"),
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path, text, message):
    path = tmp_path / "digits.csv"
    path.write_text(text)
    with pytest.raises(sg.DataError, match=f"digits.csv {message}|digits.csv .*{message}"):
        digits(path)


@pytest.mark.filterwarnings("ignore:loadtxt")
def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "digits.csv"
    path.write_text("")
    with pytest.raises(sg.DataError, match="columns"):
        digits(path)


def test_a_file_that_is_not_there(tmp_path):
    for read in (digits, sg.data.read_idx, sg.data.Shakespeare):
        with pytest.raises(FileNotFoundError, match=r"there is no .*nothing\n  at .*_data\.py"):
            read(tmp_path / "nothing")
        with pytest.raises(sg.DataError, match="nothing"):
            read(tmp_path / "nothing")


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(sg.MissingPackageError, match=r"pip install 'symgraph\[examples\]'"):
        digits()


# Splitting.


def test_a_split_keeps_rows_together():
    x, t = np.arange(20).reshape(10, 2), np.arange(10)
    x_train, x_test, t_train, t_test = train_test_split(x, t)
    assert (len(x_train), len(x_test)) == (8, 2)
    assert sorted([*t_train, *t_test]) == list(range(10))
    np.testing.assert_array_equal(x_train[:, 0], 2 * t_train)
    np.testing.assert_array_equal(x_test[:, 0], 2 * t_test)


def test_a_split_repeats():
    x = np.arange(100)
    first, second, other = (train_test_split(x, seed=seed)[1].tolist() for seed in (0, 0, 1))
    assert first == second != other
    assert train_test_split(x, seed=np.random.default_rng(0))[1].tolist() == first


@pytest.mark.parametrize(
    ("count", "test", "held_out"), [(1797, 0.2, 360), (10, 0.25, 3), (3, 0.01, 1)]
)
def test_the_number_held_out_is_rounded_up(count, test, held_out):
    train, rest = train_test_split(np.zeros(count), test=test)
    assert (len(train), len(rest)) == (count - held_out, held_out)


@pytest.mark.parametrize("test", [0, 1, -0.2, 1.5, True, "half", np.nan])
def test_a_share_that_is_none_is_refused(test):
    with pytest.raises(sg.DataError, match="a share of the rows between 0 and 1"):
        train_test_split(np.zeros(5), test=test)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((), "no arrays to cut"),
        ((np.zeros(3), np.zeros(4)), "different numbers of rows: 3, 4"),
        ((np.zeros(()),), "a single number has no rows"),
        ((np.zeros(1),), "1 rows are too few to hold 0.2 of them out"),
        ((np.zeros(0),), "0 rows are too few"),
    ],
)
def test_arrays_that_cannot_be_split_are_refused(arrays, message):
    with pytest.raises(sg.DataError, match=message):
        train_test_split(*arrays)


@pytest.mark.parametrize("seed", [-1, 0.5, "x", True])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(sg.DataError, match="a seed is a non-negative int"):
        train_test_split(np.zeros(5), seed=seed)


# Batches.


def _rows(passes):
    return [part.tolist() for (part,) in passes]


def test_the_last_batch_is_short():
    passes = batches(np.arange(10), size=4)
    assert _rows(passes) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(passes) == 3


def test_shuffled_batches_are_those_of_the_books():
    passes = batches(np.arange(10), size=4, rng=np.random.RandomState(0))
    assert _rows(passes) == [[2, 8, 4, 9], [1, 6, 7, 3], [0, 5]]
    assert _rows(passes) == [[3, 5, 1, 2], [9, 8, 0, 6], [7, 4]]


def test_a_pass_that_was_broken_off_starts_over():
    passes = batches(np.arange(10), size=4)
    for (part,) in passes:
        assert part.tolist() == [0, 1, 2, 3]
        break
    assert _rows(passes)[0] == [0, 1, 2, 3]


def test_two_passes_at_once_do_not_disturb_each_other():
    passes = batches(np.arange(6), size=2)
    pairs = [(a.tolist(), b.tolist()) for (a,), (b,) in zip(passes, passes, strict=True)]
    assert all(a == b for a, b in pairs)
    assert len(pairs) == 3


def test_rows_stay_together():
    x, t = np.arange(20).reshape(10, 2), np.arange(10)
    for a, b in batches(x, t, size=3, rng=0):
        np.testing.assert_array_equal(a[:, 0], 2 * b)


def test_a_seed_repeats_the_passes():
    first, second = (batches(np.arange(50), size=7, rng=3) for _ in range(2))
    assert _rows(first) == _rows(second)
    assert _rows(first) == _rows(second)
    assert sorted(row for rows in _rows(first) for row in rows) == list(range(50))


@pytest.mark.parametrize(
    ("count", "size", "expected"), [(0, 4, 0), (1, 4, 1), (8, 4, 2), (8, 99, 1)]
)
def test_the_number_of_batches(count, size, expected):
    passes = batches(np.zeros(count), size=size)
    assert len(passes) == len(list(passes)) == expected


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(sg.DataError, match="the size of a batch is a positive int"):
        batches(np.zeros(3), size=size)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(sg.DataError, match="different numbers of rows: 3, 2"):
        batches(np.zeros(3), np.zeros(2), size=2)


def test_what_reads_and_fetches_files_is_loaded_when_it_is_named():
    program = (
        "import sys, symgraph.data as data; assert 'tarfile' not in sys.modules; "
        "assert set(data.__all__) <= set(dir(data)); "
        "assert all(hasattr(data, name) for name in data.__all__); assert callable(data.digits)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'Sine'"):
        _ = sg.data.Sine
