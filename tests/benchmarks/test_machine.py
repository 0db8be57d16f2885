"""One setting of threads for every library, before any is loaded."""

import json
import os
import sys

from benchmarks import machine


def test_every_library_gets_the_same_threads_and_its_own_kernels():
    before = {"PATH": "/bin", "OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "7"}
    after = machine.even_environment(before, 2)
    assert after == {"PATH": "/bin", **dict.fromkeys(machine.THREAD_VARIABLES, "2")}
    assert before["OMP_NUM_THREADS"] == "7"


def test_an_uneven_process_starts_itself_again_and_an_even_one_goes_on(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    machine.restart_evenly(["run", "--only", "chain_1e3"], 1)
    ((program, arguments, environment),) = started
    assert (program, arguments[1:]) == (
        sys.executable,
        ["-m", "benchmarks", "run", "--only", "chain_1e3"],
    )
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    for name in machine.THREAD_VARIABLES:
        monkeypatch.setenv(name, environment[name])
    machine.restart_evenly(["run"], 1)
    assert len(started) == 1


def test_the_description_names_processor_versions_and_threads():
    description = json.loads(json.dumps(machine.describe_machine(2)))
    assert description["threads"] == 2
    assert description["processor"]
    assert description["cores"] >= 1
    assert "numpy" in description["versions"]
