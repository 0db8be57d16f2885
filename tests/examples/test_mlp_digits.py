"""The main example: a network that learns to read digits, on this machine, within seconds."""

import importlib.util
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg

PATH = Path(__file__).parents[2] / "examples" / "mlp_digits.py"


@pytest.fixture
def example(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("mlp_digits", PATH)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mlp_digits", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "OUTPUT", tmp_path / "output" / "curves.png")
    return module


def test_it_reads_97_percent_of_unseen_digits_within_ten_seconds(example, capsys):
    started = time.perf_counter()
    accuracy = example.main([])
    seconds = time.perf_counter() - started
    assert accuracy >= 0.97
    assert seconds < 10
    printed = capsys.readouterr()
    assert re.search(r"held-out accuracy\s+9[789]\.\d\d%\s+\(360 digits\)", printed.out)
    assert re.search(r"compilations\s+1\b", printed.out)
    assert re.search(r"100%.*1800/1800.*held_out=9", printed.err)
    picture = example.OUTPUT.read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 20_000


def test_a_seed_repeats_the_run(example, capsys):
    options = ["--epochs", "2", "--batch", "50", "--seed", "3"]
    assert example.main(options) == example.main(options)
    assert "58 steps of 50" in capsys.readouterr().out


def test_the_step_is_one_call_of_compiled_code(example):
    step, evaluate = example.build(0)
    x, t = sg.data.digits()
    before = [float(value) for value in evaluate(x=x, t=t)]
    first = [float(value) for value in step(x=x, t=t)]
    after = [float(value) for value in evaluate(x=x, t=t)]
    assert first == pytest.approx(before)  # outputs come from the values before the update
    assert after[0] < before[0]
    for rows in (1, 7, 8, 64, 0):
        step(x=x[:rows], t=t[:rows])
    assert step.compile_count == evaluate.compile_count == 1
    assert "commit" in step.explain()


def test_a_label_out_of_range_stops_the_step(example):
    step, _ = example.build(0)
    with pytest.raises(sg.BoundsError, match=r"mlp_digits.py:\d+(?s:.*)no parameter was changed"):
        step(x=np.zeros((2, 64), "float32"), t=np.array([0, 10]))


@pytest.mark.parametrize("option", ["--epochs", "--batch"])
def test_bad_options_are_explained(example, option, capsys):
    with pytest.raises(SystemExit, match="2"):
        example.main([option, "0"])
    assert "epochs and batch are at least 1" in capsys.readouterr().err
