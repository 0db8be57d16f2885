"""Checks of what outlives a call: memory, parameters and files; and of loops and precision."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DeviceError, DeviceMemoryError
from tests.gpu.machine import Gpu
from tests.gpu.trained import MODELS, relative, train


def check_out_of_memory(gpu: Gpu) -> None:
    """Ask for more than the device has: parameters stay as they were, the next call works."""
    _, total = gpu.cupy.cuda.runtime.memGetInfo()
    w = sg.Parameter(np.float32([3.0, 4.0]), name="w")
    rows = sg.Placeholder("rows", ("N", 1), "bool")
    columns = sg.Placeholder("columns", (1, "M"), "float32")
    # The running sums are a whole matrix, which is far larger than what is fed.
    largest = sg.sum(sg.cumsum(sg.where(rows, columns, -columns), axis=1)[:, -1])
    step = sg.compile(largest, updates={w: w * 2}, device=gpu.name)
    few = np.ones((2, 1), bool), np.ones((1, 2), "float32")
    extent = int((total / 4) ** 0.5) * 2
    many = np.ones((extent, 1), bool), np.ones((1, extent), "float32")
    assert step(*few) == 4
    np.testing.assert_array_equal(w.value, [6, 8])
    with pytest.raises(DeviceMemoryError, match=r"needs [\d,]{6,} bytes.*no parameter was changed"):
        step(*many)
    np.testing.assert_array_equal(w.value, [6, 8])
    assert step(*few) == 4
    np.testing.assert_array_equal(w.value, [12, 16])


def check_parameters_move(gpu: Gpu) -> None:
    """Move a parameter by hand and by calls; read and write it on the host in between."""
    w = sg.Parameter(np.float32([1, 2, 3]), name="w")
    assert w.device == "cpu"
    there, here = (
        sg.compile(w.sum(), updates={w: w * 2}, **options) for options in (gpu.here, gpu.host)
    )
    assert there() == 6
    assert w.device.startswith("cuda")
    assert here() == 12
    assert there() == 24
    np.testing.assert_array_equal(w.value, [8, 16, 24])
    w.value = np.float32([1, 1, 1])
    assert there() == 3
    assert w.to("cpu") is w
    assert w.device == "cpu"
    np.testing.assert_array_equal(w.value, [2, 2, 2])
    assert w.to(gpu.name).device.startswith("cuda")
    assert there() == 6


def check_saving(gpu: Gpu, folder: Path) -> None:
    """Train on the device, save, load into another model there, and train both on alike."""
    model, other = (MODELS["cnn"](gpu.quick, device=gpu.name) for _ in range(2))
    train(model, 3)
    path = folder / "weights.npz"
    sg.save(model.layers[0], path)
    expected = [np.array(p.value) for p in model.layers[0].parameters()]
    sg.load(other.layers[0], path)
    for parameter, value in zip(other.layers[0].parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.value, value)
    train(other, 1)


def check_fork(gpu: Gpu) -> None:
    """Use the device in a child by fork: it is refused, and the parent goes on."""
    x = sg.Placeholder("x", ("N",), "float32")
    f = sg.compile(x + 1, device=gpu.name)
    fed = np.float32([1, 2])
    f(x=fed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Other threads of the test run may be alive.
        child = os.fork()
    if child == 0:
        status = 1
        try:
            f(x=fed)
        except DeviceError as error:
            status = 0 if "fork" in str(error) else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(f(x=fed), [2, 3])


def check_control(gpu: Gpu) -> None:
    """Run `cond`, `while_loop` and `scan`, their gradients too, with other data at each call."""
    x = sg.Placeholder("x", ("T", 3), "float32")
    carried = np.zeros(3, "float32")
    total, rows = sg.scan(lambda c, row: (sg.tanh(c + row), c * row), carried, x)
    halved, count = sg.while_loop(
        lambda c: c[0] > 1, lambda c: (c[0] / 2, c[1] + 1), (sg.sum(x * x), 0)
    )
    chosen = sg.cond(x.sum() > 0, lambda: sg.exp(total), lambda: -total)
    slope = sg.grad(total.sum() + chosen.sum(), x)
    outputs = [total, rows, halved, count, chosen, slope]
    f, g = (sg.compile(outputs, **options) for options in (gpu.here, gpu.host))
    for steps, sign in ((1, 1), (4, -1), (4, 1), (4, -1), (gpu.either(7, 200), 1)):
        draws = np.random.default_rng(steps).normal(size=(steps, 3)).astype("float32")
        fed = np.abs(draws) * np.float32(sign)
        for found, wanted in zip(f(x=fed), g(x=fed), strict=True):
            assert found.dtype == wanted.dtype
            assert relative(found, wanted) <= 1e-5


def check_precision(gpu: Gpu) -> None:
    """Multiply with less precision: near the exact product, and without it as exact as the CPU."""
    extent = gpu.either(8, 512)
    x, y = (sg.Placeholder(name, ("N", "N"), "float32") for name in "xy")
    rng = np.random.default_rng(0)
    fed = {name: rng.normal(size=(extent, extent)).astype("float32") for name in "xy"}
    exact = fed["x"].astype("float64") @ fed["y"].astype("float64")
    for precision, allowed in (("float32", 2e-6), ("tf32", 2e-3), ("bfloat16", 2e-2)):
        f = sg.compile(x @ y, device=gpu.name, precision=precision)
        found = f(**fed)
        assert found.dtype == np.float32
        assert relative(found, exact) <= allowed, precision
        np.testing.assert_array_equal(f(**fed), found)


def check_random_numbers(gpu: Gpu) -> None:
    """Draw the numbers that the CPU draws, at each call others, also from a graph."""
    x = sg.Placeholder("x", ("N",), "float32")
    y = sg.nn.dropout(x, 0.5, seed=3, stream=1)
    f, g = (sg.compile(y, **options) for options in (gpu.here, gpu.host))
    fed = np.ones(gpu.either(33, 10_000), "float32")
    drawn: list[Any] = []
    for _ in range(5):
        drawn.append(f(x=fed))
        np.testing.assert_array_equal(drawn[-1], g(x=fed))
    assert any((first != drawn[0]).any() for first in drawn[1:])
