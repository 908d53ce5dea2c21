# Espalier. `make run` and `make test` do all their own set-up; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup browser servers run test test-slow test-faults lint bench clean

PORT ?=
PYTHON ?=
PY := .venv/bin/python
# The right age, and with the parts that some builds of Python leave out.
FITS := import ensurepip, lzma, sqlite3, ssl, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PORT=8600 (make run), PYTHON=/path/to/python (make setup), ARGS=... (make run, make bench, all kinds of make test)"

setup: .venv/.setup ## Make the virtual environment .venv, once

.venv/.setup: pyproject.toml constraints.txt
	@if ! $(PY) -c '$(FITS)' 2>/dev/null; then \
	    for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python); do \
	        if "$$python" -c '$(FITS)' 2>/dev/null; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$${found:-}" ]; then \
	        echo "Espalier needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian: apt-get install python3-venv);" \
	             "none of these is one: $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python)" >&2; \
	        exit 1; \
	    fi; \
	    echo "Making .venv with $$("$$found" --version)"; \
	    "$$found" -m venv --clear .venv; \
	fi
	@echo "Installing PyTorch, Streamlit and the other packages into .venv."
	@echo "The first time this takes some minutes, and about 7 GB of disk on Linux."
	@$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Set up: .venv is ready."

browser: setup ## Find a browser for the tests, or install one
	@$(PY) -m tests.e2e.browser

servers: ## Find PostgreSQL and nginx for the tests of faults, or install Debian's; without them they say what they skip
	@missing=; \
	command -v pg_ctl >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null || missing=postgresql; \
	PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && grep -qx ID=debian /etc/os-release 2>/dev/null; then \
	    echo "Installing Debian's $$missing"; \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -q && apt-get install -y -q --no-install-recommends $$missing || true; \
	fi

run: setup ## Open the dashboard
	@echo "Starting Espalier; Ctrl+C stops it."
	@exec $(PY) -m pages._serve $(if $(PORT),--server.port=$(PORT)) $(ARGS)

test: setup browser ## Run the tests, those in a real browser too, but for the two below
	@echo "Running the tests."
	@$(PY) -m pytest -n 2 --dist loadfile -m "not faults and not slow" $(ARGS)

test-slow: setup browser ## Run the tests that take more than about ten seconds each: whole studies, lessons, pipelines
	@echo "Running the slow tests."
	@$(PY) -m pytest -n 2 --dist load -m "slow and not faults" $(ARGS)

test-faults: setup browser servers ## Run the slower tests of what dies: engines, dashboards, databases, proxies
	@echo "Running the slower tests of faults."
	@$(PY) -m pytest -n 2 --dist loadfile -m faults $(ARGS) tests/faults

lint: setup ## Check style, types and the direction of imports
	@failed=; \
	check() { echo "$$*"; "$$@" || failed=1; }; \
	check $(PY) -m ruff check .; \
	check $(PY) -m ruff format --check .; \
	check $(PY) -m mypy; \
	check .venv/bin/lint-imports --no-logo; \
	[ -z "$$failed" ] || { echo "make lint: something above wants mending" >&2; exit 1; }

bench: setup ## Measure speed and memory, and write benchmarks/RESULTS.md
	@$(PY) -m benchmarks $(ARGS)

clean: ## Remove the virtual environment and what the tools left behind
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
