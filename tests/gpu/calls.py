"""Checks of calls: what is fed and returned, streams, threads, and what a replay may not do."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import BoundsError, DeviceError, FeedError
from tests.gpu.machine import Gpu
from tests.gpu.trained import lstm, mlp, train


def _scaled(gpu: Gpu, **options: Any) -> Any:
    x = sg.Placeholder("x", ("N", 3), "float32")
    return sg.compile(sg.exp(x) * 2 + x, device=gpu.name, **options)


def _numbers(rows: int = 5, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, 3)).astype("float32")


class _Only:
    """Hands an array on by one protocol alone."""

    def __init__(self, array: Any, *names: str) -> None:
        self._array, self._names = array, names

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return getattr(self._array, name)
        raise AttributeError(name)


def check_feeds(gpu: Gpu) -> None:
    """Feed NumPy arrays, CuPy arrays, and arrays that have one of the two protocols."""
    f, x = _scaled(gpu), _numbers()
    expected = f(x=x)
    on_device = gpu.array(x)
    dlpack = _Only(on_device, "__dlpack__", "__dlpack_device__")
    interface = _Only(on_device, "__cuda_array_interface__")
    for fed in (on_device, dlpack, interface, x.astype("float64").astype("float32")):
        np.testing.assert_array_equal(f(x=fed), expected)
    with gpu.watched() as counts:
        f(x=on_device)
    assert counts["enqueue_upload"] == counts["upload"] == 0


def check_torch_feeds(gpu: Gpu) -> None:
    """Feed a tensor of PyTorch's, and let it read the result."""
    torch = pytest.importorskip("torch", reason="needs PyTorch, which is not installed")
    if not torch.cuda.is_available():
        pytest.skip("needs a PyTorch that reaches the GPU")
    f, x = _scaled(gpu, results="device"), _numbers()
    tensor = torch.from_numpy(x).cuda()
    found = torch.from_dlpack(f(x=tensor))
    np.testing.assert_array_equal(found.cpu().numpy(), _scaled(gpu)(x=x))


def check_refused_feeds(gpu: Gpu) -> None:
    """Refuse device arrays of another dtype, rank or layout."""
    f, x = _scaled(gpu), _numbers()
    with pytest.raises(FeedError, match="float64"):
        f(x=gpu.array(x.astype("float64")))
    with pytest.raises(FeedError, match="'x'"):
        f(x=gpu.array(x[0]))
    with pytest.raises(FeedError, match="'x'"):
        f(x=gpu.array(_numbers(8))[::2])
    np.testing.assert_array_equal(f(x=x), f(x=gpu.array(x)))


def check_results(gpu: Gpu) -> None:
    """Leave results on the device: fresh arrays, which later calls do not change."""
    f, x = _scaled(gpu, results="device"), _numbers()
    first = f(x=x)
    assert isinstance(first, gpu.cupy.ndarray)
    kept = first.get()
    for seed in range(1, 4):
        f(x=_numbers(seed=seed))
    np.testing.assert_array_equal(first.get(), kept)
    # A result is fed on without a copy.
    np.testing.assert_array_equal(f(x=first).get(), f(x=kept).get())


def check_streams(gpu: Gpu) -> None:
    """Feed what another stream is still working on, and read the result there."""
    rows = gpu.either(64, 1 << 20)
    f, x = _scaled(gpu, results="device"), _numbers(rows)
    expected = _scaled(gpu)(x=x)
    stream = gpu.cupy.cuda.Stream(non_blocking=True)
    for _ in range(gpu.either(3, 20)):
        with stream:
            fed = gpu.array(x)
            found = f(x=fed)
            # Nobody has waited so far; the copy comes behind everything.
            np.testing.assert_array_equal(found.get(), expected)


def check_threads(gpu: Gpu) -> None:
    """Call one function, and train one model, from several threads at once."""
    f = _scaled(gpu)
    fed = [_numbers(rows, rows) for rows in (3, 4, 5, 6)]
    expected = [f(x=x) for x in fed]
    # Not the one with dropout: which call draws which numbers would be a matter of luck.
    model, other = (lstm(gpu.quick, device=gpu.name) for _ in range(2))
    alone = train(other, 12)
    failures: list[Any] = []

    def work(x: Any, wanted: Any) -> None:
        try:
            for _ in range(3):
                np.testing.assert_array_equal(f(x=x), wanted)
                model.step(**model.batch)
        except BaseException as error:  # It is raised again below.
            failures.append(error)

    pairs = zip(fed, expected, strict=True)
    threads = [threading.Thread(target=work, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    # Twelve steps in some order are twelve steps.
    for found, wanted in zip(model.values(), alone[12:], strict=True):
        np.testing.assert_array_equal(found, wanted)


def check_loader(gpu: Gpu) -> None:
    """Train on batches that a loader brings to the device ahead of their use, and twice alike."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(7, 2, 1)).astype("float32") for _ in range(2)]
    data = sg.data.ArrayDataset(*arrays)
    losses = []
    for device in ("cpu", gpu.name, gpu.name):
        model = lstm(gpu.quick, device=gpu.name)
        loader = sg.data.DataLoader(data, 3, shuffle=False, prefetch=2, device=device)
        losses.append([float(model.step(x=x, t=t)) for _ in range(2) for x, t in loader])
    assert losses[0] == losses[1] == losses[2]
    assert len(losses[0]) == 6


def check_other_device(gpu: Gpu) -> None:
    """Refuse an array of another device; take it when the function runs there."""
    if gpu.cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two GPUs")
    x = _numbers()
    with gpu.cupy.cuda.Device(1):
        fed = gpu.array(x)
    f = _scaled(gpu)
    with pytest.raises(DeviceError, match=r"cuda:1.*cuda:0"):
        f(x=fed)
    leaf = sg.Placeholder("x", ("N", 3), "float32")
    there = sg.compile(sg.exp(leaf) * 2 + leaf, device="cuda:1")
    np.testing.assert_array_equal(there(x=fed), f(x=x))


def check_missing_device(gpu: Gpu) -> None:
    """Refuse a device that is not there, and one that is none."""
    x = sg.Placeholder("x", ("N",), "float32")
    for name in ("cuda:99", "cuda:", "gpu"):
        with pytest.raises(DeviceError, match=name):
            sg.compile(x + 1, device=name)


def check_dropped_function(gpu: Gpu) -> None:
    """Drop functions that are still at work, while others take their memory."""
    x = _numbers(gpu.either(5, 4096))
    expected = _scaled(gpu)(x=x)
    found = [_scaled(gpu, results="device")(x=x) for _ in range(gpu.either(3, 30))]
    for array in found:
        np.testing.assert_array_equal(array.get(), expected)


def check_replayed_step(gpu: Gpu) -> None:
    """Train on arrays of the device: a replayed step copies nothing and allocates its result."""
    model = mlp(gpu.quick, device=gpu.name, results="device")
    batch = {name: gpu.array(array) for name, array in model.batch.items()}
    for _ in range(3):
        model.step(**batch)
    steps = 5
    with gpu.watched() as counts:
        for _ in range(steps):
            loss = model.step(**batch)
    assert np.isfinite(loss.get())
    assert counts["replay"] == steps
    # The number of the call, for the dropout, is one word from pinned memory.
    assert counts["enqueue_upload"] <= steps
    assert counts["enqueue_download"] == counts["download"] == counts["upload"] == 0
    assert counts["record"] == counts["alloc"] == 0
    assert counts["malloc"] <= steps


def check_failed_run(gpu: Gpu) -> None:
    """Find an index out of range: parameters stay as they were, the next call works."""
    table = sg.Parameter(np.arange(12, dtype="float32").reshape(4, 3), name="table")
    i = sg.Placeholder("i", ("N",), "int64")
    rows = sg.nn.embedding(i, table)
    step = sg.compile(rows, updates={table: table * 2}, device=gpu.name)
    expected = np.array(table.value)
    for _ in range(3):
        with pytest.raises(BoundsError, match="9"):
            step(i=np.array([0, 9, 1]))
        np.testing.assert_array_equal(table.value, expected)
    np.testing.assert_array_equal(step(i=np.array([3, 0])), expected[[3, 0]])
    np.testing.assert_array_equal(table.value, 2 * expected)


def check_extents(gpu: Gpu) -> None:
    """Call one compilation with many extents, none and one among them."""
    x = sg.Placeholder("x", ("N", "M"), "float32")
    outputs = [sg.softmax(x * 2), x.sum(), x.sum(axis=0), sg.cumsum(x, axis=1)]
    f, g = (sg.compile(outputs, **options) for options in (gpu.here, gpu.host))
    shapes = [(0, 3), (1, 1), (2, 33), (65, 4)]
    for shape in shapes + gpu.either([], [(1, 100_000), (70_000, 3), (1000, 1025)]):
        array = np.random.default_rng(0).normal(size=shape).astype("float32")
        for found, wanted in zip(f(x=array), g(x=array), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert f.compile_count == 1
