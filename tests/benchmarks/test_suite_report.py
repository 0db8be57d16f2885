"""Tables, records, pages and commands of the suite, on results that are made up."""

import argparse
import json
from dataclasses import replace

import pytest

from benchmarks import __main__ as program
from benchmarks.measure import Spread
from benchmarks.suite import command
from benchmarks.suite.charts import draw_growth, draw_ratios
from benchmarks.suite.measure import Entry, Row
from benchmarks.suite.page import page_text
from benchmarks.suite.peaks import Peaks
from benchmarks.suite.results import Results, record_of, results_of, verdict
from benchmarks.suite.tables import HEAD, row_page, row_text, summary_cells
from benchmarks.suite.workloads import WORKLOADS

PEAKS = Peaks(500e9, 20e9)
MACHINE = {
    "processor": "some",
    "threads": 2,
    "system": "Linux",
    "python": "3.11",
    "versions": {"numpy": "2"},
    "date": "2020-01-02",
}


def _entry(peer, milliseconds, kept=False, void=None):
    step = Spread(milliseconds * 0.9e6, milliseconds * 1e6, milliseconds * 1.2e6)
    return Entry(peer, kept, step, None if kept else 1.5e9, 2e8, 1e8, 50_000_000, void)


ROW = Row(
    WORKLOADS[1],
    (
        _entry("symgraph", 1.0),
        _entry("define_by_run", 3.0),
        _entry("torch", 1.2),
        _entry("torch", 0.8, kept=True),
        _entry("jax", 0.1, void="its first steps differ"),
    ),
    {"pytensor": "pytensor is not installed"},
    busy=0.05,
)
RESULTS = Results(MACHINE, PEAKS, (ROW,))


def test_a_row_shows_times_ratios_and_what_is_void_or_missing():
    lines = row_text(ROW, PEAKS).splitlines()
    assert lines[0] == "MLP 784-512-10, batch 128, RMSProp"
    assert lines[1].split() == " ".join(HEAD).split()
    ours, _, torch, kept, jax, missing = (line.split() for line in lines[2:8])
    assert ours[:7] == ["symgraph", "1", "ms", "900", "us", "..", "1.2"]
    assert "0.83" in ours
    assert "1.00" in torch
    assert kept[:3] == ["torch,", "memory", "kept"]
    assert jax[:2] == ["jax", "void"]
    assert missing == ["pytensor", "not", "run"]
    assert lines[8:] == [
        "symgraph is 1.20 times as fast as torch, the best peer (goal 1.3: MISSED)",
        "0.80 times as fast as torch, memory kept: BEHIND",
        "jax is void: its first steps differ",
        "pytensor: pytensor is not installed",
    ]


def test_a_busy_machine_is_warned_of():
    busy = replace(ROW, busy=0.9)
    assert "WARNING: 0.90 cores were busy" in row_text(busy, PEAKS)
    page = page_text(replace(RESULTS, rows=(busy,)), None, "", "a.png")
    assert "**WARNING: up to 0.90 cores were busy" in page


def test_rates_are_given_in_parts_of_the_peaks():
    operations = ROW.workload.floor().operations
    assert f"{operations / 1e-3 / 1e9:.3g} ({operations / 1e-3 / 500e9:.0%})" in row_page(
        ROW, PEAKS
    )


def test_a_void_symgraph_has_no_verdict():
    void = (replace(ROW.entries[0], void="wrong"), *ROW.entries[1:])
    assert verdict(replace(ROW, entries=void), kept=False) is None
    lines = summary_cells(replace(RESULTS, rows=(replace(ROW, entries=void),)))
    assert lines[1][:3] == ("mlp_mnist", "void", "")


def test_results_survive_json():
    assert results_of(json.loads(json.dumps(record_of(RESULTS)))) == RESULTS


def test_the_page_names_machine_date_and_ratios():
    page = page_text(RESULTS, None, "## Cases\n", "results/suite.png")
    assert "2020-01-02; some, 2 threads, Linux, Python 3.11; numpy 2." in page
    assert "| mlp_mnist | 1 ms | torch 1.2 ms | 1.20 | 1.3 | torch 800 us | 0.80 |" in page
    assert "Geometric mean over the best peers: 1.20 (goal 1.6)." in page
    assert page.endswith("## Cases\n")
    empty = page_text(None, None, "", "a.png")
    assert "have not been measured" in empty
    assert "Not measured yet" in empty


def test_the_charts_are_png_files(tmp_path):
    pytest.importorskip("matplotlib")
    draw_ratios(RESULTS, tmp_path / "new" / "a.png")
    curves = {"by batch": {"symgraph": [[1, 2e6], [4, 3e6]], "jax": []}}
    draw_growth({"curves": curves}, tmp_path / "b.png")
    for path in (tmp_path / "new" / "a.png", tmp_path / "b.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def _options(arguments):
    return program._parser().parse_args(arguments)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(command, "_LOOK_SECONDS", 0.02)
    return tmp_path


def _measure(asked):
    def measure(workload, peers, plan):
        asked.append((workload.name, [peer.name for peer in peers], plan))
        return replace(ROW, workload=workload)

    return measure


def _run(arguments, asked):
    return command.run_suite(_options(arguments), MACHINE, _measure(asked), lambda threads: PEAKS)


def test_a_part_writes_only_what_was_asked_for(folder, capsys):
    asked = []
    path = folder / "part.json"
    arguments = "run --workloads hvp mlp_small --peers symgraph jax --repeat 3 --plain --json"
    assert _run([*arguments.split(), str(path)], asked) == 0
    names, plans = [one[:2] for one in asked], [one[2] for one in asked]
    assert names == [("mlp_small", ["symgraph", "jax"]), ("hvp", ["symgraph", "jax"])]
    assert plans[0].rounds == 3
    assert not plans[0].kept
    assert [one.name for one in folder.iterdir()] == ["part.json"]
    assert "1.20" in capsys.readouterr().out


def test_a_quick_run_has_some_workloads_and_writes_nothing(folder):
    asked = []
    _run(["run", "--quick"], asked)
    assert {"mlp_small", "cond_loop"} <= {name for name, _, _ in asked}
    assert "lstm_big" not in {name for name, _, _ in asked}
    assert list(folder.iterdir()) == []


def test_a_whole_run_writes_record_chart_and_page(folder):
    pytest.importorskip("matplotlib")
    asked = []
    _run(["run"], asked)
    assert [name for name, _, _ in asked] == [workload.name for workload in WORKLOADS]
    written = sorted(path.name for path in (folder / "results").iterdir())
    assert written == ["suite.json", "suite.png"]
    assert "Geometric mean" in (folder / "RESULTS.md").read_text()


def test_growth_draws_curves_of_batch_and_steps(folder):
    pytest.importorskip("matplotlib")
    asked = []
    command.run_growth(_options(["growth"]), MACHINE, _measure(asked))
    names = [name for name, _, _ in asked]
    assert {"mlp_mnist@1", "mlp_mnist@4096", "lstm_sine@8", "lstm_sine@1024"} <= set(names)
    record = json.loads((folder / "results" / "growth.json").read_text())
    assert record["curves"]["mlp_mnist, by batch"]["torch"][0][0] == 1
    assert "growth.png" in (folder / "RESULTS.md").read_text()


@pytest.mark.parametrize("what", ["workload", "peer"])
def test_an_unknown_name_is_refused_with_those_that_there_are(folder, what):
    options = argparse.Namespace(workloads=None, peers=None, quick=False, threads=1)
    setattr(options, f"{what}s", ["nothing"])
    with pytest.raises(SystemExit, match=f"no {what} is named 'nothing'; there are "):
        command.run_suite(options, MACHINE)
