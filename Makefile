.DEFAULT_GOAL := help
.PHONY: help setup run demo watch manage check openapi compatibility docs test test-chaos bench requirements clean

# The project has a module of the same name as a package it is tested with: `python -m` looks
# in the working directory first, the scripts in .venv/bin do not.
PYTHON := .venv/bin/python
# Settings for commands that read the code and need no database.
OFFLINE := env LOCAL_MODE=true DATABASE_POOL_SIZE=0

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.dev-stamp ## Install what development needs, into .venv

run: .venv/.stamp ## Run everything here; PORT=8001 and VAR_DIR=var2 for a second one
	@exec $(PYTHON) -m devstack

demo: .venv/.stamp ## Show the product at work against a running `make run`
	@$(PYTHON) -m devstack.demo

watch: .venv/.stamp ## Print the webhooks of a running `make run` as they arrive, with a verdict on each
	@exec $(PYTHON) -m devstack.watch

# C reaches the program as a variable: no shell between them takes its quotes away.
manage: override export C := $(value C)
manage: .venv/.stamp ## Run a manage.py command on a running `make run`: C="create_api_key Acme"
	@exec $(PYTHON) -m devstack.manage

check: .venv/.dev-stamp ## All checks but the tests, in the order that fails fastest
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	$(OFFLINE) .venv/bin/lint-imports
	$(OFFLINE) $(PYTHON) -m mypy .
	$(OFFLINE) $(PYTHON) -W "ignore:Got an error checking a consistent migration" manage.py makemigrations --check --dry-run
	$(OFFLINE) $(PYTHON) manage.py check --fail-level WARNING
	$(OFFLINE) $(PYTHON) manage.py spectacular --validate --fail-on-warn --format openapi-json --file .venv/openapi.json
	diff -u docs/openapi.json .venv/openapi.json
	$(OFFLINE) $(PYTHON) manage.py write_event_docs --write .venv/events.md
	diff -u docs/events.md .venv/events.md
	$(PYTHON) -m devstack.env_example

openapi: .venv/.dev-stamp ## Write docs/openapi.json from the code
	$(OFFLINE) $(PYTHON) manage.py spectacular --validate --fail-on-warn --format openapi-json --file docs/openapi.json

compatibility: .venv/.dev-stamp ## Write docs/compatibility.md from what the clients get from a running product
	WRITE_COMPATIBILITY=true $(PYTHON) -m pytest tests/conformance

docs: openapi ## Write what docs/ has from the code: openapi.json and events.md
	$(OFFLINE) $(PYTHON) manage.py write_event_docs --write docs/events.md

test: .venv/.dev-stamp ## Run the tests; T=tests/emails narrows them
	$(PYTHON) -m pytest -m "not chaos" -n auto --dist=worksteal $(T)

test-chaos: .venv/.dev-stamp ## Kill real processes under load; ROUNDS=20 for longer
	$(if $(ROUNDS),ROUNDS=$(ROUNDS)) $(PYTHON) -m pytest tests/reliability tests/chaos -m chaos

bench: .venv/.stamp ## Measure throughput on this machine
	$(PYTHON) -m bench

requirements: .venv/.dev-stamp ## Pin requirements*.in again, with hashes
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-local.in -o requirements-local.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt

clean: ## Remove what the commands above made, the data in var included
	rm -rf .venv var static tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILE := .venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11
INSTALL := $(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes

$(PYTHON):
	@sh devstack/create_venv.sh

# Every file of pins is complete with its hashes, so they install together. A .venv that is made anew,
# as when its Python was uninstalled, has none of them.
.venv/.stamp: requirements.txt requirements-local.txt $(PYTHON)
	@echo "Installing the product, PostgreSQL, Redis and a stand-in for AWS into .venv"
	@$(INSTALL) -r requirements.txt -r requirements-local.txt
	@touch $@

.venv/.dev-stamp: requirements.txt requirements-local.txt requirements-dev.txt tests/node/package-lock.json $(PYTHON)
	@echo "Installing what development needs into .venv and tests/node"
	@$(INSTALL) -r requirements.txt -r requirements-local.txt -r requirements-dev.txt
	@cd tests/node && "$(CURDIR)/.venv/bin/npm" ci --loglevel=error
	@touch .venv/.stamp $@
