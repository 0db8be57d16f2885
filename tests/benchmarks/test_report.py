"""Tables, records and charts of results that are made up."""

import argparse
import json

import numpy as np
import pytest

from benchmarks import commands, report
from benchmarks.case import Case, Peer, Run
from benchmarks.chart import draw_chart
from benchmarks.measure import CaseTimes, PeerTime, Spread


def _build(settings):
    return Run(lambda: None, lambda _: {"y": np.zeros(2)})


PEERS = tuple(Peer(name, "numpy", _build) for name in ("symgraph", "numpy", "torch"))
CASE = Case("chain", "A chain: of operations", PEERS, 1e-5, bars={"numpy": 5.0, "torch": 2.0})
RESULT = CaseTimes(
    CASE,
    (
        PeerTime("symgraph", Spread(9.0, 10.0, 11.0), Spread(1.0, 1.0, 1.0)),
        PeerTime("numpy", Spread(60.0, 61.25, 1200.0), Spread(5.9, 6.125, 100.0)),
        PeerTime("torch", Spread(4.0, 5.0, 6.0), Spread(0.4, 0.5, 0.6)),
    ),
    ("dezero",),
)


def test_the_table_shows_medians_ratios_bars_and_absent_peers():
    assert report.times_table([RESULT]).splitlines() == [
        "A chain: of operations",
        "peer             median              IQR  x symgraph            bar",
        "symgraph          10 us    9 us .. 11 us        1.00",
        "numpy           61.2 us  60 us .. 1.2 ms        6.12     met (>= 5)",
        "torch              5 us     4 us .. 6 us        0.50  MISSED (>= 2)",
        "dezero    not installed",
    ]


def test_the_record_survives_json():
    (record,) = json.loads(json.dumps(report.times_record([RESULT])))
    assert record["name"] == "chain"
    assert record["absent"] == ["dezero"]
    assert record["peers"][1] == {
        "peer": "numpy",
        "microseconds": {"lower": 60.0, "median": 61.25, "upper": 1200.0},
        "ratio": {"lower": 5.9, "median": 6.125, "upper": 100.0},
        "bar": 5.0,
    }


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0.5, "0.5 ns"), (12.0, "12 ns"), (1234.0, "1.23 us"), (5e6, "5 ms"), (2.5e9, "2.5 s")],
)
def test_times_have_a_unit_that_suits_them(nanoseconds, text):
    assert report.time_text(nanoseconds) == text


def test_spreads_are_shown_and_recorded_by_name():
    results = {"a call": Spread(1000.0, 2000.0, 3000.0)}
    assert report.spreads_table(results).splitlines() == [
        "what    median           IQR",
        "a call    2 us  1 us .. 3 us",
    ]
    assert report.spreads_record(results) == {
        "a call": {"lower": 1000.0, "median": 2000.0, "upper": 3000.0}
    }


def test_ratios_are_shown_by_name():
    assert report.ratios_table({"long to short": Spread(0.99, 1.004, 1.1)}).splitlines() == [
        "ratio          median           IQR",
        "long to short    1.00  0.99 .. 1.10",
    ]


def test_the_chart_is_a_png_file_in_a_new_folder(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "new" / "chart.png"
    draw_chart([RESULT, RESULT], path, "some machine")
    assert path.read_bytes().startswith(b"\x89PNG")


def _options(tmp_path, **changes):
    options = {
        "only": None,
        "threads": 1,
        "device": "cpu",
        "repeats": 2,
        "json": tmp_path / "run.json",
        "png": None,
    }
    return argparse.Namespace(**{**options, **changes})


def test_a_run_prints_and_writes_what_was_asked_for(tmp_path, capsys):
    machine = {"processor": "some", "threads": 1}
    options = _options(tmp_path, only=["chain"])
    commands.run_cases(options, machine, [CASE])
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["machine"] == machine
    assert record["repeats"] == 2
    assert [peer["peer"] for peer in record["cases"][0]["peers"]] == ["symgraph", "numpy", "torch"]
    assert "A chain: of operations" in capsys.readouterr().out


def test_a_part_of_the_cases_writes_nothing_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "RESULTS", tmp_path / "results")
    commands.run_cases(_options(tmp_path, only=["chain"], json=None), {}, [CASE])
    assert list(tmp_path.iterdir()) == []


def test_all_cases_write_a_record_and_a_chart(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(commands, "RESULTS", tmp_path / "results")
    machine = {"processor": "some", "threads": 1}
    commands.run_cases(_options(tmp_path, json=None), machine, [CASE])
    written = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert written == ["cases.json", "cases.png"]


def test_a_case_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(SystemExit, match="no case is named 'nothing'; there are chain"):
        commands.select_cases([CASE], ["nothing"])


@pytest.mark.parametrize("tasks", [None, ["compile_length"]])
def test_fresh_processes_are_recorded_as_a_whole(tmp_path, monkeypatch, capsys, tasks):
    monkeypatch.setattr(commands, "RESULTS", tmp_path)
    first = {"first result": Spread(1.0, 2.0, 3.0)}
    length = {"a loop": Spread(4.0, 5.0, 6.0)}, {"long to short": Spread(1.0, 1.25, 1.5)}
    monkeypatch.setattr(commands, "measure_startup", lambda repeats: first)
    monkeypatch.setattr(commands, "measure_compile_length", lambda repeats: length)
    commands.run_startup(argparse.Namespace(tasks=tasks, json=None, repeats=2), {})
    printed = capsys.readouterr().out
    assert "1.25" in printed
    assert ("first result" in printed) == (tasks is None)
    path = tmp_path / "startup.json"
    assert path.exists() == (tasks is None)
    if tasks is None:
        record = json.loads(path.read_text())
        assert list(record["nanoseconds"]) == ["first result", "a loop"]
        assert record["ratios"] == {"long to short": {"lower": 1.0, "median": 1.25, "upper": 1.5}}
