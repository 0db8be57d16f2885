# The commands of the README. Each sets up what it needs in $(VENV), once per change of setup.cfg.
PYTHON ?= python3
VENV ?= .venv

python := $(VENV)/bin/python
pip_install := $(python) -m pip install --quiet --disable-pip-version-check
with_demo := $(VENV)/.with-demo
with_test := $(VENV)/.with-test
with_bench := $(VENV)/.with-bench

.PHONY: demo test lint inventory bench test-gpu bench-gpu clean
.DELETE_ON_ERROR:

demo: $(with_demo)
	@touch $(VENV)/.demo-started
	$(python) examples/mlp_digits.py
	@echo "Pictures of this run:"
	@find examples -name '*.png' -newer $(VENV)/.demo-started | sed 's/^/  /'

test: lint
	$(python) -m pytest --quiet --numprocesses auto --dist worksteal

lint: $(with_test)
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy --strict
	$(VENV)/bin/lint-imports --config setup.cfg

# The table of what the source documents ask for: row -> test -> result.
inventory: $(with_test)
	$(python) -m tests.inventory

bench: $(with_bench)
	$(python) -m benchmarks run
	$(python) -m benchmarks cases
	$(python) -m benchmarks overhead
	$(python) -m benchmarks startup

# Machines with a GPU often have everything installed and no network. So these two run in the Python
# that is there, and install nothing. It needs CuPy; the benchmark skips peers that are missing.
test-gpu:
	$(PYTHON) -m pytest -m gpu -rs tests/gpu

bench-gpu:
	$(PYTHON) -m benchmarks run --device cuda

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# A stamp file stands for each set of packages; the editable install itself follows the source.
$(with_demo): setup.cfg pyproject.toml | $(python)
	@echo "Installing symgraph and what the examples need into $(VENV) ..."
	@$(pip_install) --editable '.[examples]'
	@touch $@

$(with_test): setup.cfg pyproject.toml | $(python)
	@echo "Installing symgraph and what the tests need into $(VENV) ..."
	@$(pip_install) --editable '.[dev,examples]'
	@touch $@

$(with_bench): setup.cfg pyproject.toml | $(python)
	@echo "Installing symgraph and what the benchmarks need into $(VENV) ..."
	@$(pip_install) --editable '.[bench]'
	@touch $@

# Asked before the folder is made: Debian's python3 comes without ensurepip, which is in python3-venv. A
# failed venv leaves half a folder behind, which a second `make` would take for a whole one.
$(python):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "symgraph needs Python 3.11 or newer; $(PYTHON) is older." \
			"Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its ensurepip is missing." \
			"On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
