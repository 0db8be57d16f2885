"""The executor of a GPU: walking, recording, replaying, failing; emulated."""

import os
import re
import signal
import threading

import numpy as np
import pytest

import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, State, compile, cond, scan, while_loop
from symgraph.errors import BoundsError, DeviceError, DeviceMemoryError, FeedError, NonFiniteError
from symgraph.runtime.cuda import frame
from symgraph.runtime.cuda.device import Device, open_device
from symgraph.runtime.cuda.walk import walk


def both(outputs, *, updates=None, **feeds):
    """Return what the device gives in three calls, having compared it with the CPU."""
    on_cpu, on_gpu = compile(outputs, updates=updates), compile(outputs, device="cuda")
    expected = on_cpu(**feeds)
    for _ in range(3):
        found = on_gpu(**feeds)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    return on_gpu


def counter():
    """Return a state, and a function that adds what it is fed."""
    total = State(np.zeros(3, "float32"), "total")
    x = Placeholder("x", (3,), "float32")
    return total, compile(total + x, updates={total: total + x}, device="cuda")


def test_the_second_call_is_recorded_and_later_ones_are_replayed(cuda):
    total, add = counter()
    x = np.arange(3, dtype="float32")
    add(x=x)
    assert cuda.counts["graph_launch"] == 0
    for _ in range(3):
        add(x=x)
    assert cuda.counts["graph_launch"] == 3
    assert cuda.counts["capture"] == 1
    np.testing.assert_array_equal(total.value, 4 * x)


def test_a_replayed_step_allocates_nothing_and_launches_once(cuda):
    _, add = counter()
    x = np.arange(3, dtype="float32")
    for _ in range(3):
        add(x=x)
    before = cuda.counts.copy()
    add(x=x)
    done = cuda.counts - before
    assert done["alloc"] == done["pinned"] == done["launch"] == 0
    assert done["graph_launch"] == 1
    # One copy brings the feed, one takes the results.
    assert done["copy"] == 2


def test_extents_change_without_compiling_again(cuda):
    x = Placeholder("x", ("N", 4), "float32")
    f = compile(sg.sum(sg.exp(x), axis=0), device="cuda")
    for size in (3, 1, 0, 8, 3, 3):
        fed = np.linspace(0, 1, size * 4, dtype="float32").reshape(size, 4)
        np.testing.assert_allclose(f(x=fed), np.exp(fed).sum(0), rtol=1e-6)
    assert f.compile_count == 1


def test_a_scan_is_recorded_with_all_its_steps(cuda):
    x = Placeholder("x", ("T", 2), "float32")

    def step(carry, row):
        new = carry * 0.5 + row
        return new, new * 2

    last, rows = scan(step, Constant(np.zeros(2, "float32")), x)
    fed = np.arange(14, dtype="float32").reshape(7, 2)
    f = compile([last, rows, sg.grad(sg.sum(rows**2), x)], device="cuda")
    expected = compile([last, rows, sg.grad(sg.sum(rows**2), x)])(x=fed)
    for _ in range(3):
        for found, wanted in zip(f(x=fed), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert cuda.counts["graph_launch"] == 2
    assert "replayed as one CUDA graph" in f.explain()


def test_a_reversed_scan_and_one_within_another(cuda):
    x = Placeholder("x", ("T", "S"), "float32")

    def inner(carry, value):
        return carry + value, carry * value

    def outer(carry, row):
        last, rows = scan(inner, carry, row, reverse=True)
        return last, sg.sum(rows)

    last, sums = scan(outer, Constant(np.float32(1)), x)
    both(last + sg.sum(sums), x=np.arange(12, dtype="float32").reshape(3, 4))


@pytest.mark.parametrize("chosen", [True, False])
def test_a_branch_is_chosen_by_the_host(cuda, chosen):
    p, x = Placeholder("p", (), "bool"), Placeholder("x", ("N",), "float32")
    f = both(cond(p, lambda: x * 2, lambda: x - 1), p=chosen, x=np.ones(5, "float32"))
    assert cuda.counts["graph_launch"] == 0
    assert re.search(r"at #\d+ the host waits for the device, to read a condition", f.explain())


def test_a_while_loop_and_its_gradient(cuda):
    x = Placeholder("x", (), "float64")
    result = while_loop(lambda value: value < 100.0, lambda value: value * x, x)
    both(result, x=1.5)
    both(sg.grad(result, x), x=1.5)


def test_a_loop_with_more_steps_than_there_is_room_for(cuda):
    x = Placeholder("x", (), "float64")
    result = while_loop(lambda value: value < 2.0, lambda value: value * x, x)
    both(sg.grad(result, x), x=1.002)


def test_a_failed_run_changes_no_parameter(cuda):
    w = Parameter(np.zeros((4, 2), "float32"), "w")
    ids = Placeholder("ids", ("N",), "int64")
    loss = sg.sum(w[ids])
    step = compile(loss, updates={w: w + 1 + loss * 0}, device="cuda")
    for _ in range(3):
        step(ids=[0, 3])
    with pytest.raises(BoundsError, match=r"(?s)index 4 is out.*no parameter was changed"):
        step(ids=[0, 4])
    np.testing.assert_array_equal(w.value, np.full((4, 2), 3))
    step(ids=[1, 2])
    np.testing.assert_array_equal(w.value, np.full((4, 2), 4))


def test_check_finite_on_the_device(cuda):
    w, x = Parameter(1.0, "w"), Placeholder("x", (), "float64")
    step = compile(w / x, updates={w: w + 1 / x}, device="cuda", check_finite=True)
    assert step(x=2.0) == 0.5
    with pytest.raises(NonFiniteError, match="inf"):
        step(x=0.0)
    assert w.value == 1.5


def test_random_numbers_are_those_of_the_cpu(cuda):
    x = Placeholder("x", (50,), "float32")
    noisy = sg.nn.dropout(x, 0.5)
    on_cpu, on_gpu = compile(noisy), compile(noisy, device="cuda")
    fed = np.ones(50, "float32")
    for _ in range(4):
        np.testing.assert_array_equal(on_gpu(x=fed), on_cpu(x=fed))


def test_a_matrix_product_that_is_an_update_is_guarded(cuda):
    w = Parameter(np.eye(3, dtype="float32"), "w")
    ids = Placeholder("ids", ("N",), "int64")
    step = compile(sg.sum(w[ids]), updates={w: w @ w + w}, device="cuda")
    step(ids=[0])
    with pytest.raises(BoundsError, match="index 7 is out of bounds"):
        step(ids=[7])
    np.testing.assert_array_equal(w.value, 2 * np.eye(3))


def test_results_may_stay_on_the_device(cuda):
    x = Placeholder("x", ("N",), "float32")
    f = compile(x * 2, device="cuda", results="device")
    first = f(x=np.ones(4, "float32"))
    second = f(x=first)
    third = f(x=second)
    assert isinstance(third, cuda.cupy.ndarray)
    np.testing.assert_array_equal(third.get(), np.full(4, 8))
    np.testing.assert_array_equal(first.get(), np.full(4, 2))


def test_large_results_are_written_where_the_caller_gets_them(cuda):
    x = Placeholder("x", ("N",), "float32")
    f = compile([x * 2, sg.sum(x)], device="cuda", results="device")
    fed = cuda.cupy.asarray(np.ones(1 << 19, "float32"))
    for _ in range(4):
        double, total = f(x=fed)
        assert float(double.get().sum()) == 2 * float(total.get()) == 1 << 20
    before = cuda.counts.copy()
    kept = [f(x=fed)[0] for _ in range(5)]
    done = cuda.counts - before
    # One copy for each small result, and none for the large ones.
    assert done["copy"] == 5
    assert len({array.data.ptr for array in kept}) == 5
    for array in kept:
        assert float(array.get().sum()) == 1 << 20


def test_small_feeds_beside_a_large_one_of_the_device(cuda, monkeypatch):
    x, rate = Placeholder("x", ("N",), "float32"), Placeholder("rate", (), "float32")
    bias = Placeholder("bias", ("M",), "float32")
    total = rate * sg.sum(x) + sg.sum(bias)
    f = compile(total, inputs=[rate, x, bias], device="cuda", results="device")
    gpu, uploaded = open_device("cuda:0"), []
    upload = Device.enqueue_upload
    monkeypatch.setattr(
        Device, "enqueue_upload", lambda *given: uploaded.append(given[2].nbytes) or upload(*given)
    )
    for size in (1 << 18, 1 << 21):
        fed = cuda.cupy.asarray(np.ones(size, "float32"))
        for number in range(4):
            before = gpu.event()
            found = f(number, fed, np.ones(3, "float32"))
            # Nobody has waited for the call before.
            assert number == 0 or not before.done
            assert found.get() == number * size + 3
            found = f(number, fed, np.ones(3, "float32"))
    assert max(uploaded) < 1000
    # An empty feed has the place of another one.
    pair = compile(rate + sg.sum(x), inputs=[rate, x], device="cuda")
    assert pair(3, np.ones(0, "float32")) == 3
    assert f(2, np.ones(1 << 21, "float32"), np.ones(3, "float32")).get() == (1 << 22) + 3


def test_a_call_that_did_not_wait_reports_later(cuda):
    w = Parameter(np.zeros((4, 2), "float32"), "w")
    ids = Placeholder("ids", ("N",), "int64")
    step = compile(sg.sum(w[ids]), updates={w: w + 1}, device="cuda", results="device")
    step(ids=np.array([0]))
    step(ids=np.array([9]))
    with pytest.raises(BoundsError, match=r"w\[ids\].*: in an earlier call, which did not wait"):
        step.wait()
    step.wait()
    step(ids=np.array([9]))
    step(ids=np.array([8]))
    with pytest.raises(BoundsError, match=r"2 earlier calls.*; the present call has not run"):
        for _ in range(3):
            step(ids=np.array([1]))
            np.array(w.value)
    step.wait()
    assert w.value[0, 0] >= 2


def test_arrays_that_come_from_ever_new_places_are_copied_and_replayed(cuda):
    rows = np.arange(240, dtype="float32").reshape(80, 3)
    there = cuda.cupy.asarray(rows)
    x = Placeholder("x", ("N", 3), "float32")
    f = compile(x * 2, device="cuda", results="device")
    for _ in range(2):
        for start in range(0, 80, 4):
            found = f(x=there[start : start + 4])
            np.testing.assert_array_equal(found.get(), rows[start : start + 4] * 2)
    assert cuda.counts["graph_launch"] > 25


def test_calls_from_several_threads(cuda):
    total, add = counter()
    x = np.ones(3, "float32")

    def work():
        for _ in range(10):
            add(x=x)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(total.value, np.full(3, 30))


def test_a_plan_that_does_not_fit_says_how_much_it_needs(cuda_machine):
    cuda_machine(memory=64 << 20)
    w = Parameter(np.ones(4, "float32"), "w")
    x = Placeholder("x", ("N", 4), "float32")
    step = compile(sg.sum(x @ w[:, None]), updates={w: w * 2}, device="cuda")
    step(x=np.ones((3, 4), "float32"))
    with pytest.raises(DeviceMemoryError, match=r"needs [\d,]{10,} bytes.*no parameter was"):
        step(x=np.ones((4_000_000, 4), "float32"))
    np.testing.assert_array_equal(w.value, np.full(4, 2))
    step(x=np.ones((3, 4), "float32"))


def test_all_functions_work_in_the_memory_of_the_largest(cuda_machine):
    cuda = cuda_machine(memory=16 << 20)
    x = Placeholder("x", ("N",), "float32")
    add = compile(sg.sum(sg.cumsum(x)), device="cuda")
    multiply = compile(sg.sum(sg.cumsum(x * 2)), device="cuda")
    for size in (1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 17):
        fed = np.full(size, 2.0**-20, "float32")
        for _ in range(3):
            assert multiply(x=fed) == 2 * add(x=fed)
    # What is fed, its double, and running sums, once for all extents and both functions.
    assert cuda.machine.used[0] < 13 << 20


def test_what_does_not_fit_is_named(cuda_machine):
    cuda_machine(memory=32 << 20)
    x, count = Placeholder("x", ("N",), "float32"), State(np.float32(0), "count")
    f = compile(x * 2, updates={count: count + 1}, device="cuda", results="device")
    kept = []
    with pytest.raises(DeviceMemoryError, match=r"results: .* 4,194,304 bytes.*no parameter was"):
        while True:
            kept.append(f(x=np.ones(1 << 20, "float32")))
    assert count.value == len(kept) > 2
    large = Parameter(np.ones(1 << 23, "float32"), "large")
    step = compile(sg.sum(large), updates={large: large * 2}, device="cuda")
    with pytest.raises(DeviceMemoryError, match=r"(?s)'large'.* 33,554,432 bytes.*executor\.py:\d"):
        step()
    assert large.value[0] == 1
    kept.clear()
    f(x=np.ones(1 << 20, "float32"))


def test_a_long_scan_is_not_recorded(cuda, monkeypatch):
    monkeypatch.setattr(frame, "MOST_RECORDED", 50)
    x = Placeholder("x", ("T", "S"), "float32")

    def outer(carry, row):
        last, _ = scan(lambda total, value: (sg.tanh(total + value), total), carry, row)
        return last, last

    f = compile(scan(outer, Constant(np.float32(0)), x)[1], device="cuda")
    for shape, recorded in (((3, 4), 1), ((8, 9), 1), ((4, 3), 2)):
        for _ in range(3):
            f(x=np.ones(shape, "float32"))
        assert cuda.counts["capture"] == recorded


def test_ctrl_c_leaves_large_results_where_they_are_written(cuda, monkeypatch):
    x = Placeholder("x", ("N",), "float32")
    f = compile([sg.exp(x), sg.cumsum(x)], device="cuda", results="device")
    fed = cuda.cupy.asarray(np.ones(1 << 18, "float32"))

    def interrupted(*arguments):
        walk(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(frame, "walk", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            f(x=fed)
    # CuPy hands out the memory of the results that nobody got.
    others = [cuda.cupy.asarray(np.zeros(1 << 18, "float32")) for _ in range(2)]
    f(x=fed)
    for other in others:
        assert not other.get().any()


def test_two_devices_share_a_parameter(cuda_machine):
    cuda_machine(devices=2)
    w = Parameter(np.ones(2), "w")
    steps = [compile(w, updates={w: w * 3}, device=name) for name in ("cuda:0", "cuda:1", "cpu")]
    for step in (*steps, *reversed(steps)):
        step()
    np.testing.assert_array_equal(w.value, np.full(2, 729.0))


def test_ctrl_c_ends_a_loop_that_never_ends(cuda):
    w = Parameter(1.0, "w")
    endless = while_loop(lambda value: value > 0, lambda value: value + w, w)
    step = compile(endless, updates={w: endless}, device="cuda")
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        step()
    assert w.value == 1.0


def test_fed_extents_that_contradict_each_other(cuda):
    x, y = (Placeholder(name, ("N",), "float32") for name in "xy")
    f = compile(x + y, device="cuda")
    with pytest.raises(FeedError, match="extent 4 along axis 0, but N is 3"):
        f(x=np.ones(3, "float32"), y=np.ones(4, "float32"))


def test_a_child_of_fork_is_told_that_it_cannot_use_the_device(cuda):
    f = compile(Placeholder("x", (), "float32") + 1, device="cuda")
    f(x=1.0)
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            f(x=1.0)
        except DeviceError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.wait()
    assert b"CUDA does not survive a fork" in os.read(read, 1000)


def test_profile_trace_and_source(cuda):
    x = Placeholder("x", ("N",), "float32")
    w = Parameter(np.ones(3, "float32"), "w")
    f = compile(sg.sum(sg.exp(x * w)), updates={w: w + 1}, device="cuda")
    fed = np.ones(3, "float32")
    assert "region" in str(f.profile(x=fed))
    np.testing.assert_array_equal(w.value, np.ones(3))
    assert "__global__" in f.source
    assert "on cuda:0" in f.explain()
    assert len(f.trace(x=fed)) > 2
