"""The thread that reads ahead: its errors, and that it never outlives its use."""

import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import DataLoader
from symgraph.data.prefetch import THREAD_NAME, Prefetched

TEN = np.arange(10)


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert _threads() == []


def _threads():
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def _counting(first=0, last=10):
    yield from range(first, last)


def _begin(first):
    return _counting(first)


class Reading:
    """A data set that notes which samples were read, and fails at one of them."""

    def __init__(self, count=40, failing=None, error=None):
        self.count, self.failing, self.error = count, failing, error
        self.read = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.failing:
            raise self.error
        self.read.append(index)
        return index


@pytest.mark.inventory("J.prefetch")
@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_items_come_in_order(ahead):
    assert list(Prefetched(_begin, ahead)) == list(range(10))


def test_reading_ahead_is_bounded():
    data = Reading()
    passing = iter(DataLoader(data, 4, shuffle=False, prefetch=2))
    next(passing)
    deadline = time.monotonic() + 10
    while len(data.read) < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(data.read) == 12  # the batch that was taken, and two ahead
    passing.close()


@pytest.mark.inventory("J.prefetch")
def test_reading_goes_on_during_the_step():
    data = Reading()
    for batch in DataLoader(data, 4, shuffle=False, prefetch=1):
        deadline = time.monotonic() + 10
        while len(data.read) < min(batch[-1] + 5, 40) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(data.read) >= min(batch[-1] + 5, 40)


# Errors.


@pytest.mark.inventory("J.prefetch")
def test_an_error_comes_where_its_batch_would_have_come():
    error = KeyError("lost")
    loader = DataLoader(Reading(40, 9, error), 4, shuffle=False, prefetch=3)
    got = []
    with pytest.raises(KeyError, match="lost") as caught:
        for batch in loader:
            got.append(batch.tolist())
    assert got == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert caught.value is error
    assert "__getitem__" in "".join(traceback.format_tb(error.__traceback__))


def test_after_an_error_a_pass_is_over():
    passing = iter(DataLoader(Reading(40, 1, OSError("disk")), 4, shuffle=False, prefetch=1))
    with pytest.raises(OSError, match="disk"):
        next(passing)
    with pytest.raises(StopIteration, match=r"^$"):
        next(passing)
    assert _threads() == []


@pytest.mark.parametrize("prefetch", [0, 1])
def test_a_sample_cannot_end_a_pass_in_silence(prefetch):
    loader = DataLoader(Reading(40, 5, StopIteration()), 4, shuffle=False, prefetch=prefetch)
    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        list(loader)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("stop"), SystemExit("out"), GeneratorExit("x")]
)
def test_errors_that_are_no_exceptions(error):
    with pytest.raises(type(error), match=str(error)):
        list(DataLoader(Reading(40, 5, error), 4, shuffle=False, prefetch=2))


def test_an_error_before_the_first_item():
    def begin(first):
        raise sg.DataError("nothing to read")

    with pytest.raises(sg.DataError, match="nothing to read"):
        next(Prefetched(begin, 2))


# The thread ends.


def test_the_thread_ends_with_the_pass():
    list(DataLoader(TEN, 3, prefetch=2))
    assert _threads() == []


@pytest.mark.inventory("J.prefetch")
def test_the_thread_ends_with_break():
    for _ in DataLoader(TEN, 3, prefetch=2):
        assert len(_threads()) == 1
        break
    assert _threads() == []


def test_the_thread_ends_with_close_and_with_blocks():
    passing = iter(DataLoader(TEN, 3, shuffle=False, prefetch=2))
    next(passing)
    passing.close()
    assert _threads() == []
    assert list(passing) == []
    passing.close()
    with Prefetched(_begin, 2) as items:
        assert next(items) == 0
    assert _threads() == []


@pytest.mark.inventory("J.prefetch")
def test_the_thread_ends_with_the_garbage():
    passing = iter(DataLoader(TEN, 3, prefetch=2))
    passing.myself = passing
    del passing
    gc.collect()
    assert _threads() == []
    unused = iter(DataLoader(TEN, 3, prefetch=2))
    del unused
    assert _threads() == []


def test_an_error_of_the_consumer_ends_the_thread():
    with pytest.raises(ZeroDivisionError, match="division"):
        for _ in DataLoader(TEN, 3, prefetch=2):
            1 / 0  # noqa: B018  # what matters is the error
    assert _threads() == []


def test_a_loader_is_collected_with_its_own_pass():
    loader = DataLoader(TEN, 3, prefetch=2)
    next(loader)
    del loader
    assert _threads() == []


def test_garbage_collected_by_the_thread_itself():
    class Collecting(Reading):
        def __getitem__(self, index):
            gc.collect()
            return index

    for _ in range(5):
        passing = iter(DataLoader(Collecting(), 2, shuffle=False, prefetch=2))
        passing.myself = passing
        next(passing)
        del passing
    deadline = time.monotonic() + 10
    while _threads() and time.monotonic() < deadline:
        gc.collect()  # in vain while a thread is at it
        time.sleep(0.01)


def test_two_consumers_of_one_pass_both_end():
    items, got = Prefetched(lambda first: _counting(first, 200), 3), []
    consumers = [threading.Thread(target=lambda: got.extend(items)) for _ in range(3)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join(30)
        assert not consumer.is_alive()
    assert sorted(got) == list(range(200))


def test_a_consumer_that_waits_is_woken_by_close():
    release = threading.Event()

    def begin(first):
        release.wait(30)
        yield 1

    items = Prefetched(begin, 1)
    got = []
    consumer = threading.Thread(target=lambda: got.extend(items))
    consumer.start()
    closer = threading.Thread(target=items.close)
    closer.start()
    consumer.join(10)
    assert not consumer.is_alive() and got == []
    release.set()
    closer.join(10)


def test_the_thread_has_the_context_of_the_consumer():
    variable = contextvars.ContextVar("variable", default=0)

    def begin(first):
        yield variable.get()

    variable.set(7)
    assert list(Prefetched(begin, 1)) == [7]


def test_the_order_is_drawn_when_the_pass_begins():
    np.random.seed(0)
    expected = np.random.permutation(10)
    after = np.random.rand()
    np.random.seed(0)
    passing = iter(DataLoader(TEN, 10, prefetch=1))
    assert np.random.rand() == after
    np.testing.assert_array_equal(next(passing), expected)


# Processes.

PROGRAM = """
import gc, os, signal, sys, threading, time
import numpy as np
from symgraph.data import DataLoader
loader = DataLoader(np.arange(40), 4, shuffle=False, prefetch=2)
passing = iter(loader)
first = next(passing).tolist()
"""


def _run(code, **options):
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM + code],
        capture_output=True, text=True, timeout=60, **options,
    )  # fmt: skip
    assert finished.stderr == ""
    assert finished.returncode == 0
    return finished.stdout.split("\n")[:-1]


def test_a_pass_that_is_alive_does_not_hold_up_the_end():
    started = time.monotonic()
    assert _run("print(first)") == ["[0, 1, 2, 3]"]
    assert time.monotonic() - started < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_a_forked_child_goes_on_and_begins_anew():
    printed = _run("""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
child = os.fork()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0
rest = [b[0].item() for b in passing]
print(rest == list(range(4, 40, 4)), [b[0].item() for b in loader] == list(range(0, 40, 4)))
print([t.name for t in threading.enumerate() if "prefetch" in t.name])
sys.exit(status)
""")
    assert printed == ["True True", "[]"] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_a_forked_child_may_drop_a_pass_and_end():
    printed = _run("""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
child = os.fork()
if child == 0:
    passing.close()
    del passing
    gc.collect()
    print("dropped")
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), next(passing).tolist())
""")
    assert printed == ["dropped", "0 [4, 5, 6, 7]"]


def test_ctrl_c_reaches_a_consumer_that_waits():
    printed = _run("""
passing.close()
class Slow:
    def __len__(self):
        return 10
    def __getitem__(self, index):
        time.sleep(0.1)
        return index
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
started = time.monotonic()
try:
    list(DataLoader(Slow(), 10, prefetch=1))
except KeyboardInterrupt:
    print(time.monotonic() - started < 0.8)
gc.collect()
print([t.name for t in threading.enumerate() if "prefetch" in t.name])
""")
    assert printed == ["True", "[]"]
