"""Ctrl-C at any moment: parameters keep one state, and nothing is left locked."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WATCHDOG = 90

SHARED = """
import faulthandler, os, random, signal, sys, threading, time
import numpy as np
import symgraph as sg
from symgraph import Parameter, Placeholder, compile

faulthandler.dump_traceback_later({watchdog}, exit=True)


def press(*_):
    # As Ctrl-C does it: the handler of SIGINT decides.
    signal.raise_signal(signal.SIGINT)


signal.signal(signal.SIGALRM, press)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def run_script(body):
    """Run Python code in a process of its own, which a watchdog ends; return what it prints."""
    code = SHARED.format(watchdog=WATCHDOG) + textwrap.dedent(body)
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished.stdout.split()


@pytest.mark.parametrize(
    ("mode", "rounds", "longest"), [("native", 4000, 3e-4), ("reference", 400, 3e-3)]
)
def test_interrupts_at_random_moments(mode, rounds, longest):
    """Six parameters that change together are equal after every interrupt, and calls go on."""
    interrupted, steps = run_script(
        f"""
        parameters = [Parameter(0.0) for _ in range(6)]
        step = compile(parameters[0], updates={{p: p + 1 for p in parameters}}, mode={mode!r})
        look = compile([p + 0 for p in parameters], mode={mode!r})
        step(), look()
        rng = random.Random(0)
        interrupted = 0
        for number in range({rounds}):
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, {longest}))
                for _ in range(40):
                    if number % 3 == 0:
                        step()
                    elif number % 3 == 1:
                        look()
                    else:
                        parameters[number % 6].value
                while True:
                    pass
            except KeyboardInterrupt:
                interrupted += 1
            assert len({{float(p.storage) for p in parameters}}) == 1
        assert len(set(map(float, look()))) == 1
        print(interrupted, int(step()))
        """
    )
    assert int(interrupted) == rounds
    assert int(steps) > 0


def test_an_interrupt_while_waiting_for_a_step_of_another_thread():
    seen = run_script(
        """
        w = Parameter(np.eye(400, dtype="f4") * 0.5)
        x = Placeholder("x", (400, 400), "float32")
        y = x
        for _ in range(200):
            y = sg.tanh(y @ w)
        step = compile(y.sum(), updates={w: w * 1.0}, threads=1)
        look = compile(w.sum(), threads=1)
        values = np.ones((400, 400), "f4")
        step(x=values), look()
        done = threading.Event()

        def work():
            for _ in range(4):
                step(x=values)
            done.set()

        worker = threading.Thread(target=work)
        worker.start()
        interrupts = 0
        while not done.is_set():
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                look()
                w.value
                time.sleep(0.02)
            except KeyboardInterrupt:
                interrupts += 1
        worker.join()
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert abs(float(look()) - 200) < 1e-3
        w.value = np.zeros((400, 400))
        step(x=values)
        print(interrupts > 0, float(look()))
        """
    )
    assert seen == ["True", "0.0"]


def test_an_interrupt_while_compiling_leaves_the_function_usable():
    (count,) = run_script(
        """
        rng = random.Random(0)
        a, b = Placeholder("a"), Placeholder("b")
        interrupted = 0
        for number in range(60):
            y = a * float(number) + 0.1
            for depth in range(number % 7 + 3):
                y = sg.sin(y) * b + float(number * 7 + depth)
            f = compile(y.sum(axis=-1))
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-3, 8e-2))
                f(a=np.ones((2, 3)), b=np.ones((2, 3)))
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            ones = {"a": np.ones((2, 3)), "b": np.ones((2, 3))}
            expected = compile(y.sum(axis=-1), mode="reference")(**ones)
            np.testing.assert_allclose(f(**ones), expected, rtol=1e-12)
            assert f.compile_count == 1
        print(interrupted)
        """
    )
    assert int(count) > 5
