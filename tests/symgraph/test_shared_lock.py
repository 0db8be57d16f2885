"""The locks around parameters: many readers or one writer, whatever happens inside."""

import os
import threading
import time

import pytest

from symgraph.shared_lock import SharedLock, run_alone, run_shared

SECONDS = 20


def test_results_and_arguments_pass_through():
    lock = SharedLock()
    for run in (run_alone, run_shared):
        assert run([lock], divmod, 7, 2) == (3, 1)
        assert run([lock], int, "11", base=2) == 3
        assert run([], int, 4) == 4


@pytest.mark.parametrize("run", [run_alone, run_shared])
def test_errors_pass_through_and_free_the_locks(run):
    locks = [SharedLock(), SharedLock()]
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="division"):
            run(locks, divmod, 1, 0)
    assert run_alone(locks, int, 5) == 5
    assert run_shared(locks, int, 5) == 5


def test_readers_are_inside_together():
    lock = SharedLock()
    barrier = threading.Barrier(4, timeout=SECONDS)
    found = []

    def work():
        run_shared([lock], barrier.wait)
        found.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4


def test_a_writer_is_alone():
    lock = SharedLock()
    inside = {"readers": 0, "writers": 0}
    wrong = []

    def enter(kind):
        inside[kind] += 1
        time.sleep(1e-4)
        if inside["writers"] > 1 or (inside["writers"] and inside["readers"]):
            wrong.append(dict(inside))
        inside[kind] -= 1

    # Counting needs a lock of its own where readers are inside together.
    counting = threading.Lock()

    def read():
        with counting:
            inside["readers"] += 1
        time.sleep(1e-4)
        if inside["writers"]:
            wrong.append(dict(inside))
        with counting:
            inside["readers"] -= 1

    def work(seed):
        for number in range(100):
            if (number + seed) % 3:
                run_shared([lock], read)
            else:
                run_alone([lock], enter, "writers")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert inside == {"readers": 0, "writers": 0}


def test_all_locks_are_held():
    locks = [SharedLock() for _ in range(3)]

    def held():
        return [lock.room().locked() for lock in locks]

    assert run_alone(locks, held) == [True] * 3
    assert run_shared(locks, held) == [True] * 3
    assert held() == [False] * 3


def test_leaving_twice_does_no_harm():
    lock = SharedLock()
    one, two = object(), object()
    lock.enter(one)
    lock.enter(two)
    lock.leave(one)
    lock.leave(one)
    assert lock.room().locked()
    lock.leave(two)
    lock.leave(two)
    assert not lock.room().locked()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("run", [run_alone, run_shared])
def test_every_lock_is_free_after_a_fork(run):
    lock, started, finish = SharedLock(), threading.Event(), threading.Event()

    def hold():
        started.set()
        finish.wait(SECONDS)

    holder = threading.Thread(target=run, args=([lock], hold))
    holder.start()
    started.wait(SECONDS)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = run_alone([lock], int, 0)
        finally:
            os._exit(code)
    deadline = time.monotonic() + SECONDS
    found, status = os.waitpid(child, os.WNOHANG)
    while not found and time.monotonic() < deadline:
        time.sleep(0.01)
        found, status = os.waitpid(child, os.WNOHANG)
    finish.set()
    holder.join()
    assert (found, status) == (child, 0)
    assert run_alone([lock], int, 3) == 3
