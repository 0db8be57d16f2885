"""The timing of fresh processes, with a probe whose times are known."""

import subprocess

import pytest

from benchmarks.compile_length import measure_compile_length
from benchmarks.startup import measure_startup

PROBE = """
import json, os, pathlib, sys, time
cache = pathlib.Path(os.environ["SYMGRAPH_CACHE_DIR"], "entry")
cold = sys.argv[1] == "symgraph" and not cache.exists()
if sys.argv[1] == "symgraph":
    cache.touch()
time.sleep(0.3 if cold else 0.0)
print(json.dumps({"compile": 300 if cold else 3, "finished": time.monotonic_ns()}))
"""


def test_each_round_starts_with_an_empty_cache(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    results = measure_startup(repeats=2, probe=probe)
    floor, compiling, cold, warm = results.values()
    assert (compiling.lower, compiling.upper) == (300, 300)
    assert cold.lower > 3e8
    assert floor.lower > 0
    assert warm.median < cold.median


def test_a_probe_that_fails_is_not_timed(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text("raise SystemExit(3)")
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        measure_startup(repeats=1, probe=probe)


LENGTH_PROBE = """
import json, os, pathlib, sys, time
cache = pathlib.Path(os.environ["SYMGRAPH_CACHE_DIR"], "entry")
assert not cache.exists()
cache.touch()
log = pathlib.Path(__file__).with_name("log")
log.write_text((log.read_text() if log.exists() else "") + sys.argv[1] + " ")
print(json.dumps({"compile": {"10": 200, "1000": 220}[sys.argv[1]], "finished": 0}))
"""


def test_lengths_take_turns_and_each_process_has_an_empty_cache(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(LENGTH_PROBE)
    times, ratios = measure_compile_length(repeats=3, probe=probe)
    assert (tmp_path / "log").read_text().split() == ["10", "1000", "1000", "10", "10", "1000"]
    assert [time.median for time in times.values()] == [200, 220]
    assert [ratio.median for ratio in ratios.values()] == [1.1]
