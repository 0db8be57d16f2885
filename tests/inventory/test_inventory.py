"""The table of the feature inventory is complete: every row has tests, and they exist."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.inventory.row import Row, covers, row
from tests.inventory.rows import ROWS, SECTIONS
from tests.inventory.rows.ported import METHODS, counterparts
from tests.inventory.rows.programs import COUNTERPARTS
from tests.inventory.table import (
    Recorder,
    chosen,
    found_for,
    lines_of,
    report,
    result_of,
    stale_patterns,
)

ROOT = Path(__file__).parents[2]


def _whole_suite_was_collected(session):
    """Return whether pytest was asked for all tests, and left none out."""
    options = session.config.option
    return not (options.keyword or options.markexpr or options.deselect) and all(
        Path(argument).resolve() == ROOT / "tests" for argument in session.config.args
    )


def test_every_row_has_a_test(request):
    if _whole_suite_was_collected(request.session):
        items = request.session.items
        found = found_for(items, ROWS)
        assert not [number for number, tests in found.items() if not tests]
        assert not stale_patterns((item.nodeid for item in items), ROWS)
        assert not set(found) - set(ROWS)
        return
    command = [sys.executable, "-m", "tests.inventory", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = listed.stdout.splitlines()
    poor = [line for line in lines if {"missing", "stale:"} & set(line.split()[:2])]
    assert listed.returncode == 0, "\n".join(poor) or listed.stderr


def test_numbers_are_unique_and_sections_complete():
    numbers = [entry.number for section in SECTIONS for entry in section]
    assert len(numbers) == len(set(numbers))
    assert {number[0] for number in numbers} == set("ABCDEFGHIJKLMNOPQRSTUV")
    assert {f"A{i}" for i in range(1, 21)} <= ROWS.keys()
    assert {f"D{i}" for i in range(1, 15)} <= ROWS.keys()
    assert {f"S.step{i:02}" for i in range(1, 61)} <= ROWS.keys()
    assert all(entry.what and entry.value for entry in ROWS.values())


def test_all_172_methods_of_dezeros_tests_have_a_counterpart():
    assert len(METHODS) == 22
    assert sum(len(counterparts(module)) for module in METHODS) == 172
    assert all(ROWS[f"T.{module}"].tests[: len(counterparts(module))] for module in METHODS)


@pytest.mark.inventory("S.readme")
def test_each_of_the_60_steps_has_a_program_with_a_command_and_its_output():
    assert list(COUNTERPARTS) == list(range(1, 61))
    for found in COUNTERPARTS.values():
        assert (ROOT / "examples" / f"{found.program}.py").is_file()
        assert found.command.startswith(f"python examples/{found.program}.py")
        assert found.expected


# How the table is made, on a small one.


class _Item:
    def __init__(self, nodeid, *numbers):
        self.nodeid = nodeid
        self._marks = [pytest.mark.inventory(*numbers).mark] if numbers else []

    def iter_markers(self, name):
        return [mark for mark in self._marks if mark.name == name]


SMALL = {
    entry.number: entry
    for entry in (
        row("X1", "by a pattern", "1", "test_a.py::test_one"),
        row("X2", "by a case", "2", "test_a.py::test_two[b]", "test_a.py::test_two[c*"),
        row("X3", "by a marker", "3"),
        row("X4", "by a file", "4", "test_b.py"),
        row("X12", "of nothing", "5", needs="a GPU"),
    )
}
ITEMS = [
    _Item("tests/test_a.py::test_one[x]"),
    _Item("tests/test_a.py::test_one[y]"),
    _Item("tests/test_a.py::test_two[a]"),
    _Item("tests/test_a.py::test_two[b]"),
    _Item("tests/test_a.py::test_two[c-1]"),
    _Item("tests/test_c.py::test_three", "X3", "X1"),
    _Item("tests/test_b.py::TestB::test_four"),
]


def test_rows_find_their_tests():
    found = found_for(ITEMS, SMALL)
    assert {number: len(tests) for number, tests in found.items()} == {
        "X1": 3,
        "X2": 2,
        "X3": 1,
        "X4": 1,
        "X12": 0,
    }
    assert found["X2"] == ["tests/test_a.py::test_two[b]", "tests/test_a.py::test_two[c-1]"]


def test_a_pattern_without_a_test_is_stale():
    names = [item.nodeid for item in ITEMS]
    assert stale_patterns(names, SMALL) == []
    gone = {"X5": row("X5", "w", "v", "test_a.py::test_o", "test_a.py::test_two[d]", "test_z.py")}
    assert stale_patterns(names, gone) == [
        "X5: tests/test_a.py::test_o",
        "X5: tests/test_a.py::test_two[d]",
        "X5: tests/test_z.py",
    ]


def test_a_row_is_as_good_as_its_worst_test():
    results = {"a": "pass", "b": "fail", "c": "skip"}
    assert result_of([], results) == "missing"
    assert result_of(["a", "c"], results) == "pass"
    assert result_of(["a", "b", "c"], results) == "fail"
    assert result_of(["c"], results) == "skip"
    assert result_of(["a", "never ran"], results) == "fail"


def test_the_lines_of_a_row():
    tests = ["t.py::f[1]", "t.py::f[2]", "t.py::g"]
    results = {"t.py::f[1]": "pass", "t.py::f[2]": "pass", "t.py::g": "skip"}
    assert [line.split() for line in lines_of(SMALL["X1"], tests, results)] == [
        ["X1", "pass", "by", "a", "pattern", "->", "1"],
        ["pass:", "t.py::f", "(2", "cases)"],
        ["skip:", "t.py::g"],
    ]
    (first, *_) = lines_of(SMALL["X12"], ["t.py::g"], results)
    assert "skipped, needs a GPU" in first
    (first, *_) = lines_of(SMALL["X3"], ["t.py::g"], results)
    assert "fail: every test was skipped" in first


def test_rows_are_chosen_by_section_or_number():
    assert list(chosen(["A1"])) == ["A1"]
    assert set(chosen(["D.step4", "D5"])) == {"D5"}
    assert set(chosen(["D.step"])) == {f"D.step{i}" for i in range(42, 54)}
    assert all(number.startswith("V") for number in chosen(["V"]))
    assert chosen([]) == ROWS
    assert covers("tests/a.py::f", "tests/a.py::f[1]")
    assert not covers("tests/a.py::f", "tests/a.py::ff")


def test_tests_that_belong_to_no_row_are_left_out():
    class Hook:
        def pytest_deselected(self, items):
            self.left_out = [item.nodeid for item in items]

    class Config:
        hook = Hook()

    items = list(ITEMS)
    recorder = Recorder({"X2": Row("X2", "w", "v", ("test_a.py::test_two[b]",))})
    recorder.pytest_collection_modifyitems(Config(), items)
    assert [item.nodeid for item in items] == ["tests/test_a.py::test_two[b]"]
    assert len(Config.hook.left_out) == len(ITEMS) - 1
    unknown = {f"{number}: no such row, but a test names it" for number in ("X1", "X2", "X3")}
    assert set(recorder.stale) == unknown


def test_the_script_says_that_listed_tests_were_not_run(capsys):
    recorder = Recorder({"X2": Row("X2", "w", "v", ("test_a.py::test_two[b]",))})
    recorder.tests = {"X2": ["tests/test_a.py::test_two[b]"]}
    assert report(recorder, executed=False) == 0
    first, test, _, summary = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["X2", "not", "run"]
    assert test.strip() == "not run: tests/test_a.py::test_two[b]"
    listed = "(tests are only listed; leave --list out to run them)"
    assert summary == f"1 rows: 1 not run, 0 missing, 0 stale {listed}"


def test_the_script_runs_the_tests_of_a_row_and_prints_them():
    code = (
        "import sys; from tests.inventory.table import main;"
        "sys.exit(main(sys.argv[1:], ['tests/test_inventory_concepts.py']))"
    )
    command = [sys.executable, "-c", code, "A20", "A16"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    *_, first, test, second, below, blank, summary = ran.stdout.splitlines()
    assert first.split()[:2] == ["A16", "pass"]
    assert test.strip() == "pass: tests/test_inventory_concepts.py::test_row (2 cases)"
    assert second.split()[:2] == ["A20", "pass"]
    assert below.strip() == "pass: tests/test_inventory_concepts.py::test_row[A20]"
    assert (blank, summary) == ("", "2 rows: 2 pass, 0 fail, 0 missing, 0 skip, 0 stale")
    command = [sys.executable, "-m", "tests.inventory", "no-such-row"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, "no row is called no-such-row\n")
