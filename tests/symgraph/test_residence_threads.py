"""Where values are, with several threads, after fork, and with Ctrl-C."""

import os

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, compile, residence
from tests.concurrency import run_script, run_together
from tests.symgraph.fake_device import DeviceFunction, adder, copies, installed, reader

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")


@pytest.fixture
def devices(monkeypatch):
    return installed(monkeypatch)


def test_readers_bring_a_value_to_the_host_once(devices):
    p = Parameter(np.zeros(50), "p")
    read, step = compile(p * 1), adder(devices[0], p)
    for turn in range(5):
        step()
        devices[0].delay = 0.01
        found = run_together(read, read, reader(devices[0], p), lambda: p.value)
        assert all((value == turn + 1).all() for value in found)
    assert copies(devices[:1]) == [(1, 5)]


def test_readers_bring_a_value_to_a_device_once(devices):
    p = Parameter(np.zeros(50), "p")
    devices[0].delay = 0.01
    for turn in range(5):
        p.value = np.full(50, float(turn))
        found = run_together(compile(p * 1), *[reader(devices[0], p) for _ in range(4)])
        assert all((value == turn).all() for value in found)
    assert copies(devices[:1]) == [(5, 0)]
    assert devices[0].live == 400


def test_threads_on_the_host_and_two_devices_lose_nothing(devices, tmp_path):
    p, q = Parameter(np.zeros(200), "p"), Parameter(np.zeros(200), "q")
    on_host = compile([], updates={p: p + 1, q: q - 1})

    def body(p, q):
        p += 1
        q -= 1

    functions = [on_host, *(DeviceFunction(device, [p, q], [p, q], body) for device in devices)]
    turns = 60

    def stepper(function):
        return lambda: [function() for _ in range(turns)] and None

    def reader():
        for turn in range(turns):
            sg.save({"p": p, "q": q}, tmp_path / "both.npz")
            found = sg.load_arrays(tmp_path / "both.npz")
            assert (found["p"] == found["p"][0]).all()
            assert (found["p"] == -found["q"]).all()
            if turn % 10 == 0:
                p.to(["cpu", "cuda:0", "cuda:1"][turn // 10 % 3])

    run_together(*map(stepper, functions), reader)
    assert (p.value == 3 * turns).all()
    assert (q.value == -3 * turns).all()


def test_two_devices_exchange_values_from_two_threads(devices):
    p, q = Parameter(np.zeros(100), "p"), Parameter(np.zeros(100), "q")
    turns = 100

    def add(first, second):
        first += second

    def stepper(device, first, second):
        function = DeviceFunction(device, [first, second], [first], add)
        return lambda: [function() for _ in range(turns)] and None

    q.value = np.ones(100)
    run_together(stepper(devices[0], p, q), stepper(devices[1], q, p))
    assert (p.value == p.value[0]).all()
    assert (q.value == q.value[0]).all()


def test_a_change_seen_by_nobody_is_not_looked_for(devices):
    p = Parameter(np.zeros(4), "p")
    step = adder(devices[0], p)
    step()
    step()
    step.residents._values = None  # would fail, if it were read
    step()
    assert step.residents.seen is residence.latest_change


IN_A_CHILD = """
from symgraph import residence
from tests.symgraph.fake_device import DeviceFunction, FakeDevice
device = FakeDevice("cuda:0")
residence.OPENERS["cuda"] = lambda name: device
def add(view):
    view += 1
def step(p):
    return DeviceFunction(device, [p], [p], add)
away, both, back = (Parameter(np.zeros(3), name) for name in ("away", "both", "back"))
again = step(away)
for p in (both, back):
    step(p)()
both.value
back.to("cpu")
read = compile([both * 1, back * 1])
lost = compile(away * 1)
before = [value.tolist() for value in read()]
again()
again()
"""


def test_a_child_has_what_was_on_the_host():
    printed = run_script(
        IN_A_CHILD
        + """
def work():
    away.value = np.ones(3)
    step(both)()
    return [value.tolist() for value in read()] == [[2.0] * 3, [1.0] * 3] and lost()[0] == 1
print(in_child(work), [value.tolist() for value in read()] == before, away.value[0])
"""
    )
    assert printed.split() == ["True", "True", "2.0"]


@pytest.mark.parametrize(
    "action",
    ["away.value", "lost()", "away.to('cpu')", "away.to('cuda')", "step(away)()", "again()"],
)
def test_a_child_cannot_read_what_is_on_a_device_alone(action):
    printed = run_script(
        IN_A_CHILD
        + f"""
def work():
    try:
        {action}
    except sg.DeviceError as error:
        text = str(error)
        return "parameter 'away' (made at" in text and ".to('cpu') before the fork" in text
print(in_child(work), step(away)() is None, away.value[0])
"""
    )
    assert printed.split() == ["True", "True", "3.0"]


def test_a_fork_while_values_travel():
    printed = run_script(
        IN_A_CHILD
        + """
stop = threading.Event()
large = Parameter(np.zeros(300_000), "large")
def traveller():
    while not stop.is_set():
        step(large)()
        large.value
threads = [threading.Thread(target=traveller, daemon=True)]
for thread in threads:
    thread.start()
def work():
    large.value = np.ones(300_000)
    return (large.value == 1).all()
for _ in range(5):
    time.sleep(0.004)
    print(in_child(work))
stop.set()
"""
    )
    assert printed.split() == ["True"] * 5


def test_ctrl_c_loses_no_value(devices):
    printed = run_script(
        IN_A_CHILD
        + """
p = Parameter(np.zeros(20_000), "p")
steps, adder = 0, step(p)
on_host = compile([], updates={p: p + 1})
def interrupt():
    while not stop.wait(0.003):
        os.kill(os.getpid(), signal.SIGINT)
stop = threading.Event()
timer = threading.Thread(target=interrupt)
interrupts, wrong = 0, 0
last = 0.0
timer.start()
deadline = time.monotonic() + 1.5
while time.monotonic() < deadline:
    try:
        adder()
        on_host()
        value = p.value
        wrong += value[0] < last or (value != value[0]).any()
        last = value[0]
        p.value = value + 1
        adder()
    except KeyboardInterrupt:
        interrupts += 1
    finally:
        pass
stop.set()
try:
    timer.join()
except KeyboardInterrupt:
    pass
print(interrupts > 10, wrong)
"""
    )
    assert printed.split() == ["True", "0"]
