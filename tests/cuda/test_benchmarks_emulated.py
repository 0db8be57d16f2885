"""The GPU suite of the benchmarks from end to end, small, on an emulated GPU."""

import argparse
from functools import partial

import numpy as np

from benchmarks.cuda import command, with_cupy, with_symgraph
from benchmarks.cuda.device import Ceilings
from benchmarks.cuda.peers import OURS, DevicePeer
from tests.benchmarks.small_problems import PROBLEMS_MADE_SMALL

SOME = [p for p in PROBLEMS_MADE_SMALL if p.name in ("mlp_mnist", "elementwise")]
OPTIONS = argparse.Namespace(
    only=None, quick=False, unmeasured=None, device="cuda", repeats=1, seconds=None, threads=1
)


def test_a_run_measures_what_can_run_and_says_why_the_rest_cannot(cuda, monkeypatch, tmp_path):
    described = {"device": "an emulated one"}
    monkeypatch.setattr(command, "describe_device", lambda cupy, name: described)
    monkeypatch.setattr(command, "measure_ceilings", lambda cupy: Ceilings(1e12, 1e13))
    monkeypatch.setattr(command, "release_memory", lambda: None)
    # Emulated kernels are slow: a sample is one call.
    monkeypatch.setattr("benchmarks.cuda.measure.SAMPLE_NANOSECONDS", 1)
    peers = [
        DevicePeer(OURS, "cupy", with_symgraph.build_on_device),
        DevicePeer("symgraph, NumPy", "cupy", with_symgraph.build_from_host),
        DevicePeer("CuPy op by op", "numpy", _twin_on_the_host),
        DevicePeer("PyTorch eager", "cupy", partial(_failing, "no GPU for PyTorch")),
        DevicePeer("JAX jit", "no_such_module_at_all", partial(_failing, "never built")),
    ]
    options = argparse.Namespace(
        **vars(OPTIONS), page=tmp_path / "page.md", json=tmp_path / "run.json"
    )
    assert command.run_on_device(options, {"cores": 1}, SOME, peers) == 0
    text = options.page.read_text()
    assert "* device: an emulated one" in text
    rows = [line for line in text.splitlines() if line.startswith("| `") and ": " in line]
    # All that could be built was measured: what disagrees would be left out.
    assert len([row for row in rows if row.count("unmeasured [") == 2]) == len(SOME), text
    assert "RuntimeError: no GPU for PyTorch" in text
    assert "no_such_module_at_all is not installed" in text


def _twin_on_the_host(problem, settings):
    return with_cupy.build_with(problem, np)


def _failing(reason, problem, settings):
    raise RuntimeError(reason)
