# The commands of a developer and of CI. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python of a version that fits; `make PYTHON=/path/to/python3.11` names another.
PYTHON ?= $(shell for name in python3.11 python3.12 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo "$$name" && break; \
	done || echo python3)
BIN := .venv/bin
INSTALLED := .venv/installed
UV_VERSION := 0.13.9
# Versions and hashes for every platform and both Pythons, but no addresses: where packages come from is the user's setting.
COMPILE := uv pip compile pyproject.toml deploy/build-requirements.txt --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links
# Only paths relative to this file are used: the checkout may lie anywhere, also under a path with blanks.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: install
install: $(INSTALLED) ## Make the virtual environment .venv from requirements.lock

$(INSTALLED): requirements.lock pyproject.toml
	@"$(PYTHON)" deploy/embedded/preflight.py python
	@echo "Installing into .venv (the first time this fetches some 2 GB, mostly PyTorch with CUDA) ..."
	@[ -x $(BIN)/python ] || "$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	@touch $(INSTALLED)
	@echo "Installed. Try: $(BIN)/mistudio-worker --help"

.PHONY: preflight
preflight:
	@"$(PYTHON)" deploy/embedded/preflight.py python \
		$(if $(MISTUDIO_KAFKA__BOOTSTRAP_SERVERS),,java mvn) $(if $(CI),go)

.PHONY: test
test: preflight $(INSTALLED) ## Run every test (starts Kafka and an S3 server; MinIO too where Go is)
	$(BIN)/python -m pytest $(PYTEST_ARGUMENTS)

.PHONY: check
check: $(INSTALLED) ## Check style, types, arrows between rooms, schemas and the compose file
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mistudio-worker schemas --check schemas
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml deploy/docker/gpu.yml

.PHONY: demo
demo: preflight $(INSTALLED) ## Run a whole job on an embedded stack and show its best features
	@$(BIN)/python deploy/demo/demo.py

.PHONY: bench
bench: $(INSTALLED) ## Measure time and memory of the analysis, then a worker at work
	$(BIN)/python bench/run.py
	$(MAKE) --no-print-directory bench-worker

.PHONY: bench-worker
bench-worker: preflight $(INSTALLED) ## Measure the worker alone, on an embedded stack: health, event loop, known jobs
	PYTHONPATH=tests:deploy $(BIN)/python -m bench.worker

.PHONY: bench-truth
bench-truth: $(INSTALLED) ## Measure the analysis on planted features, write the table into the docs
	$(BIN)/python -m bench.truth --update-docs

.PHONY: soak
soak: preflight $(INSTALLED) ## Work for SOAK_SECONDS (600) while workers, broker and store fail by lot (SEED)
	PYTHONPATH=tests:deploy $(BIN)/python -m soak --seconds $(or $(SOAK_SECONDS),600) $(if $(SEED),--seed $(SEED))

.PHONY: fuzz
fuzz: $(INSTALLED) ## Damage events, metadata and checkpoints for FUZZ_SECONDS (600) by lot (SEED); findings are kept
	PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(or $(FUZZ_SECONDS),600) $(if $(SEED),--seed $(SEED))

.PHONY: chaos
chaos: preflight $(INSTALLED) ## Kill worker and child at every step, and more that takes long; write the table into the docs
	rm -f .chaos.jsonl
	CI=1 CRASH_REPORT=$(CURDIR)/.chaos.jsonl $(BIN)/python -m pytest -m chaos $(PYTEST_ARGUMENTS)
	$(BIN)/python docs/generate_crash_matrix.py .chaos.jsonl

.PHONY: lock
lock: $(INSTALLED) ## Choose the versions anew: pyproject.toml -> the two lock files
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(BIN)/$(COMPILE) --upgrade --extra plot --extra otel --extra dev --output-file requirements.lock
	$(BIN)/$(COMPILE) --extra plot --extra otel --constraint requirements.lock --output-file requirements-runtime.lock

.PHONY: clean
clean: ## Remove .venv, caches and what the demo made
	rm -rf .venv .demo .chaos.jsonl .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache fuzz-findings
