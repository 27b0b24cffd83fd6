# Capital Migration Warehouse. `make help` lists the targets.
# State stands in WAREHOUSE_HOME (./warehouse); live data in a home of its own, since the bundled record and the
# real sources are never mixed.

SHELL := /bin/sh
# Configuration of your own: see .env.example.
ifneq (,$(wildcard .env))
include .env
export $(shell sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' .env)
endif
VENV ?= .venv
BIN := $(VENV)/bin
LIVE_HOME ?= $(or $(WAREHOUSE_HOME),warehouse)/live
PORT ?= 8080
# Superset, in an environment of its own.
BI_VENV ?= .venv-bi
BI_PORT ?= 8088
DBT_DIR = $(abspath $(or $(WAREHOUSE_HOME),warehouse))/build/dbt
# The first Python 3.11 of this machine; name another with `make PYTHON=/path/to/python3.11`.
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test up down bi bi-down docs bench soak lint lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/runtime.stamp  ## install if needed, land the bundled record through Airflow, build, publish, show the brief
	@$(BIN)/capmig run

test: $(VENV)/dev.stamp  ## install the development lock, and packages.txt where it may, and run every test
	@MISSING_SYSTEM_PACKAGES="$$(sh tests/system_packages.sh)" $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=15

up: $(VENV)/runtime.stamp  ## start a local Airflow on live sources: all components, UI on 127.0.0.1:PORT
	@WAREHOUSE_HOME=$(LIVE_HOME) $(BIN)/python -m include.orchestration.local up $(PORT)

down:  ## stop what `make up` started
	@WAREHOUSE_HOME=$(LIVE_HOME) $(BIN)/python -m include.orchestration.local down

# Looked at before 0.7 GB are installed for nothing.
bi: $(VENV)/runtime.stamp  ## dashboards on the served version: Superset on 127.0.0.1:BI_PORT
	@$(BIN)/python -m include.orchestration.bi check $(BI_PORT)
	@$(MAKE) -s $(BI_VENV)/bi.stamp
	@$(BIN)/python -m include.orchestration.bi up $(BI_VENV)/bin/python $(BI_PORT)

bi-down:  ## stop what `make bi` started
	@$(BIN)/python -m include.orchestration.bi down

docs: $(VENV)/runtime.stamp  ## the tables' own documentation and graph, one page that opens offline, of the last build
	@test -e $(DBT_DIR)/inputs || { echo "make docs: nothing is built yet: make run" >&2; exit 1; }
	@cd dbt_project && export CAPMIG_BUILD_DIR=$(DBT_DIR) DO_NOT_TRACK=1 DBT_TARGET_PATH=$(DBT_DIR)/target \
	  DBT_LOG_PATH=$(DBT_DIR)/logs && $(abspath $(BIN))/dbt --quiet build --exclude-resource-type test unit_test \
	  && $(abspath $(BIN))/dbt --quiet docs generate --static
	@mkdir -p $(DBT_DIR)/../../docs && cp $(DBT_DIR)/target/static_index.html $(DBT_DIR)/../../docs/index.html
	@echo "$(abspath $(DBT_DIR)/../../docs/index.html)"

bench: $(VENV)/dev.stamp  ## measure us beside a floor and a peer, in one run
	@$(BIN)/python -m tests.bench

soak: $(VENV)/dev.stamp $(BI_VENV)/bi.stamp  ## the long proofs
	@$(BIN)/python -m pytest -m soak --timeout=7200

lint: $(VENV)/dev.stamp  ## format Python, then check its style, SQL and layers
	@$(BIN)/ruff format include dags tests
	@$(BIN)/ruff check include dags tests
	@cd dbt_project && $(abspath $(BIN))/sqlfluff lint models --disable-progress-bar
	@$(BIN)/lint-imports --no-cache

lock:  ## resolve requirements*.in into the hash locks (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: install it and run again" >&2; exit 1; }
	uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.txt requirements.in
	uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-dev.txt requirements-dev.in
	cd include/bi && uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-package odfpy --no-emit-package wtforms-json -o requirements.txt requirements.in

clean:  ## remove the environment, caches and build output; never a warehouse
	@rm -rf $(VENV) $(BI_VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	@rm -rf dbt_project/target dbt_project/logs
	@find dags include tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock is complete, so pip resolves nothing. What it prints goes to a file; a failure shows its last lines.
define install
	@echo "installing $(1) into $(VENV), a few minutes the first time"
	@{ $(PIP_INSTALL) --no-deps --require-hashes --only-binary :all: -r $(1) && $(BIN)/python -m pip check \
	  && $(PIP_INSTALL) --no-deps --no-build-isolation -e . ; } >$(VENV)/install.log 2>&1 \
	  || { tail -n 3 $(VENV)/install.log >&2; echo "make: $(1) was not installed, see $(VENV)/install.log" >&2; exit 1; }
endef

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 with venv is needed and was not found;" \
	  "install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: requirements.txt pyproject.toml | $(BIN)/python
	$(call install,requirements.txt)
	@touch $@

# The development lock contains the runtime lock.
$(VENV)/dev.stamp: requirements-dev.txt requirements.txt pyproject.toml | $(BIN)/python
	$(call install,requirements-dev.txt)
	@touch $(VENV)/runtime.stamp $@

$(BI_VENV)/bi.stamp: include/bi/requirements.txt include/bi/requirements-sdist.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 with venv is needed and was not found" >&2; exit 1; }
	@rm -rf $(BI_VENV) && $(PYTHON) -m venv $(BI_VENV)
	@echo "installing include/bi/requirements.txt into $(BI_VENV), a few minutes the first time"
	@pip="$(BI_VENV)/bin/python -m pip --disable-pip-version-check install --no-deps --require-hashes"; \
	  { $$pip --only-binary :all: -r include/bi/requirements.txt \
	  && $$pip --no-build-isolation -r include/bi/requirements-sdist.txt \
	  && $(BI_VENV)/bin/python -m pip check ; } >$(BI_VENV)/install.log 2>&1 \
	  || { tail -n 3 $(BI_VENV)/install.log >&2; echo "make: Superset was not installed, see $(BI_VENV)/install.log" >&2; exit 1; }
	@touch $@
