# SPDX-License-Identifier: Apache-2.0
# Every target sets up what it needs: only Python >= 3.11, pip and make are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
JOBS ?= 2
# What is compiled once serves every worker, ring and hub that a test starts, also where
# the environment forbids Python to write beside its sources (which also makes pytest
# rewrite every test anew: 10 s of each worker).
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode

.PHONY: demo test check prove bench bench-restmapper format lock clean

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP)            ## the whole job on real input, in under 30 s
	$(BIN)/toono demo

check: $(STAMP)           ## format, lint, types, layers, unit and contract tests
	$(BIN)/ruff format --check src tests bench scripts examples
	$(BIN)/ruff check src tests bench scripts examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_tree.py
	$(BIN)/pytest -q -n $(JOBS) $(wildcard tests/unit tests/contract)

test: check               ## all of check, then scenarios, conformance, crash and interop
	$(BIN)/pytest -q -n $(JOBS) $(wildcard tests/scenario tests/conformance tests/crash tests/fuzz tests/interop)

prove: $(STAMP)           ## the full counts of the bars; writes bench/results
	$(BIN)/python -m bench.prove

bench: $(STAMP)           ## the speed table; writes bench/results
	$(BIN)/python -m bench.run

bench-restmapper: $(STAMP) ## known mappers' failures, and costs; writes bench/results
	$(BIN)/python -m bench.restmapper

format: $(STAMP)
	$(BIN)/ruff format src tests bench scripts examples
	$(BIN)/ruff check --fix-only src tests bench scripts examples

lock:                     ## refresh the locked, hashed dependencies (needs uv)
	uv pip compile pyproject.toml --extra fast --group test --group lint --generate-hashes --universal --python-version 3.11 -q -o requirements/dev.txt
	uv pip compile pyproject.toml --extra fast --generate-hashes --universal --python-version 3.11 -q -o requirements/run.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
