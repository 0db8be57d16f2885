"""How the GPU suite measures and what it writes, with peers that are made up and no device."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.case import Settings
from benchmarks.cuda import clocks, command, device, measure
from benchmarks.cuda.device import Ceilings
from benchmarks.cuda.measure import Deadline, Measured, Skipped, measure_row
from benchmarks.cuda.networks import Elementwise
from benchmarks.cuda.page import Machine, page
from benchmarks.cuda.peers import OURS, PEERS, DevicePeer
from benchmarks.cuda.problem import SGD, DeviceRun, Problem, Sample
from benchmarks.cuda.problems import PROBLEMS

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(threads=1, device="cuda")
LATER = Deadline.after(1e6)
PROBLEM = Problem(
    "adding",
    "adding | and more",
    Elementwise(1000),
    None,
    tolerance=1e-3,
    least={"PyTorch eager": 2.0, "torch.compile": 10.0},
    least_bandwidth=0.5,
)


def _timed(nanoseconds):
    return lambda step, calls: Sample(nanoseconds, nanoseconds)


def _peer(name, value=1.0, nanoseconds=30e6, module="numpy"):
    def build(problem, settings):
        return DeviceRun(lambda: value, np.float32, _timed(nanoseconds))

    return DevicePeer(name, module, build)


def _failing(name, error):
    def build(problem, settings):
        raise error

    return DevicePeer(name, "numpy", build)


def _row(*peers, problem=PROBLEM, rounds=3, deadline=LATER):
    return measure_row(problem, peers, SETTINGS, rounds, deadline)


def test_peers_are_compared_with_the_first():
    result = _row(_peer(OURS), _peer("PyTorch eager", 1.0005, 90e6))
    ours, torch = result.outcomes
    assert result.reference == "PyTorch eager"
    assert (ours.device.median, ours.ratio, torch.ratio) == (30e6, 1.0, 3.0)
    assert torch.difference == 0.0
    assert ours.difference == pytest.approx(0.0005, rel=1e-3)


def test_a_peer_that_is_missing_fails_or_disagrees_is_left_out_with_its_reason(capsys):
    result = _row(
        _peer(OURS),
        _peer("elsewhere", module="no_such_module_at_all"),
        _failing("broken", ValueError("no such\nthing")),
        _peer("wrong", 1.5),
        _peer("undefined", float("nan")),
        _peer("unalike", np.ones(2)),
    )
    assert [outcome.peer for outcome in result.outcomes if isinstance(outcome, Measured)] == [OURS]
    reasons = {o.peer: o.reason for o in result.outcomes if isinstance(o, Skipped)}
    assert reasons["elsewhere"] == "no_such_module_at_all is not installed"
    assert reasons["broken"] == "ValueError: no such"
    assert reasons["wrong"].startswith("its results differ from those of symgraph by 0.5")
    assert "by nan" in reasons["undefined"]
    assert "by inf" in reasons["unalike"]
    assert "ValueError: no such" in capsys.readouterr().err


def test_a_peer_that_fails_while_it_is_timed_is_left_out(capsys):
    def build(problem, settings):
        calls = iter([1.0, 1.0, 1.0])
        return DeviceRun(lambda: next(calls), np.float32, clocks.wall_clock())

    result = _row(_peer(OURS), DevicePeer("tired", "numpy", build))
    assert result.measured(OURS)
    assert result.outcomes[1] == Skipped("tired", "StopIteration: ")
    assert "StopIteration" in capsys.readouterr().err


def test_nobody_at_all_may_be_there():
    result = _row(_peer(OURS, module="no_such_module_at_all"))
    assert result.reference is None
    assert result.measured(OURS) is None


def test_no_peer_is_begun_when_the_time_is_up():
    result = _row(_peer(OURS), deadline=Deadline.after(-1))
    assert result.outcomes == (Skipped(OURS, "the time of the run was used up"),)


def test_trained_rows_are_compared_over_several_steps():
    def build(problem, settings):
        count = iter(range(10**9))
        return DeviceRun(lambda: 1.0 + max(0, next(count) - 1), np.float32, _timed(1e9))

    trained = Problem("trained", "", Elementwise(4), SGD(0.1))
    result = _row(_peer(OURS), DevicePeer("late", "numpy", build), problem=trained)
    assert "differ" in result.outcomes[1].reason


def test_samples_fill_a_time_and_slow_peers_give_fewer():
    quick = DeviceRun(lambda: None, np.float32, lambda step, calls: Sample(1e3, 1e3))
    calls, most = measure._calls_per_sample(quick)
    assert calls == 20_000
    assert most == 200
    slow = DeviceRun(lambda: None, np.float32, _timed(10e9))
    assert measure._calls_per_sample(slow) == (1, measure.FEWEST_ROUNDS)


def test_rounds_begin_with_each_peer_in_turn():
    order = []

    def peer(name):
        def build(problem, settings):
            def timed(step, calls):
                order.append(name)
                return Sample(30e6, 30e6)

            return DeviceRun(lambda: 1.0, np.float32, timed)

        return DevicePeer(name, "numpy", build)

    _row(peer("a"), peer("b"), peer("c"), rounds=3)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"


def test_the_wall_clock_waits_for_the_last_result():
    waited = []
    timed = clocks.wall_clock(waited.append)
    sample = timed(lambda: time.sleep(0.001), 3)
    assert waited == [None]
    assert sample.device == sample.wall >= 1e6


def _events(milliseconds):
    """Return a stand-in for the modules whose events are used."""
    log = []

    class Event:
        def __init__(self, **options):
            pass

        def record(self):
            log.append("record")

        def synchronize(self):
            log.append("wait")

        def elapsed_time(self, other):
            return milliseconds

    idle = SimpleNamespace(synchronize=lambda: log.append("idle"))
    cuda = SimpleNamespace(
        Event=Event,
        Device=lambda: idle,
        synchronize=idle.synchronize,
        get_elapsed_time=lambda first, last: milliseconds,
    )
    return SimpleNamespace(cuda=cuda), log


@pytest.mark.parametrize("clock", [clocks.cupy_clock, clocks.torch_clock])
def test_events_stand_around_the_calls(clock):
    module, log = _events(6.0)
    sample = clock(module)(lambda: log.append("step"), 3)
    assert log == ["idle", "record", "step", "step", "step", "record", "wait"]
    assert sample.device == 2e6
    assert sample.wall > 0


def _machine():
    return Machine(
        {"device": "A fast one", "versions": {"numpy": "2"}}, Ceilings(1e12, 1e13), "now"
    )


def _text(*peers, machine=None, problem=PROBLEM):
    return page([_row(*peers, problem=problem)], machine, 3, "somebody")


def test_a_measured_page_has_times_ratios_floors_and_verdicts():
    text = _text(
        _peer(OURS, nanoseconds=20e6),
        _peer("PyTorch eager", nanoseconds=60e6),
        _peer("torch.compile", nanoseconds=20e6),
        _peer("JAX jit", module="no_such_module_at_all"),
        machine=_machine(),
    )
    assert "Measured on now." in text
    assert "* versions: numpy 2" in text
    assert "| `adding`: adding \\| and more | 20 ms |  | 60 ms, 3.00x | 20 ms, 1.00x |" in text
    assert "unmeasured [1]" in text
    assert "1. no_such_module_at_all is not installed" in text
    # 12 000 bytes at 1 TB/s.
    assert "0.012 MB, 1e-05 GFLOP: 12 ns | 1666666.67x |" in text
    assert "| `adding` | at most 0.5 times as long as PyTorch eager | 3.00x | met |" in text
    assert "| `adding` | at most 0.1 times as long as torch.compile | 1.00x | MISSED |" in text
    assert "| `adding` | at least 50% of the measured bandwidth | 0% | MISSED |" in text


def test_a_page_says_when_events_and_clock_contradict_each_other():
    def build(problem, settings):
        return DeviceRun(lambda: 1.0, np.float32, lambda step, calls: Sample(10e6, 40e6))

    assert "10 ms (by the host's clock 40 ms)" in _text(DevicePeer(OURS, "numpy", build))


def test_an_unmeasured_page_names_every_row_and_every_target():
    results = command.unmeasured([PROBLEM], PEERS, "it was night")
    text = page(results, None, 3, "somebody")
    assert text.count("unmeasured [1]") == len(PEERS)
    assert "Nothing here has been measured yet" in text
    assert "1. it was night" in text
    assert text.count("| unmeasured | open |") == 3


def test_the_page_of_the_project_has_all_rows():
    text = command.PAGE.read_text(encoding="utf-8")
    for problem in PROBLEMS:
        assert f"| `{problem.name}`: {problem.title} |" in text


def _options(**changes):
    given = {
        "only": None,
        "quick": False,
        "page": None,
        "unmeasured": None,
        "device": "cuda",
        "repeats": 2,
        "seconds": None,
        "threads": 1,
        "json": None,
    }
    return argparse.Namespace(**{**given, **changes})


def test_a_run_writes_page_and_record_and_goes_on_behind_a_failure(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "require_device", lambda name: None)
    monkeypatch.setattr(command, "describe_device", lambda cupy, name: {"device": "A fast one"})
    monkeypatch.setattr(command, "measure_ceilings", lambda cupy: Ceilings(1e12, 1e13))
    monkeypatch.setattr(command, "release_memory", lambda: None)
    paths = {"page": tmp_path / "new" / "page.md", "json": tmp_path / "new" / "run.json"}
    other = Problem("other", "Another one", Elementwise(10), None)
    peers = [_peer(OURS), _failing("broken", RuntimeError("it broke"))]
    status = command.run_on_device(_options(**paths), {"cores": 2}, [PROBLEM, other], peers)
    assert status == 0
    assert "RuntimeError: it broke" in capsys.readouterr().out
    text = paths["page"].read_text()
    assert "* device: A fast one\n* cores: 2\n" in text
    assert "`other`: Another one | 30 ms |" in text
    rows = json.loads(paths["json"].read_text())["rows"]
    assert [row["name"] for row in rows] == ["adding", "other"]
    assert rows[0]["peers"][1] == {"peer": "broken", "reason": "RuntimeError: it broke"}


def test_a_part_of_the_rows_leaves_the_page_of_the_project_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "PAGE", tmp_path / "page.md")
    options = _options(only=["adding"], unmeasured="")
    assert command.run_on_device(options, {}, [PROBLEM], PEERS) == 0
    assert not command.PAGE.exists()
    assert command.run_on_device(_options(unmeasured=""), {}, [PROBLEM], PEERS) == 0
    assert command.NO_DEVICE in command.PAGE.read_text()


def test_rows_are_chosen_by_name_and_for_quick_runs():
    names = [problem.name for problem in command.select_problems(PROBLEMS, None, quick=True)]
    assert {"mlp_small", "elementwise"} <= set(names) < {problem.name for problem in PROBLEMS}
    assert command.select_problems(PROBLEMS, ["mlp_big"], quick=True)[0].name == "mlp_big"
    with pytest.raises(SystemExit, match="no row is named 'walk'; there are mlp_small"):
        command.select_problems(PROBLEMS, ["walk"], quick=False)


def test_the_command_line_says_that_there_is_no_device():
    line = [sys.executable, "-m", "benchmarks", "run", "--device", "cuda:99", "--threads", "1"]
    finished = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == command.NO_DEVICE_STATUS
    assert finished.stderr.startswith("DeviceError: device 'cuda:99' ")
    assert finished.stderr.endswith("; nothing was measured\n")


def test_an_unknown_device_is_refused():
    line = [sys.executable, "-m", "benchmarks", "run", "--device", "tpu"]
    finished = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "tpu is neither cpu nor cuda" in finished.stderr


class _Cupy:
    """What the description and the ceilings ask of CuPy."""

    class uint8:
        pass

    def __init__(self, count=1):
        module, _ = _events(0.5)
        properties = {"name": b"A fast one", "major": 9, "minor": 0}
        properties |= {"multiProcessorCount": 132, "totalGlobalMem": 2**37}
        runtime = SimpleNamespace(
            CUDARuntimeError=RuntimeError,
            getDeviceCount=lambda: count,
            getDeviceProperties=lambda index: properties,
            driverGetVersion=lambda: 13000,
            runtimeGetVersion=lambda: 12090,
        )
        self.cuda = SimpleNamespace(**vars(module.cuda), runtime=runtime)
        self.float32, self.uint8 = np.float32, np.uint8
        self.random = SimpleNamespace(
            default_rng=lambda seed: SimpleNamespace(random=lambda shape, dtype: None)
        )
        self.zeros = self.empty_like = self.copyto = lambda *_, **__: None
        self.matmul = lambda x, y, out: None


def test_the_device_is_described(monkeypatch):
    monkeypatch.setattr(device, "_driver", lambda name: "999.1")
    assert device.describe_device(_Cupy(), "cuda") == {
        "device": "A fast one",
        "compute capability": "9.0",
        "multiprocessors": 132,
        "memory": "128.0 GiB",
        "driver": "999.1",
        "CUDA of the driver": "13.0",
        "CUDA runtime of CuPy": "12.9",
    }


def test_ceilings_are_rates():
    found = device.measure_ceilings(_Cupy())
    assert found.bandwidth == 2 * 2**30 / 0.0005
    assert found.operations == 2 * 8192**3 / 0.0005
    assert found.nanoseconds(int(found.bandwidth), 0) == pytest.approx(1e9)


def test_memory_is_given_back_between_rows(monkeypatch):
    done = []
    pool = SimpleNamespace(free_all_blocks=lambda: done.append("free"))
    cupy = SimpleNamespace(
        get_default_memory_pool=lambda: pool, get_default_pinned_memory_pool=lambda: pool
    )
    cuda = SimpleNamespace(is_available=lambda: True, empty_cache=lambda: done.append("empty"))
    compiler = SimpleNamespace(reset=lambda: done.append("reset"))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, compiler=compiler))
    device.release_memory()
    assert done == ["reset", "empty", "free", "free"]


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", _Cupy(count=1))
    assert device.require_device("cuda") is sys.modules["cupy"]
    with pytest.raises(device.NoDeviceError, match="'cuda:1' is not there: the machine has 1"):
        device.require_device("cuda:1")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(device.NoDeviceError, match="needs CuPy, which cannot be loaded"):
        device.require_device("cuda")
