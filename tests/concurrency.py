"""Threads and processes for tests, each with a watchdog."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

PATIENCE = 60
"""Seconds after which a thread or a process counts as hung."""


def run_together(*works):
    """Run each function in a thread of its own, all begun at once; return what they return."""
    start = threading.Barrier(len(works))
    results, failures = [None] * len(works), []

    def target(index):
        try:
            start.wait(PATIENCE)
            results[index] = works[index]()
        except BaseException as error:  # carried to the main thread, whatever it is
            failures.append(error)

    threads = [
        threading.Thread(target=target, args=(index,), daemon=True) for index in range(len(works))
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    assert not any(thread.is_alive() for thread in threads), "a call hangs"
    if failures:
        raise failures[0]
    return results


def run_script(body):
    """Run a program in a process of its own and return what it prints."""
    command = [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(body)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        printed, errors = child.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        # The handler of SIGABRT shows where each thread hangs; grandchildren end too.
        os.killpg(child.pid, signal.SIGABRT)
        printed, errors = child.communicate(timeout=PATIENCE)
        raise AssertionError(f"hangs, having printed {printed!r}\n{errors}") from None
    assert child.returncode == 0, errors
    return printed


PRELUDE = """
import os, signal, sys, threading, time, traceback
import numpy as np
import symgraph as sg
from symgraph import Parameter, Placeholder, compile, grad

def make(threads=None):
    x = Placeholder("x", ("N", "M"), "float32")
    return compile([sg.exp(x) * 2 + 1, x.sum(axis=1), sg.softmax(x)], threads=threads)

SMALL = np.random.default_rng(0).standard_normal((5, 7)).astype("f4")
LARGE = np.random.default_rng(1).standard_normal((3000, 400)).astype("f4")

def same(f, values, expected):
    return all(a.tobytes() == b.tobytes() for a, b in zip(f(x=values), expected))

def in_child(work, seconds=20):
    '''Fork; tell whether `work()` is true in the child.'''
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if work() else 3
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    sys.stderr.write("the child hangs")
    sys.stderr.flush()
    os._exit(4)
"""
