import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from symgraph.runtime import native as at
from symgraph.runtime import native_code, pool
from symgraph.runtime.executor import executor
from symgraph.runtime.jit import get_kernel
from tests.runtime.kernels import Program, call, pointers, scale_source

SIZE = 10_007


@pytest.fixture
def many_cpus(monkeypatch):
    """Lets pools be larger than this machine."""
    monkeypatch.setattr(pool, "available_cpus", lambda: 8)
    pool._started.clear()
    yield
    pool._started.clear()


def scaled(threads, grain, size=SIZE, factor=3.0, calls=1):
    x, y = np.random.default_rng(size).normal(size=size), np.zeros(size)
    block = pointers(x, y)
    program = Program([*[call(scale_source(factor), block, size, grain)] * calls, (at.HALT,)])
    program.frame[at.POOL] = pool.get(threads)
    assert executor().run_to_completion(program.address) == at.HALTED
    return x, y


@pytest.mark.parametrize("threads", [1, 2, 4, 7])
@pytest.mark.parametrize("grain", [0, 1, 2, 63, 64, 100, 5003, 5004, SIZE - 1, SIZE, SIZE + 1])
def test_every_cut_gives_the_same_bits(many_cpus, threads, grain):
    x, y = scaled(threads, grain)
    assert y.tobytes() == (x * 3.0 + x).tobytes()


def test_one_thread_needs_no_pool():
    assert pool.get(1) == 0


def test_pools_are_no_larger_than_the_affinity_mask(monkeypatch):
    monkeypatch.setattr(pool, "available_cpus", lambda: 1)
    pool._started.clear()
    assert pool.get(4) == pool.get(None) == 0
    monkeypatch.undo()
    pool._started.clear()


def test_equal_sizes_share_a_pool(many_cpus):
    assert pool.get(3) == pool.get(3) != 0
    assert pool.get(8) == pool.get(None) == pool.get(100)


def test_a_pool_is_started_once(many_cpus):
    pool.get(5)
    before = threading.active_count()
    for _ in range(10):
        pool.get(5)
    assert threading.active_count() == before


def test_a_hundred_thousand_tiny_jobs(many_cpus):
    for threads in (2, 4):
        started = time.perf_counter()
        x, y = scaled(threads, 4, size=16, calls=50_000)
        assert y.tobytes() == (x * 3.0 + x).tobytes()
        assert time.perf_counter() - started < 60


def test_sleeping_workers_wake_up(many_cpus):
    for pause in (0.0, 0.001, 0.02):
        for _ in range(5):
            time.sleep(pause)
            x, y = scaled(2, 10)
            assert y.tobytes() == (x * 3.0 + x).tobytes()


def test_many_callers_at_once(many_cpus):
    wrong = []

    def work(factor):
        for _ in range(100):
            x, y = scaled(4, 100, factor=factor)
            if y.tobytes() != (x * factor + x).tobytes():
                wrong.append(factor)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_busy_pool_is_not_waited_for(many_cpus):
    struct = pool.get(2)
    words = pool._words(struct)
    words[at.BUSY] = 1
    try:
        x, y = scaled(2, 10)
        assert y.tobytes() == (x * 3.0 + x).tobytes()
    finally:
        words[at.BUSY] = 0


def test_without_a_futex_workers_poll(many_cpus, monkeypatch):
    monkeypatch.setattr(pool, "_FUTEX_NUMBERS", {})
    monkeypatch.setattr(pool, "_structs", {})
    for _ in range(3):
        x, y = scaled(3, 10)
        assert y.tobytes() == (x * 3.0 + x).tobytes()
        time.sleep(0.01)
    words = pool._words(pool.get(3))
    assert words[at.SYSCALL] == 0
    words[at.STOP] = 1


def test_idle_workers_use_no_cpu(many_cpus):
    scaled(2, 10)
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_the_job_protocol_in_python(many_cpus):
    struct = pool._new_struct()
    pool._words(struct)[at.SPINS] = 0
    x, y = np.arange(50.0), np.zeros(50)
    block = pointers(x, y)
    function = get_kernel(scale_source())
    native_code.run_pooled(struct, function, block.ctypes.data, 50, 7)
    np.testing.assert_array_equal(y, x * 3.0 + x)
    words = pool._words(struct)
    assert [words[k] for k in (at.BUSY, at.MEMBERSHIP, at.GENERATION)] == [0, 0, 1]


def in_child(check):
    """Runs a check in a child of fork, and fails here if it failed or hung there."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            check()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hung"


def check_scaled():
    x, y = scaled(4, 10)
    assert y.tobytes() == (x * 3.0 + x).tobytes()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_fork_has_its_own_workers(many_cpus):
    check_scaled()
    assert in_child(check_scaled) == 0
    check_scaled()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_frame_bound_before_fork_still_runs(many_cpus):
    x, y = np.arange(100.0), np.zeros(100)
    block = pointers(x, y)
    program = Program([call(scale_source(), block, 100, 7), (at.HALT,)])
    program.frame[at.POOL] = pool.get(4)
    executor().run_to_completion(program.address)

    def check():
        y[:] = 0
        executor().run_to_completion(program.address)
        assert y.tobytes() == (x * 3.0 + x).tobytes()

    assert in_child(check) == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_in_the_middle_of_jobs(many_cpus):
    stop = threading.Event()

    def keep_busy():
        while not stop.is_set():
            scaled(4, 10)

    threads = [threading.Thread(target=keep_busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert [in_child(check_scaled) for _ in range(20)] == [0] * 20
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def run_script(text):
    return subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=60,
    )


PRELUDE = """
import threading, time, atexit, sys
from symgraph.runtime import pool
pool.available_cpus = lambda: 4
from tests.runtime.test_pool import check_scaled
"""


@pytest.mark.parametrize(
    "body",
    [
        "check_scaled()",
        "check_scaled(); time.sleep(0.2)",
        "check_scaled(); sys.exit(0)",
        "atexit.register(check_scaled); check_scaled()",
        "check_scaled()\n"
        "def often():\n    for _ in range(200): check_scaled()\n"
        "threading.Thread(target=often).start()",
        "check_scaled()\n"
        "def forever():\n    while True: check_scaled()\n"
        "threading.Thread(target=forever, daemon=True).start(); time.sleep(0.1)",
    ],
    ids=["spinning", "sleeping", "exit", "atexit", "thread", "daemon"],
)
def test_the_interpreter_exits(body):
    for _ in range(3):
        result = run_script(PRELUDE + body)
        assert (result.returncode, result.stderr) == (0, "")
