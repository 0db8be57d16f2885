"""One row of the feature inventory, and how a row names its tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """Something that the source documents ask for.

    Args:
        number: the section's letter and the place in it: `A1`, `B.Add`, `D.step42`.
        what: the demand, in one line.
        value: what must come out.
        tests: the tests that show it, below `tests/`: `folder/test_file.py` stands for all of a
            file, `...::test_name` for all cases of a test, `...::test_name[case]` for one of them,
            and `...::test_name[case*` for those whose name begins so. Tests may also name rows:
            `@pytest.mark.inventory("A1")`.
        needs: what a machine may lack, so that the tests may be skipped there; empty for nothing.
    """

    number: str
    what: str
    value: str
    tests: tuple[str, ...] = ()
    needs: str = ""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Return the tests as pytest names them, from the root of the repository."""
        return tuple(f"tests/{test}" for test in self.tests)


def row(number: str, what: str, value: str, *tests: str, needs: str = "") -> Row:
    return Row(number, what, value, tests, needs)


def file_of(test: str) -> str:
    """Return the file of a test, or of a pattern."""
    return test.partition("::")[0]


def function_of(test: str) -> str:
    """Return the name of a test, or of a pattern, without the case in brackets."""
    return test.partition("[")[0]


def covers(pattern: str, test: str) -> bool:
    """Return whether a pattern of a row stands for a test."""
    if "::" not in pattern:
        return file_of(test) == pattern
    if "[" not in pattern:
        return function_of(test) == pattern
    if pattern.endswith("*"):
        return test.startswith(pattern[:-1])
    return test == pattern
