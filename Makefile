# Needs make, git and Python 3.11, 3.12 or 3.13. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help venv repro test check ui bench clean-venv
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# The newest suitable Python that really runs and can make environments; `make PYTHON=/path/to/python3.12` names one.
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c "$(USABLE)" >/dev/null 2>&1 && echo $$python && break; done)

# Nothing here sends usage data.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false
export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## Build .venv from requirements.lock (other targets do it when needed)

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 with venv found; expected one on PATH, or make PYTHON=..." >&2; exit 1; }
	@$(BIN)/python -c "$(USABLE)" >/dev/null 2>&1 || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@echo "installing into $(VENV) (once; again when requirements.lock changes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true  # pip would do it on one processor
	@touch $@

repro: $(INSTALLED) ## Bring all tasks up to date, from raw data to registered models, and show the results
	@$(BIN)/unroll repro

test: $(INSTALLED) ## Run the tests
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: $(INSTALLED) ## Lint, formatting, types, layers, lines
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/lines.py

ui: $(INSTALLED) ## Open MLflow's pages on 127.0.0.1:5000
	@$(BIN)/unroll ui

bench: $(INSTALLED) ## Measure the whole pipeline in a copy: one task at a time, two, and with nothing to do
	@$(BIN)/python benchmarks/pipeline.py

clean-venv: ## Remove .venv
	rm -rf $(VENV)
