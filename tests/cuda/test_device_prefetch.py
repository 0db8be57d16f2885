"""Batches that a loader brings to the device: the same ones, in the same order, whole."""

import gc
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import ArrayDataset, DataLoader, SeqDataLoader
from symgraph.data.prefetch import THREAD_NAME
from symgraph.runtime.cuda.device import open_device

HERE = r"\n  at .*test_device_prefetch\.py:\d+"
X = np.arange(60, dtype=np.float32).reshape(20, 3)
T = np.arange(20)


@pytest.fixture(autouse=True)
def _nothing_is_left(request):
    yield
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def _taken(loader):
    return [tuple(part.get() for part in batch) for batch in loader]


@pytest.mark.parametrize("prefetch", [None, 0, 1, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_batches_are_those_of_the_host(cuda, shuffle, prefetch):
    plain = DataLoader((X, T), 6, shuffle, rng=3)
    there = DataLoader((X, T), 6, shuffle, rng=3, prefetch=prefetch, device="cuda")
    for _ in range(3):
        for (x, t), (a, b) in zip(plain, _taken(there), strict=True):
            assert (a.dtype, b.dtype) == (x.dtype, t.dtype)
            np.testing.assert_array_equal(a, x)
            np.testing.assert_array_equal(b, t)
    assert there.epoch == plain.epoch == 3


def test_batches_are_arrays_of_cupy_on_the_device(cuda_machine):
    fake = cuda_machine(devices=2)
    for name, index in (("cuda", 0), ("cuda:1", 1)):
        loader = DataLoader((X, T), 8, False, device=name)
        assert loader.device == f"cuda:{index}"
        for x, t in loader:
            assert isinstance(x, fake.cupy.ndarray) and isinstance(t, fake.cupy.ndarray)
            assert x.device.id == t.device.id == index
            assert x.flags.c_contiguous
        del x, t


def test_all_that_a_sample_may_be(cuda):
    nested = DataLoader(ArrayDataset(X), 8, False, device="cuda")
    for batch in nested:
        assert batch[1] is None
    assert [batch.get().tolist() for batch in DataLoader(T[:5], 2, False, device="cuda")] == [
        [0, 1],
        [2, 3],
        [4],
    ]
    flags = DataLoader(T > 7, 20, False, device="cuda")
    np.testing.assert_array_equal(next(iter(flags)).get(), T > 7)
    turned = DataLoader(X.astype(">f4")[:, ::-1], 20, False, device="cuda")
    np.testing.assert_array_equal(next(iter(turned)).get(), X[:, ::-1])
    hollow = DataLoader(np.zeros((4, 0), "f4"), 2, device="cuda")
    assert [batch.shape for batch in hollow] == [(2, 0), (2, 0)]
    rows = SeqDataLoader(np.arange(10), 3, device="cuda")
    assert next(iter(rows)).get().tolist() == [0, 3, 6]


def test_next_and_reset(cuda):
    loader = DataLoader(T, 8, False, device="cuda")
    assert next(loader).get()[0] == 0
    assert next(loader).get()[0] == 8
    loader.reset()
    assert next(loader).get()[0] == 0
    loader.reset()


def test_one_copy_from_pinned_memory_for_each_batch(cuda):
    before = cuda.counts["copyHostToDevice"]
    loader = DataLoader((X, T), 5, False, device="cuda")
    for _ in loader:
        pass
    assert cuda.counts["copyHostToDevice"] - before == 4


def test_few_buffers_go_round(cuda):
    loader = DataLoader((X, T), 1, device="cuda")
    addresses = set()
    before = cuda.counts["alloc"]
    for _ in range(4):
        for x, _ in loader:
            addresses.add(x.data.ptr)
    assert cuda.counts["alloc"] - before == len(addresses) <= 5


def test_a_buffer_is_not_filled_while_its_batch_is_held(cuda):
    loader = DataLoader((X, T), 2, False, device="cuda")
    batches = list(loader)
    views = [x[1:] for x, _ in loader]
    for number, (x, t) in enumerate(batches):
        np.testing.assert_array_equal(x.get(), X[2 * number : 2 * number + 2])
        np.testing.assert_array_equal(t.get(), T[2 * number : 2 * number + 2])
        np.testing.assert_array_equal(views[number].get(), X[2 * number + 1 : 2 * number + 2])


def test_a_buffer_is_not_filled_while_the_device_reads_it(cuda):
    """Nothing that reads has been done when the batch is let go of: the fake works late."""
    loader = DataLoader((X, T), 2, False, device="cuda")
    device = open_device("cuda:0")
    found = []
    for x, _ in loader:
        kept = cuda.cupy.empty(x.shape, x.dtype)
        with device.using():
            device.wait_for(0)
            device.copy(kept.data.ptr, x.data.ptr, x.nbytes)
        found.append(kept)
        del x
    device.synchronize()
    for number, kept in enumerate(found):
        np.testing.assert_array_equal(kept.get(), X[2 * number : 2 * number + 2])


def test_a_buffer_is_not_filled_while_the_callers_stream_reads_it(cuda):
    stream = cuda.cupy.cuda.Stream(non_blocking=True)
    copy = cuda.cupy.cuda.runtime.memcpyAsync
    found = []
    with stream:
        for x, _ in DataLoader((X, T), 2, False, device="cuda"):
            kept = cuda.cupy.empty(x.shape, x.dtype)
            copy(kept.data.ptr, x.data.ptr, x.nbytes, 3, stream.ptr)
            found.append(kept)
            del x
    stream.synchronize()
    for number, kept in enumerate(found):
        np.testing.assert_array_equal(kept.get(), X[2 * number : 2 * number + 2])


def test_breaking_out_leaves_nothing_behind(cuda):
    loader = DataLoader((X, T), 2, device="cuda")
    for batch in loader:
        assert len(batch[0]) == 2
        break
    del batch
    gc.collect()
    assert not cuda.machine.pinned
    for _ in loader:  # and it goes on afterwards
        pass
    assert cuda.machine.pinned
    del loader, _
    gc.collect()
    assert not cuda.machine.pinned and not cuda.machine.used[0]


class Broken:
    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index == 13:
            raise OSError("the disk is gone")
        return X[index]


def test_an_error_of_the_data_set_comes_where_the_batch_would_have(cuda):
    loader = DataLoader(Broken(), 2, False, device="cuda")
    seen = []
    with pytest.raises(OSError, match="the disk is gone"):
        for x in loader:
            seen.append(x.get())
    assert len(seen) == 6
    del x
    gc.collect()
    assert not cuda.machine.pinned


def test_an_error_of_the_caller(cuda):
    def fail(loader):
        for _ in loader:
            raise KeyError("mine")

    loader = DataLoader((X, T), 2, device="cuda")
    with pytest.raises(KeyError, match="mine"):
        fail(loader)
    gc.collect()
    assert not cuda.machine.pinned


def test_what_kernels_cannot_be_fed(cuda):
    with pytest.raises(sg.DataError, match=r"dtype uint8 cannot go to a device: kernels take bool"):
        next(iter(DataLoader(np.zeros(4, np.uint8), 2, device="cuda")))


def test_no_memory_for_a_batch(cuda_machine):
    cuda_machine(memory=1000)
    with pytest.raises(sg.DeviceMemoryError, match=r"cuda:0 has no 4,096 bytes left for a batch"):
        next(iter(DataLoader(np.zeros(1024, "f4"), 1024, device="cuda")))


def test_the_device_is_asked_for_when_the_loader_is_made(cuda):
    with pytest.raises(sg.DeviceError, match=rf"there is no device 'cuda:3'.*{HERE}"):
        DataLoader(T, 4, device="cuda:3")
    with pytest.raises(sg.DeviceError, match=rf"a device is 'cpu', 'cuda'.* not 'gpu'{HERE}"):
        DataLoader(T, 4, device="gpu")


def test_batches_are_fed_without_a_copy(cuda):
    x, t = sg.Placeholder("x", ("N", 3), "float32"), sg.Placeholder("t", ("N",), "int64")
    step = sg.compile((x * 2).sum(axis=1) + t, inputs=[x, t], device="cuda")
    plain = sg.compile((x * 2).sum(axis=1) + t, inputs=[x, t])
    batches = DataLoader((X, T), 6, False, prefetch=0, device="cuda")
    for number, batch in enumerate(batches):
        rows = slice(6 * number, 6 * number + 6)
        before = cuda.counts["copyHostToDevice"]
        found = step(*batch)
        assert cuda.counts["copyHostToDevice"] == before
        np.testing.assert_array_equal(found, plain(X[rows], T[rows]))


FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
PROGRAM = """
import os, sys, warnings
import numpy as np
import symgraph as sg
from symgraph.data import DataLoader
from tests.cuda.fake_cupy import FakeCupy
from tests.cuda.fake_machine import Machine
sys.modules["cupy"] = FakeCupy(Machine())
batches = iter(DataLoader(np.arange(100.0), 2, device="cuda"))
print(next(batches).shape, flush=True)
"""
FORKING = """
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    next(batches)
except sg.DeviceError as error:
    print(error)
"""


def _printed(program):
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=FOLDER,
        env=os.environ | {"PYTHONPATH": FOLDER},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.stderr, ended.returncode) == ("", 0)
    return ended.stdout


def test_the_interpreter_ends_while_batches_are_on_their_way():
    assert _printed(PROGRAM) == "(2,)\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_a_fork_is_told_that_it_has_no_device():
    assert re.match(
        r"\(2,\)\ncuda:0 was in use when .* CUDA does not survive a fork",
        _printed(PROGRAM + FORKING),
    )
