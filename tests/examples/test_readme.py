"""The table of the README: a program for each step, commands that exist, output that is printed."""

import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
COMMAND = r"`(\w+)\.py` \| `python examples/(\w+)\.py([^`]*)` \| .+ \|$"
STEP = re.compile(r"^\| (\d+) \| [^|]+ \| " + COMMAND)
EXAMPLE = re.compile(r"^\| (\w+) \| " + COMMAND)
STEPS = [match.groups() for line in README.splitlines() if (match := STEP.match(line))]
LARGER = [match.groups() for line in README.splitlines() if (match := EXAMPLE.match(line))]


def test_each_of_the_sixty_steps_has_a_row():
    assert [int(number) for number, *_ in STEPS] == list(range(1, 61))


def test_each_of_the_larger_examples_has_a_row():
    expected = {"gan", "grad_cam", "mnist", "mnist_colab_gpu", "spiral", "style_transfer"}
    assert {name for name, *_ in LARGER} == expected | {"tanh", "vae"}


@pytest.mark.parametrize("row", [*STEPS, *LARGER], ids=lambda row: row[0])
def test_the_command_of_a_row_exists(row):
    _, program, called, options = row
    assert program == called
    source = (EXAMPLES / f"{program}.py").read_text(encoding="utf-8")
    for option in re.findall(r"--[\w-]+", options):
        assert f'parser.add_argument("{option}"' in source


def test_every_program_is_in_a_table_of_its_own_subject():
    listed = re.findall(r"^\| \[`(\w+)\.py`\]\(\1\.py\) \|", README, re.MULTILINE)
    programs = {path.stem for path in EXAMPLES.glob("*.py")} - {"plotting"}
    assert sorted(listed) == sorted(programs)
