# Everything runs in .venv, made here with plain venv and pip; nothing outside the checkout is
# touched but pip's own cache. Needs GNU make and Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(wildcard rqueue tests benchmarks deploy examples)

# A .venv that was made for another folder or another Python would run the wrong code.
MADE_FOR := $(CURDIR) $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifneq ($(file <.venv/.made-for),$(MADE_FOR))
.PHONY: .venv/.made-for
endif

# Pyright does not look for newer versions of itself.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test oldest faults faults-long bench bench-gate check format-check lint types layers house format clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/.stamp-dev ## Run the demo: servers, workers, a crash and its recovery; DIR=<folder> keeps it there
	@$(BIN)/rqueue demo $(DIR)

test: .venv/.stamp-test ## Run all tests; ARGS="-k name" goes to pytest
	@$(BIN)/python -m pytest -n 4 --dist loadgroup $(ARGS)

oldest: .venv/.stamp-test ## Read cron expressions with the oldest croniter that is allowed
	@$(BIN)/python -m pip install -q --upgrade --target build/oldest croniter==6.0.0
	@PYTHONPATH=build/oldest $(BIN)/python -m pytest -q -p no:cacheprovider \
	  tests/unit/test_cron.py tests/unit/test_crontab.py tests/properties/test_crontab.py \
	  tests/unit/test_schedule_limits.py

faults: .venv/.stamp-test ## Break everything on purpose, and prove what is promised (ten minutes)
	@$(BIN)/python -m pytest -n 3 --dist worksteal -rs tests/faults $(ARGS)

faults-long: .venv/.stamp-test ## The same at length; goes on where it was stopped; OUT=<folder> ONLY="F1 F2"
	@$(BIN)/python -m tests.faults $(or $(OUT),faults) $(ONLY)

bench: .venv/.stamp-bench ## Measure rqueue beside its rivals; RIVALS=bullmq,dramatiq QUICK=1 SERVER=valkey OUT=<folder>
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(RIVALS),--rivals $(RIVALS)) \
	  --server $(or $(SERVER),redis) --out $(or $(OUT),benchmark-results)

bench-gate: .venv/.stamp-test ## Fail when a job costs more commands, bytes or calls than recorded; UPDATE=1 records
	@$(BIN)/python -m benchmarks.gate $(if $(UPDATE),--update) --server $(or $(SERVER),redis)

check: format-check lint types layers house ## Run what a change must pass before the tests
	@echo "check: all well"

format-check: .venv/.stamp-test ## Is everything formatted?
	@$(BIN)/ruff format --check $(SOURCES)

lint: .venv/.stamp-test ## Lint with ruff
	@$(BIN)/ruff check $(SOURCES)

types: .venv/.stamp-test ## Check the types: pyright, and mypy on what users write
	@$(BIN)/pyright
ifneq ($(wildcard tests/typing/*.py),)
	@$(BIN)/mypy
endif

layers: .venv/.stamp-test ## Check that imports keep to the floors
	@$(BIN)/lint-imports --no-logo

house: .venv/.stamp-test ## Run the house tests: sizes, names, circles, script contracts
	@$(BIN)/python -m pytest -q tests/house

format: .venv/.stamp-test ## Format, and fix what ruff can fix by itself
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

clean: ## Remove .venv, caches and builds
	@rm -rf .venv .bench build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made-for:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "rqueue needs Python 3.11 or newer, and '$(PYTHON)' is none:" \
	    "name another one, as in: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making .venv with $(PYTHON)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
	@echo "$(MADE_FOR)" >$@

.venv/.stamp-dev: pyproject.toml .venv/.made-for
	@echo "Installing rqueue and what the demo needs into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.venv/.stamp-test: pyproject.toml .venv/.made-for
	@echo "Installing rqueue and what its tests and checks need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,test]'
	@touch $@ .venv/.stamp-dev

.venv/.stamp-bench: pyproject.toml .venv/.made-for
	@echo "Installing rqueue and what its benchmarks need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@
