"""Every block of Python in the README and in docs/ runs, and prints what the page says it prints.

The blocks of a page are one program. A block of text that follows a block of Python directly is its
output, in which `...` stands for anything and line numbers do not matter.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ["README.md", "docs/tutorial.md", "docs/how-to.md"]
PAGES = [*PROGRAMS, "docs/architecture.md", "examples/README.md", "CHANGELOG.md"]
SEPARATOR = "\x1e"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]*)#?([^)]*)\)")


def _without_line_numbers(text):
    return re.sub(r"(\.py):\d+", r"\1:0", text)


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_blocks_print_what_the_page_says(page, tmp_path):
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert blocks
    program = tmp_path / f"{Path(page).stem.lower()}.py"
    program.write_text(f"print({SEPARATOR!r})\n".join(code for code, _ in blocks), encoding="utf-8")
    finished = subprocess.run(
        [sys.executable, program.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    printed = finished.stdout.replace(f"{tmp_path}{os.sep}", "").split(f"{SEPARATOR}\n")
    assert len(printed) == len(blocks)
    for (code, expected), got in zip(blocks, printed, strict=True):
        want, got = _without_line_numbers(expected), _without_line_numbers(got)
        same = doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS)
        assert same, f"{code}\nprints\n{got}\nand not\n{want}"


def _anchors(path):
    """Return how the headings of a page are linked to."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target, anchor in LINK.findall(path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            found = Path(os.path.normpath(path.parent / target)) if target else path
            assert found.exists(), f"{page}: {target}"
            assert not anchor or anchor in _anchors(found), f"{page}: {target}#{anchor}"


def test_the_commands_of_the_readme_are_in_the_makefile():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"demo", "test", "bench"} <= set(named) <= set(targets)


def test_the_modules_that_the_pages_name_are_there():
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in re.findall(
            r"`((?:symgraph|compiler|runtime|examples|tests)/[\w/*]+\.py)`", text
        ):
            assert list(ROOT.glob(name)), f"{page}: {name}"
