import _thread
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from symgraph.runtime import executor as executor_module
from symgraph.runtime import native as at
from symgraph.runtime import native_code
from symgraph.runtime.executor import executor, failed_check, mismatched_feed, new_frame
from tests.runtime.kernels import Program, below_source, call, count_source, pointers, scale_source

HALT = (at.HALT,)


@pytest.fixture
def counter():
    return np.zeros(1, np.int64)


def loop_program(counter, limit, body_calls=1):
    """While counter < limit: counter += 1, body_calls times."""
    flag, slot = np.zeros(1, np.uint8), np.zeros(1, np.int64)
    slot[0] = flag.ctypes.data
    test, body = pointers(flag, counter, limit), pointers(counter)
    rows = [
        call(below_source(), test),
        (at.JUMP_IF_FALSE, 0, slot.ctypes.data, 0, 0, 3 + body_calls),
        *[call(count_source(), body)] * body_calls,
        (at.JUMP, 0, 0, 0, 0, 0),
        HALT,
    ]
    return Program(rows, [flag, slot, test, body, counter, limit])


def test_calls_run_in_order_over_their_extents(counter):
    block = pointers(counter)
    rows = [call(count_source(), block, extent) for extent in (5, 0, -3, 7)]
    program = Program([*rows, HALT])
    assert executor().run_to_completion(program.address) == at.HALTED
    assert counter[0] == 12


def test_loops_and_branches(counter):
    program = loop_program(counter, np.array([1000]))
    assert executor().run_to_completion(program.address) == at.HALTED
    assert counter[0] == 1000


def test_a_loop_may_run_no_times(counter):
    program = loop_program(counter, np.array([0]))
    assert executor().run_to_completion(program.address) == at.HALTED
    assert counter[0] == 0


def test_slices_come_back_to_python_and_go_on(counter):
    program = loop_program(counter, np.array([300_000]))
    program.frame[at.SLICE] = 100_000
    seen = []
    assert executor().run_to_completion(program.address, on_slice=seen.append) == at.HALTED
    assert counter[0] == 300_000
    assert len(seen) > 3
    assert all(0 <= pc < len(program.rows) for pc in seen)


def test_a_slice_lasts_about_as_long_as_asked(counter):
    program = loop_program(counter, np.array([2**60]))
    started = time.perf_counter()
    assert executor().run(program.address, 0, at.BOUND) >= 0
    assert 0.04 < time.perf_counter() - started < 2.0


def test_control_c_ends_an_endless_loop_and_the_frame_is_usable_again(counter):
    limit = np.array([2**60])
    program = loop_program(counter, limit)
    timer = threading.Timer(0.15, _thread.interrupt_main, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        executor().run_to_completion(program.address)
    timer.join()
    limit[0], counter[0] = 10, 0
    assert executor().run_to_completion(program.address) == at.HALTED
    assert counter[0] == 10


def test_after_commit_nothing_is_sliced(counter):
    program = loop_program(counter, np.array([200_000]))
    program.frame[at.SLICE] = 0
    assert executor().run(program.address, 0, at.BOUND) >= 0
    counter[0] = 0
    # The same rows, one further down.
    moved = [
        (*row[:5], row[5] + 1) if row[0] in (at.JUMP, at.JUMP_IF_FALSE) else row
        for row in program.rows
    ]
    committed = Program([(at.COMMIT,), *moved])
    committed.frame[at.SLICE] = 0
    assert executor().run(committed.address, 0, at.BOUND) == at.HALTED
    assert counter[0] == 200_000


def test_a_failed_check_stops_at_commit(counter):
    status = np.zeros(1, np.int64)
    fail, update = pointers(status), pointers(counter)
    checked = Program(
        [call(count_source(), fail, 42), (at.COMMIT,), call(count_source(), update), HALT],
        status=status,
    )
    for _ in range(2):
        result = executor().run_to_completion(checked.address)
        assert failed_check(result) == 42
        assert mismatched_feed(result) == -1
    assert counter[0] == 0
    assert failed_check(at.HALTED) == 0


def test_a_status_without_commit_is_reported_at_the_end():
    status = np.zeros(1, np.int64)
    block = pointers(status)
    checked = Program([call(count_source(), block, 7), HALT], status=status)
    assert failed_check(executor().run_to_completion(checked.address)) == 7


@pytest.mark.parametrize(
    "rows", [[], [(99,)], [(at.JUMP, 0, 0, 0, 0, -1)], [(at.JUMP, 0, 0, 0, 0, 9)]]
)
def test_a_damaged_table_is_reported(rows):
    result = executor().run(Program(rows).address, 0, at.BOUND)
    assert result == at.BAD_TABLE
    assert failed_check(result) == 0


def test_patches_move_pointers_per_call():
    block = np.zeros(2, np.int64)
    program = Program([call(scale_source(2.0), block, 4), HALT])
    x, y = np.arange(8.0), np.zeros(8)
    bases = pointers(x, y)
    patches = np.array([[block.ctypes.data, 0, 32], [block.ctypes.data + 8, 1, 8]], np.int64)
    program.frame[at.PATCHES], program.frame[at.PATCH_COUNT] = patches.ctypes.data, 2
    program.frame[at.BASES] = bases.ctypes.data
    assert executor().run_to_completion(program.address) == at.HALTED
    np.testing.assert_array_equal(y, [0, 12, 15, 18, 21, 0, 0, 0])


def test_the_profile_adds_up(counter):
    block = pointers(counter)
    program = Program([call(count_source(), block), call(count_source(), block, 0), HALT])
    profile = np.zeros((3, 2), np.int64)
    program.frame[at.PROFILE] = profile.ctypes.data
    for _ in range(3):
        executor().run_to_completion(program.address)
    assert profile[:, 1].tolist() == [3, 0, 0]
    assert 0 < profile[0, 0] < 10**9


class FeedProgram(Program):
    """Computes y = 2 x + x on arrays that are bound by type, extents and layout."""

    def __init__(self, shape):
        self.block = np.zeros(2, np.int64)
        self.dims = np.array(shape, np.int64)
        self.bases = np.zeros(2, np.int64)
        size = int(np.prod(shape))
        super().__init__([call(scale_source(2.0), self.block, size), HALT])
        dtype = id(np.dtype("float64"))
        self.feeds = np.array(
            [[dtype, len(shape), self.dims.ctypes.data, base] for base in range(2)], np.int64
        )
        start = self.block.ctypes.data
        self.patches = np.array([[start, 0, 0], [start + 8, 1, 0]], np.int64)
        self.frame[at.FEEDS], self.frame[at.FEED_COUNT] = self.feeds.ctypes.data, 2
        self.frame[at.BASES] = self.bases.ctypes.data
        self.frame[at.PATCHES], self.frame[at.PATCH_COUNT] = self.patches.ctypes.data, 2


@pytest.fixture(params=[True, False], ids=["native", "python"])
def reader(request, monkeypatch):
    instance = executor_module.Executor()
    assert instance.reads_arrays
    instance.reads_arrays = request.param
    return instance


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (1, 2, 3, 4), (0, 3)])
def test_arrays_are_read_in_place(reader, shape):
    program = FeedProgram(shape)
    x, y = np.random.default_rng(0).normal(size=shape), np.zeros(shape)
    x = np.asarray(x)
    assert reader.execute(program.address, (x, y)) == at.HALTED
    np.testing.assert_array_equal(y, x * 2.0 + x)


class Subclass(np.ndarray):
    pass


GOOD = np.zeros((2, 3))
MISALIGNED = np.frombuffer(bytes(49), np.uint8)[1:].view(np.float64).reshape(2, 3)
BAD_FEEDS = {
    "dtype": np.zeros((2, 3), np.float32),
    "byte order": np.zeros((2, 3), ">f8"),
    "rank": np.zeros((2, 3, 1)),
    "extent": np.zeros((3, 2)),
    "layout": np.zeros((3, 2)).T,
    "strides": np.zeros((2, 6))[:, ::2],
    "alignment": MISALIGNED,
    "subclass": np.zeros((2, 3)).view(Subclass),
    "list": [[0.0] * 3] * 2,
    "None": None,
    "number": 1.0,
}


@pytest.mark.parametrize("name", BAD_FEEDS)
@pytest.mark.parametrize("place", [0, 1])
def test_a_feed_that_does_not_fit_is_named_before_anything_runs(reader, name, place):
    program = FeedProgram((2, 3))
    feeds = [GOOD, GOOD]
    feeds[place] = BAD_FEEDS[name]
    assert reader.bind(program.address, tuple(feeds)) == place
    result = reader.execute(program.address, tuple(feeds))
    assert mismatched_feed(result) == place
    assert failed_check(result) == 0
    assert reader.bind(program.address, (GOOD, GOOD)) == -1


def test_the_native_code_means_the_same_in_python(counter):
    program = loop_program(counter, np.array([20]))
    assert native_code.run(program.address, 0, at.BOUND) == at.HALTED
    assert counter[0] == 20
    feeding = FeedProgram((2, 3))
    x, y = np.arange(6.0).reshape(2, 3), np.zeros((2, 3))
    feeds = (x, y)
    assert native_code.run(feeding.address, 0, id(feeds) + at.TUPLE_ITEMS) == at.HALTED
    np.testing.assert_array_equal(y, 3 * x)


def test_frames_of_several_threads_run_at_once():
    wrong = []

    def work(seed):
        counter = np.zeros(1, np.int64)
        for limit in range(seed, seed + 200):
            counter[0] = 0
            program = loop_program(counter, np.array([limit]))
            executor().run_to_completion(program.address)
            if counter[0] != limit:
                wrong.append(limit)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_lock_of_python_is_free_during_a_run(counter):
    program = loop_program(counter, np.array([2**60]))
    program.frame[at.SLICE] = 300_000_000
    ticks = []
    runner = threading.Thread(target=executor().run, args=(program.address, 0, at.BOUND))
    runner.start()
    while runner.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.01)
    assert len(ticks) > 5


def test_new_frames_are_independent():
    first, second = new_frame(), new_frame()
    first[at.POOL] = 5
    assert second[at.POOL] == 0


def test_interrupt_by_signal_in_a_process_of_its_own():
    script = (
        "import numpy as np\n"
        "from tests.runtime.test_executor import loop_program\n"
        "from symgraph.runtime.executor import executor\n"
        "program = loop_program(np.zeros(1, np.int64), np.array([2**60]))\n"
        "run = executor().run_to_completion\n"
        "print('ready', flush=True)\n"
        "run(program.address)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
