"""The processes of the suite: how they are asked, how they fail, how they take turns."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.suite import measure, process
from benchmarks.suite.idle import busy_cores
from benchmarks.suite.measure import Plan, measure_row
from benchmarks.suite.peers import Peer
from benchmarks.suite.process import PeerError, Process, Start, caches_in
from benchmarks.suite.workloads import WORKLOADS

PEER = """
import json, os, sys, time
name = sys.argv[1]
if name == "fails":
    print(json.dumps({"error": "ValueError: it cannot"}), flush=True)
    raise SystemExit(1)
if name == "ends":
    raise SystemExit("it ended early")
hello = {"import": 5, "data": 2, "compile": 7, "first": time.monotonic_ns(), "values": [[1.0]]}
print(json.dumps({**hello, "sorts": os.environ.get("GLIBC_TUNABLES")}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "calls" not in asked:
        break
    print(json.dumps({"nanoseconds": 10.0 * asked["calls"]}), flush=True)
print(json.dumps({"peak": 4096}), flush=True)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "peer.py"
    path.write_text(PEER)
    return (str(path),)


def test_a_process_answers_and_ends(program):
    child = Process(["works"], {}, program)
    assert (child.start.imported, child.start.compiled, child.start.values) == (5, 7, ((1.0,),))
    assert child.start.total > 0
    assert child.sample(3) == 30.0
    assert child.finish() == 4096


@pytest.mark.parametrize(("name", "reason"), [("fails", "it cannot"), ("ends", "it ended early")])
def test_a_process_that_fails_says_why(program, name, reason):
    with pytest.raises(PeerError, match=reason):
        Process([name], {}, program)


def test_a_process_that_is_silent_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    path = tmp_path / "silent.py"
    path.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(process, "_LONGEST_SECONDS", 0.2)
    with pytest.raises(PeerError, match=r"more than 0\.2 s"):
        Process(["silent"], {}, (str(path),))


def test_a_real_worker_takes_steps_and_samples(tmp_path):
    folder = caches_in(tmp_path)
    child = Process(["define_by_run", "mlp_small", "1"], folder)
    losses = [value for (value,) in child.start.values]
    assert losses[2] < losses[1] < losses[0]
    assert child.sample(2) > 0
    assert child.finish() > 0


def test_a_worker_says_what_went_wrong():
    command = [sys.executable, "-m", "benchmarks.suite.worker", "define_by_run", "nothing", "1"]
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ, cwd=process._ROOT
    )
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["error"] == "KeyError: 'nothing'"


class FakeProcess:
    """Takes as many nanoseconds a call as its peer is told to."""

    def __init__(self, log, name, step, values):
        self.log, self.name, self.step = log, name, step
        self.start = Start(1e6, 2e6, 3e6, values)

    def sample(self, calls):
        self.log.append((self.name, calls))
        return self.step

    def finish(self):
        return 10_000_000

    def close(self):
        self.log.append((self.name, "closed"))


def _starter(log, steps, values=None):
    def start(peer, workload, threads, environment):
        kept = "GLIBC_TUNABLES" in environment
        if peer.name not in steps:
            raise PeerError("it cannot")
        agreed = (values or {}).get(peer.name, ((2.0,), (1.5,)))
        name = f"{peer.name} kept" if kept else peer.name
        return FakeProcess(log, name, steps[peer.name] / (2 if kept else 1), agreed)

    return start


OURS = Peer("symgraph", "numpy", "")
TWIN = Peer("define_by_run", "numpy", "")
TORCH = Peer("torch", "numpy", "", kept=True)
ABSENT = Peer("elsewhere", "no_such_module_at_all", "")
PLAN = Plan(threads=1, rounds=4, seconds=1.0)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(measure, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(measure, "REST_SECONDS", 0.0)


def test_peers_take_turns_and_a_second_pass_keeps_memory(quick):
    log = []
    start = _starter(log, {"symgraph": 1e7, "define_by_run": 4e7, "torch": 2e7})
    row = measure_row(WORKLOADS[0], [OURS, TWIN, TORCH, ABSENT], PLAN, start)
    found = {(entry.peer, entry.kept): entry for entry in row.entries}
    assert list(found) == [
        ("symgraph", False),
        ("define_by_run", False),
        ("torch", False),
        ("torch", True),
    ]
    assert found["torch", True].step.median == 1e7
    assert found["torch", True].compiled is None
    assert found["symgraph", False].compiled == 2e6
    assert found["symgraph", False].peak == 10_000_000
    assert all(entry.void is None for entry in row.entries)
    assert row.skipped == {"elsewhere": "no_such_module_at_all is not installed"}
    turns = [name for name, calls in log if calls != "closed"][4:]
    assert turns[:4] == ["symgraph", "define_by_run", "torch", "torch kept"]
    assert turns[4:8] == ["define_by_run", "torch", "torch kept", "symgraph"]


def test_a_peer_that_fails_is_left_out_and_one_that_differs_is_void(quick):
    values = {"torch": ((2.0,), (1.6,)), "symgraph": ((2.0,), (1.5001,))}
    start = _starter([], {"symgraph": 1e7, "define_by_run": 4e7, "torch": 2e7}, values)
    failing = replace(TWIN, name="jax")
    row = measure_row(WORKLOADS[0], [OURS, TWIN, TORCH, failing], replace(PLAN, kept=False), start)
    void = {entry.peer: entry.void for entry in row.entries}
    assert void["symgraph"] is None
    assert void["torch"] == "its first steps differ from those of define_by_run by 0.067"
    assert row.skipped == {"jax": "it cannot"}


@pytest.mark.parametrize("values", [((float("nan"),), (1.5,)), ((2.0,),)])
def test_nan_and_another_number_of_results_are_void(quick, values):
    start = _starter([], {"symgraph": 1e7, "define_by_run": 4e7}, {"symgraph": values})
    row = measure_row(WORKLOADS[0], [OURS, TWIN], PLAN, start)
    assert row.entries[0].void is not None


def test_slow_peers_are_sampled_less_often(quick):
    log = []
    start = _starter(log, {"symgraph": 1e3, "define_by_run": 1e9})
    measure_row(WORKLOADS[0], [OURS, TWIN], replace(PLAN, rounds=9, cold=False), start)
    calls = [name for name, count in log if count != "closed"]
    assert calls.count("define_by_run") == 1 + 3
    assert ("symgraph", 20_000) in log


def test_cores_of_others_are_counted():
    assert 0 <= busy_cores(0.05) <= (os.cpu_count() or 1) + 1
