"""Every installed peer of every case computes the same; the probe of fresh processes works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.case import Settings
from benchmarks.cases import CASES
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
    command = [sys.executable, "-m", "benchmarks", "run", "--only", "goldstein_price"]
    options = ["--repeats", "2", "--threads", "1", "--json", str(path)]
    finished = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Goldstein-Price" in finished.stdout
    assert json.loads(path.read_text())["machine"]["threads"] == 1
