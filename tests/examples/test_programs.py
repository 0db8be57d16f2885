"""The small examples run as a user runs them, and print what their descriptions say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What each program prints, among other things.
PRINTED = {
    "contract": ["array(7)  (int64", "array([3., 3., 3., 3., 3., 3., 3., 3., 3., 3.])"],
    "derivatives": [
        "order 8  -277.0621356",
        "1876, derivatives -5376 and 8064",
        "  1.454545454545",
        "  1.000000000002289\n  1\n",
    ],
    "branches": ["y=5  gradients 1, 1", "y=6  gradients 3, 2", "[0.25 0.   0.  ]"],
    "pictures": ["graph.", "kernels.", "commit", "batch_matmul"],
}


def test_no_example_is_left_out():
    found = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert found == {*PRINTED, "mlp_digits"}


@pytest.mark.parametrize("name", PRINTED)
def test_the_example_runs(name):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert finished.returncode == 0, finished.stderr
    for line in PRINTED[name]:
        assert line in finished.stdout
