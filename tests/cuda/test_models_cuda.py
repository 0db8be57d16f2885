"""Training steps of whole models on the emulated GPU: the CPU's numbers, and always the same."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import BoundsError, NonFiniteError
from symgraph.runtime.cuda import frame
from tests.cuda.small_models import LABELS, NAMES, STEPS, training_step


def _bits(arrays):
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("name", NAMES)
def test_training_gives_the_numbers_of_the_cpu(cuda, name):
    for found, expected in zip(
        training_step(name).run("cuda"), training_step(name).run("cpu"), strict=True
    ):
        scale = max(1e-3, float(np.max(np.abs(expected), initial=0)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_training_gives_the_same_bits_whatever_runs_first(cuda, name, monkeypatch):
    replayed = _bits(training_step(name).run("cuda"))
    assert cuda.counts["graph_launch"] == STEPS - 1
    with cuda.reverse():
        assert _bits(training_step(name).run("cuda")) == replayed
    launched = cuda.counts["graph_launch"]
    monkeypatch.setattr(frame, "MOST_RECORDED", 0)
    assert _bits(training_step(name).run("cuda")) == replayed
    cuda.machine.late = False
    assert _bits(training_step(name).run("cuda")) == replayed
    assert cuda.counts["graph_launch"] == launched


@pytest.mark.parametrize("name", NAMES)
def test_a_replayed_step_copies_and_allocates_nothing(cuda, name):
    step = training_step(name)
    function = step.compiled("cuda", results="device")
    feeds = {key: cuda.cupy.asarray(array) for key, array in step.feeds.items()}
    for _ in range(3):
        function(**feeds)
    before = cuda.counts.copy()
    function(**feeds)
    done = cuda.counts - before
    assert done["graph_launch"] == 1
    assert done["launch"] == done["pinned"] == 0
    # The loss is a new array. Dropout is told the number of the call, and the host whether all
    # labels were in range.
    assert done["alloc"] == 1
    assert done["copyHostToDevice"] == (name == "mlp")
    assert done["copyDeviceToHost"] == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_label_out_of_range_leaves_everything_as_it_was(cuda, name):
    step = training_step(name)
    function = step.compiled("cuda")
    for _ in range(3):
        function(**step.feeds)
    before = _bits(step.values())
    for _ in range(2):
        with pytest.raises(
            BoundsError, match=r"index 5 is out of range(.|\n)*no parameter was changed"
        ):
            function(x=step.feeds["x"], t=np.full(6, 5))
    assert _bits(step.values()) == before
    function(**step.feeds)
    assert _bits(step.values()) != before


@pytest.mark.parametrize("name", NAMES[:2])
def test_numbers_that_are_not_finite_leave_everything_as_it_was(cuda, name):
    step = training_step(name)
    function = step.compiled("cuda", check_finite=True)
    function(**step.feeds)
    before = _bits(step.values())
    with pytest.raises(NonFiniteError, match="no parameter was changed"):
        function(x=step.feeds["x"] * np.float32(1e37), t=LABELS)
    assert _bits(step.values()) == before


def _halving_step():
    """Return a step in which data decide how many times something is done, and whether."""
    w = sg.Parameter(np.array([3.0, -2.0], "float32"), "w")
    x = sg.Placeholder("x", ("N", 2), "float32")
    length = sg.sum(w * w)
    shrunk = sg.while_loop(lambda value: value > 1.0, lambda value: value * 0.5, length)
    steep = sg.cond(shrunk > 0.7, lambda: sg.sum(w * 3), lambda: sg.sum(sg.tanh(w)))
    loss = shrunk + steep + sg.mean((x @ w) ** 2)
    return w, loss, {w: w - 0.05 * sg.grad(loss, w)}


def test_data_dependent_jumps_in_a_training_step(cuda):
    x = np.random.default_rng(2).normal(size=(5, 2)).astype("float32")
    runs = []
    for device in ("cpu", "cuda"):
        w, loss, updates = _halving_step()
        step = sg.compile(loss, updates=updates, device=device)
        runs.append([*(step(x=x) for _ in range(6)), w.value])
    for found, expected in zip(runs[1], runs[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert cuda.counts["graph_launch"] == 0
