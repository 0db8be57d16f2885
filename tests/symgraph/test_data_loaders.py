"""Loaders: which samples a batch has, in which order, and as what arrays."""

import threading
from itertools import chain, pairwise

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import (
    ArrayDataset,
    DataLoader,
    Dataset,
    SeqDataLoader,
    SinCurve,
    Spiral,
    batches,
    write_idx,
)
from symgraph.data.prefetch import THREAD_NAME
from symgraph.data.transforms import Compose, Flatten, Normalize, RandomHorizontalFlip, ToFloat

TEN = np.arange(10)


class Pairs:
    """A data set that is none of ours: n and its square."""

    def __init__(self, count=10):
        self.count = count

    def __getitem__(self, index):
        return np.full(2, index, "float32"), index**2

    def __len__(self):
        return self.count


def _listed(loader):
    return [batch.tolist() for batch in loader]


# Row J: which samples, in which order.


@pytest.mark.inventory("J.DataLoader")
@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_ten_samples_in_batches_of_four(prefetch):
    loader = DataLoader(TEN, 4, shuffle=False, prefetch=prefetch)
    assert _listed(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert (len(loader), loader.max_iter, loader.data_size) == (3, 3, 10)


@pytest.mark.inventory("J.DataLoader")
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("source", ["global", "own"])
def test_the_recorded_order(prefetch, source):
    np.random.seed(0)
    rng = None if source == "global" else np.random.RandomState(0)
    loader = DataLoader(TEN, 4, rng=rng, prefetch=prefetch)
    assert _listed(loader) == [[2, 8, 4, 9], [1, 6, 7, 3], [0, 5]]
    assert _listed(loader) == [[3, 5, 1, 2], [9, 8, 0, 6], [7, 4]]


@pytest.mark.inventory("J.DataLoader")
@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_pass_that_was_broken_off_starts_over(prefetch):
    loader = DataLoader(TEN, 4, shuffle=False, prefetch=prefetch)
    for batch in loader:
        assert batch.tolist() == [0, 1, 2, 3]
        break
    assert _listed(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.inventory("J.DataLoader", "J.batches")
def test_the_last_short_batch_needs_no_other_compilation():
    x, t = sg.Placeholder("x", ("N", 2), "float32"), sg.Placeholder("t", ("N",), "int64")
    f = sg.compile(sg.sum(x, axis=1) + t)
    sums = [f(x=a, t=b) for a, b in DataLoader(Pairs(), 4, shuffle=False)]
    np.testing.assert_array_equal(np.concatenate(sums), 2 * TEN + TEN**2)
    f(x=np.ones((1, 2), "float32"), t=np.array([1]))
    f(x=np.ones((2000, 2), "float32"), t=np.arange(2000))
    assert f.compile_count == 1


@pytest.mark.inventory("J.SeqDataLoader")
@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_sequence_goes_on_from_batch_to_batch(prefetch):
    loader = SeqDataLoader(TEN, 3, prefetch=prefetch)
    expected = [[0, 3, 6], [1, 4, 7], [2, 5, 8], [3, 6, 9]]
    assert _listed(loader) == _listed(loader) == expected
    assert len(loader) == 4


@pytest.mark.inventory("J.SeqDataLoader")
def test_the_sine_in_thirty_parts():
    curve = SinCurve(train=False)
    loader = SeqDataLoader(curve, 30)
    assert len(loader) == 34
    passed = list(loader)
    assert [x.shape for x, _ in passed] == [(30, 1)] * 34
    np.testing.assert_array_equal(passed[5][0], curve.data[np.arange(30) * 33 + 5])
    for (_, following), (x, _) in pairwise(passed):
        np.testing.assert_array_equal(x, following)


def test_sixty_thousand_samples():
    loader = DataLoader((np.zeros((60_000, 1), "uint8"), np.arange(60_000)), 128, rng=0)
    assert len(loader) == 469
    sizes, seen = [], []
    for x, t in loader:
        sizes.append(len(x))
        seen.append(t)
    assert sizes == [128] * 468 + [96]
    assert sorted(np.concatenate(seen).tolist()) == list(range(60_000))
    assert 5 * len(loader) == 2345
    test = DataLoader(np.zeros(10_000), 128, shuffle=False)
    assert [len(x) for x in test][-1] == 16 and len(test) == 79


def test_drop_last():
    loader = DataLoader(TEN, 4, shuffle=False, drop_last=True)
    assert _listed(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(loader) == 2


# Seeds.


def test_a_seed_repeats_all_passes():
    first, second = DataLoader(TEN, 4, rng=3), DataLoader(TEN, 4, rng=3)
    runs = [_listed(first) for _ in range(3)]
    assert runs == [_listed(second) for _ in range(3)]
    assert len({str(run) for run in runs}) == 3
    assert all(sorted(chain(*run)) == list(range(10)) for run in runs)
    assert _listed(DataLoader(TEN, 4, rng=4)) != runs[0]


def test_a_run_goes_on_at_an_epoch():
    loader = DataLoader(TEN, 4, rng=3)
    runs = [_listed(loader) for _ in range(3)]
    assert loader.epoch == 3
    resumed = DataLoader(TEN, 4, rng=3)
    resumed.epoch = 2
    assert _listed(resumed) == runs[2]


def test_a_seed_leaves_the_global_generator_alone():
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    list(DataLoader(TEN, 4, rng=0))
    list(DataLoader(TEN, 4, shuffle=False))
    assert np.random.rand() == expected


def test_two_passes_at_once_do_not_disturb_each_other():
    loader = DataLoader(TEN, 3, shuffle=False, prefetch=1)
    pairs = [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)]
    assert all(a == b for a, b in pairs) and len(pairs) == 4


# The protocol of DeZero: the loader is an iterator, too.


@pytest.mark.inventory("J.DataLoader")
@pytest.mark.parametrize("prefetch", [0, 1])
def test_next_and_reset(prefetch):
    loader = DataLoader(TEN, 4, shuffle=False, prefetch=prefetch)
    assert next(loader).tolist() == [0, 1, 2, 3]
    assert next(loader).tolist() == [4, 5, 6, 7]
    loader.reset()
    assert [next(loader).tolist() for _ in range(3)][2] == [8, 9]
    with pytest.raises(StopIteration, match=r"^$"):
        next(loader)
    assert next(loader).tolist() == [0, 1, 2, 3]
    loader.reset()
    loader.reset()


# What batches are.


class Counting(Dataset):
    """Counts how often one sample is asked for."""

    def prepare(self):
        self.data = np.arange(12, dtype="float32").reshape(6, 2)[:, ::-1]
        self.label = np.arange(6)
        self.singly = 0

    def _bounded(self, row):
        self.singly += 1
        return super()._bounded(row)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_are_contiguous_arrays_of_their_own(shuffle, prefetch):
    data = Counting()
    before = data.data.copy()
    for x, t in DataLoader(data, 4, shuffle, rng=0, prefetch=prefetch):
        assert x.flags.c_contiguous and x.flags.writeable and x.base is None
        assert (x.dtype, t.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(x, before[t])
        x += 1
        t += 1
    np.testing.assert_array_equal(data.data, before)


def test_arrays_take_no_python_for_each_sample():
    data = Counting(transform=Compose([ToFloat(), Normalize(1.0, 2.0), Flatten()]))
    calls = []
    list(DataLoader(data, 4))
    list(DataLoader(data, 4, shuffle=False))
    list(SeqDataLoader(data, 2))
    assert data.singly == 0
    list(DataLoader(Counting(transform=lambda x: calls.append(1) or x), 4))
    assert len(calls) == 6


@pytest.mark.parametrize("shuffle", [False, True])
def test_data_sets_of_every_kind_give_the_same_batches(shuffle):
    x, t = np.repeat(TEN[:, None], 2, axis=1).astype("float32"), TEN**2
    sources = [Pairs(), ArrayDataset(x, t), ArrayDataset(x, t, transform=lambda x: x), (x, t)]
    found = [list(DataLoader(source, 4, shuffle, rng=0)) for source in sources]
    for other in found[1:]:
        for expected, batch in zip(found[0], other, strict=True):
            for a, b in zip(expected, batch, strict=True):
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype


def test_samples_without_labels():
    for x, t in DataLoader(ArrayDataset(TEN), 4, shuffle=False):
        assert t is None and len(x) in (4, 2)


def test_samples_of_several_parts():
    class Nested:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return (index, (float(index), None)), True

    ((a, (b, nothing)), c) = next(iter(DataLoader(Nested(), 3, shuffle=False)))
    assert (a.tolist(), b.tolist(), nothing, c.tolist()) == (
        [0, 1, 2],
        [0.0, 1.0, 2.0],
        None,
        [1] * 3,
    )


def test_sequences_of_different_lengths_fit_one_by_one():
    class Growing(Pairs):
        def __getitem__(self, index):
            return np.zeros(index)

    assert [len(x[0]) for x in DataLoader(Growing(), 1, shuffle=False)] == list(range(10))
    with pytest.raises(sg.DataError, match=r"sample 1 is float64 of shape \(1,\), but sample 0 is"):
        list(DataLoader(Growing(), 2, shuffle=False))


def test_a_memory_map_is_read_in_batches(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(20.0).reshape(10, 2))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for source in (mapped, ArrayDataset(mapped)):
        for batch in DataLoader(source, 4, rng=0):
            x = batch[0] if isinstance(batch, tuple) else batch
            assert not isinstance(x.base, np.memmap)
            x += 1
    del mapped


def test_a_pickle_is_no_data_set(tmp_path):
    write_idx(tmp_path / "x", np.zeros(3, "uint8"))
    with pytest.raises(sg.DataError, match="a data set has __len__ and __getitem__, unlike"):
        DataLoader(tmp_path / "x", 3)


# Training with a loader, as with the lists of step 48.


def test_loaders_and_batches_give_the_same_rows():
    x, t = Spiral().data, Spiral().label
    ours = DataLoader(Spiral(), 30, rng=np.random.RandomState(2))
    for (a, b), (c, d) in zip(
        ours, batches(x, t, size=30, rng=np.random.RandomState(2)), strict=True
    ):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


@pytest.mark.inventory("J.prefetch")
def test_random_transforms_are_the_same_with_and_without_a_thread():
    pictures = np.arange(40 * 6.0).reshape(40, 1, 2, 3)
    runs = []
    for prefetch in (0, 1, 3):
        data = ArrayDataset(pictures, transform=RandomHorizontalFlip(rng=5))
        loader = DataLoader(data, 7, rng=1, prefetch=prefetch)
        runs.append(np.concatenate([x for _ in range(2) for x, _ in loader]))
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


# What is refused.


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None, "4"])
def test_a_batch_size_that_is_none(size):
    for loader in (DataLoader, SeqDataLoader):
        with pytest.raises(sg.DataError, match="a batch size is an int of at least 1, not"):
            loader(TEN, size)


@pytest.mark.parametrize("prefetch", [-1, 1.0, True, "2"])
def test_a_prefetch_that_is_none(prefetch):
    with pytest.raises(sg.DataError, match="prefetch is an int of at least 0, not"):
        DataLoader(TEN, 4, prefetch=prefetch)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataLoader(np.zeros(0), 4), "the data set is empty"),
        (lambda: DataLoader([], 4), "the data set is empty"),
        (lambda: SeqDataLoader(np.zeros((0, 3)), 4), "the data set is empty"),
        (lambda: DataLoader(TEN, 11, drop_last=True), "10 samples do not fill one batch of 11"),
        (lambda: SeqDataLoader(TEN, 11), "10 samples cannot be cut in 11 parts"),
        (lambda: DataLoader((TEN, TEN[:9]), 4), "different numbers of rows: 10, 9"),
        (lambda: DataLoader((), 4), "there are no arrays to cut"),
        (lambda: DataLoader(3, 4), "a data set has __len__ and __getitem__, unlike 3"),
        (lambda: DataLoader(iter(TEN), 4), "a data set has __len__ and __getitem__, unlike"),
        (lambda: DataLoader(TEN, 4, rng=-1), "a seed is a non-negative int"),
        (lambda: DataLoader(TEN, 4, rng="x"), "a seed is a non-negative int"),
    ],
)
def test_loaders_that_make_no_sense(make, message):
    with pytest.raises(sg.DataError, match=message):
        make()


class Samples(list):
    """A data set of samples that are given one by one."""


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([1, 2.5], r"sample 1 is float64 of shape \(\), but sample 0 is int64 of shape \(\)"),
        ([(1, 2), (1, 2, 3)], "sample 1 has not 2 parts, unlike sample 0"),
        ([(1, 2), 3], "sample 1 is no tuple, unlike sample 0"),
        ([None, 3], "sample 1 is not None, unlike sample 0"),
        ([3, None], "sample 1 holds no numbers, but NoneType"),
        (["a", "b"], "sample 0 holds no numbers, but str"),
        ([[[1], [1, 2]], 0], "sample 0 is no array: "),
        ([1, 1, 1.5, 1.5], "the first batch is of dtype int64, but a later one of float64"),
        (
            [(1, None), (1, None), (1, 2), (1, 2)],
            "dtype int64, None, but a later one of int64, int6",
        ),
    ],
)
@pytest.mark.parametrize("prefetch", [0, 2])
def test_samples_that_do_not_fit_together(samples, message, prefetch):
    with pytest.raises(sg.DataError, match=message):
        list(DataLoader(Samples(samples), 2, shuffle=False, prefetch=prefetch))
    assert not any(thread.name == THREAD_NAME for thread in threading.enumerate())
