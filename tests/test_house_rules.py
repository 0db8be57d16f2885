"""The rules that keep the code base small, safe and quick to import."""

import ast
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("symgraph", "compiler", "runtime")
SOURCE = (*SHIPPED, "examples", "benchmarks")
LONGEST_MODULE, MEDIAN_MODULE, LONGEST_FUNCTION = 400, 150, 60
UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_FUNCTIONS = {"eval", "exec"}
HEAVY_MODULES = ("cupy", "matplotlib", "networkx", "numba", "pydot", "scipy")
# Put together, so that this file does not hold what it looks for.
MACHINE_PATHS = tuple(f"/{name}/" for name in ("work", "root"))


def _modules(*folders):
    """Return the Python files of folders, without following the links of the package."""
    return sorted(
        Path(folder, name)
        for top in folders
        for folder, _, names in os.walk(ROOT / top)
        for name in names
        if name.endswith(".py")
    )


def _line_count(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _place(path, node):
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def _repository_files():
    """Return the files that git tracks or would track, or skip where there is no checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_the_rules_see_the_source():
    assert all(_modules(folder) for folder in (*SHIPPED, "benchmarks", "tests"))


def test_no_module_is_long():
    long = {
        str(path.relative_to(ROOT)): count
        for path in _modules(*SOURCE, "tests")
        if (count := _line_count(path)) > LONGEST_MODULE
    }
    assert not long


def test_the_median_module_is_small():
    assert statistics.median(map(_line_count, _modules(*SOURCE))) <= MEDIAN_MODULE


def test_no_function_is_long():
    long = [
        f"{_place(path, node)} {node.name}"
        for path in _modules(*SOURCE, "tests")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not long


def _imported_modules(node):
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module.partition(".")[0]}
    return set()


def _is_unsafe(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in UNSAFE_FUNCTIONS
    return bool(_imported_modules(node) & UNSAFE_MODULES)


def test_nothing_shipped_can_run_code_from_data():
    unsafe = [
        _place(path, node)
        for path in _modules(*SHIPPED)
        for node in ast.walk(_tree(path))
        if _is_unsafe(node)
    ]
    assert not unsafe


@pytest.mark.parametrize(
    "code", ["import pickle", "from marshal import loads", "eval('1')", "exec('x = 1')"]
)
def test_the_check_for_unsafe_code_finds_it(code):
    assert any(_is_unsafe(node) for node in ast.walk(ast.parse(code)))


def _raises_without_match(node):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "raises"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "pytest"
        and all(keyword.arg != "match" for keyword in node.keywords)
    )


def test_every_expected_error_is_expected_with_its_message():
    without = [
        _place(path, node)
        for path in _modules("tests")
        for node in ast.walk(_tree(path))
        if _raises_without_match(node)
    ]
    assert not without


def test_no_file_names_a_folder_of_one_machine():
    naming = [
        str(path.relative_to(ROOT))
        for path in _repository_files()
        for text in [path.read_bytes()]
        if any(machine_path.encode() in text for machine_path in MACHINE_PATHS)
    ]
    assert not naming


@pytest.mark.parametrize("name", ["compiler", "runtime"])
def test_the_links_of_the_package_are_relative(name):
    link = ROOT / "symgraph" / name
    assert link.is_symlink()
    assert os.readlink(link) == os.path.join("..", name)


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, symgraph; symgraph.compile;"
        f"print([name for name in {HEAVY_MODULES!r} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
