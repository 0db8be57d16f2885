"""A file is whole or not there, whatever happens while it is written."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.serialise import atomic, npz, tensors

ROOT = Path(__file__).parents[2]
FORMATS = pytest.mark.parametrize("ending", ["npz", "safetensors"])


def _parameters(value):
    return {"w": sg.Parameter(np.full(5000, value)), "b": sg.Parameter(np.full(3, value))}


def _failing(error, calls):
    """Return a function that raises at its last allowed call."""

    def fail(*args, **kwargs):
        calls.append(args)
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt("Ctrl-C")]
)
@pytest.mark.parametrize("where", ["write", "flush", "chmod", "replace"])
@FORMATS
@pytest.mark.inventory("N.atomic")
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, ending, where, error
):
    path, calls = tmp_path / f"w.{ending}", []
    sg.save(_parameters(1.0), path)
    fail = _failing(error, calls)
    with monkeypatch.context() as patch:
        if where == "write":
            patch.setattr(npz.np.lib.format, "write_array", fail)
            patch.setattr(tensors, "_checksum", fail)
        elif where == "flush":
            patch.setattr(atomic.os, "fsync", fail)
        else:
            patch.setattr(atomic.os, where, fail)
        with pytest.raises(type(error), match=r"No space|Ctrl-C"):
            sg.save(_parameters(2.0), path)
    assert calls
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    back = _parameters(0.0)
    sg.load(back, path)
    assert set(back["w"].value) == set(back["b"].value) == {1.0}


def test_what_is_written_is_flushed_before_it_is_named(tmp_path, monkeypatch):
    order = []
    flush, replace = os.fsync, os.replace
    monkeypatch.setattr(atomic.os, "fsync", lambda handle: (order.append("flush"), flush(handle)))
    monkeypatch.setattr(atomic.os, "replace", lambda a, b: (order.append("name"), replace(a, b)))
    sg.save(_parameters(1.0), tmp_path / "w.npz")
    assert order == ["flush", "name", "flush"]


KILLED = """
import os, random, signal, sys, time
import numpy as np
import symgraph as sg

folder, rounds = sys.argv[1], int(sys.argv[2])
rng = random.Random(0)

def make(value):
    return {name: sg.Parameter(np.full(size, value)) for name, size in (("w", 20000), ("b", 3))}

for path in (f"{folder}/w.npz", f"{folder}/w.safetensors"):
    sg.save(make(0.0), path)
    for number in range(rounds):
        child = os.fork()
        if not child:
            value = 1.0
            while True:
                sg.save(make(value), path)
                value += 1.0
        time.sleep(rng.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        back = make(-1.0)
        sg.load(back, path)
        assert len(set(back["w"].value) | set(back["b"].value)) == 1
print("whole")
"""


@pytest.mark.inventory("N.atomic")
def test_a_killed_process_leaves_a_whole_file(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), "25"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.stdout == "whole\n", finished.stderr[-3000:]


LOADED = """
import random, signal
import numpy as np
import symgraph as sg

signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = random.Random(0)
sizes = {"a": 1, "b": 400, "c": 30000}
files = [{name: np.full(size, value) for name, size in sizes.items()} for value in (1.0, 2.0)]
targets = {name: sg.Parameter(array) for name, array in files[0].items()}
interrupted = 0
for number in range(1500):
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 2e-4))
        while True:
            sg.load(targets, files[number % 2])
    except KeyboardInterrupt:
        interrupted += 1
    ends = [(p.storage.min(), p.storage.max()) for p in targets.values()]
    assert len(set(np.ravel(ends))) == 1
print(interrupted)
"""


def test_an_interrupted_load_changes_all_or_nothing():
    command = [sys.executable, "-c", LOADED]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.stdout == "1500\n", finished.stderr[-3000:]
