# The README's commands and CI use exactly these. Each does its own set-up.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := models,data,report,privacy
STAMP := .venv/.stamp
DEV := .venv/.dev

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format docs bench fuzz clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hauberk needs Python 3.11 or newer; say: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

$(STAMP): $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

$(DEV): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS),dev]"
	@touch $@

demo: $(STAMP) ## set up, then judge a real digit classifier
	$(BIN)/hauberk check examples/digits || test $$? -eq 1

test: $(DEV) ## all tests but the slow ones
	$(BIN)/python -m pytest -n auto -m "not slow"

test-all: $(DEV) ## all tests
	$(BIN)/python -m pytest -n auto

check: $(DEV) ## format, lint, types, floors, docs fresh, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/sizes.py
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m pytest -n auto -m "not slow and not browser and not postgres"

format: $(DEV) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEV) ## build the documentation into site/
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(DEV) ## run the benchmarks (peers are measured where they are installed)
	$(BIN)/python benchmarks/run.py

ROUNDS := 500

fuzz: $(DEV) ## break files for every reader, for long (make fuzz ROUNDS=5000 for longer)
	HAUBERK_FUZZ_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -n auto tests/scanning/fuzz

clean: ## remove what was built
	rm -rf .venv site build dist .mypy_cache .ruff_cache .hypothesis
