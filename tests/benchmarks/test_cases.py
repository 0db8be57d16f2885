"""Every installed peer of every case computes the same; the probe of fresh processes works."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from benchmarks.case import Settings
from benchmarks.cases import CASES, lstm_problem
from benchmarks.compile_length import measure_compile_length
from benchmarks.measure import check_agreement
from benchmarks.overhead import measure_overhead
from benchmarks.startup import measure_startup

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(threads=1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
# Peers warn about their own age: DeZero's sources hold invalid escapes.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_all_installed_peers_agree(case):
    runs = {peer.name: peer.build(SETTINGS) for peer in case.peers if peer.installed}
    assert {"symgraph", "define_by_run"} <= set(runs)
    check_agreement(case, runs)


def test_names_of_cases_are_unique_and_bars_name_peers():
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert set(case.bars) <= {peer.name for peer in case.peers}


def test_the_curve_of_the_lstm_is_that_of_the_data_set():
    rng = np.random.RandomState(0)
    batches = sg.data.SeqDataLoader(sg.data.SinCurve(rng=rng), lstm_problem.ROWS)
    x, t = (np.stack(part).astype("float32") for part in zip(*batches, strict=True))
    pieces = lstm_problem.pieces()
    assert [len(piece) for piece, _ in pieces] == [30, 4]
    np.testing.assert_array_equal(np.concatenate([piece for piece, _ in pieces]), x)
    np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces]), t)


def test_the_first_epoch_of_the_lstm_has_the_loss_that_dezero_is_known_for():
    (case,) = (case for case in CASES if case.name == "lstm_sine")
    run = case.peers[0].build(SETTINGS)
    assert run.read(run.step())["loss"] / 34 == pytest.approx(0.483028, abs=1e-6)


def test_the_compilation_of_a_loop_is_timed_by_its_length():
    times, ratios = measure_compile_length(repeats=1)
    (ratio,) = (ratio.median for ratio in ratios.values())
    short, long = (time.median for time in times.values())
    assert ratio == long / short
    # What holds on an idle machine is 1.2; a loop that was unrolled would take a hundred times.
    assert ratio < 5


def test_fresh_processes_are_timed():
    results = measure_startup(repeats=1)
    floor, compiling, cold, warm = (time.median for time in results.values())
    assert 0 < floor < cold
    assert 0 < compiling < cold
    assert floor < warm < cold


def test_calls_and_instructions_are_timed():
    python, call, instruction = (time.median for time in measure_overhead(repeats=3).values())
    assert 0 < python < call
    assert 0 < instruction < call


def test_the_command_line_runs_a_case(tmp_path):
    path = tmp_path / "run.json"
    command = [sys.executable, "-m", "benchmarks", "cases", "--only", "goldstein_price"]
    options = ["--repeats", "2", "--threads", "1", "--json", str(path)]
    finished = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Goldstein-Price" in finished.stdout
    assert json.loads(path.read_text())["machine"]["threads"] == 1
