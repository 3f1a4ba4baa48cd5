# Every target works on a machine that has Python ≥ 3.11, make and the package registries.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(wildcard libs/*/src services/*/src cli/src console/src infra/localnet/src)
UV := UV_CACHE_DIR=.xorj/cache/uv UV_SYSTEM_CERTS=1 $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format lock proto programs fuzz-programs history clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## .venv with the xorj command, and everything the local world needs; does nothing when nothing changed
	@$(PYTHON) infra/localnet/bootstrap.py

demo: setup ## start the local world and show three vaults trade; Ctrl-C ends it
	@XORJ_END_WITH_PARENT=1 $(BIN)/xorj demo

lint: setup ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES) tests

test: lint ## linters and all tests but the slow ones; what is skipped is listed with its reason
	$(BIN)/pytest -m "not slow"

test-all: lint ## linters and every test
	$(BIN)/pytest

format: setup ## bring the sources into the agreed shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## compile requirements/*.in into hash-pinned requirements/*.txt
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	for part in signer signer-pkcs11 signer-aws signer-gcp signer-azure; do \
		$(COMPILE) requirements/$$part.in -c requirements/dev.txt -o requirements/$$part.txt || exit 1; \
	done

proto: setup ## generate the Python code of the contracts
	$(BIN)/python libs/contracts/generate.py

programs: ## build the on-chain programs; downloads their toolchain the first time
	infra/programs/build.sh

fuzz-programs: setup ## N=1000000 random steps on the vault program against its model; SEED=... repeats a run
	@$(BIN)/python -m tests.programs.fuzz $(or $(N),1000000) $(SEED)

history: ## keep the running world's audit log as a golden history: make history NAME=…  [TO=entries]
	$(BIN)/xorj audit export tests/histories/$(NAME).jsonl $(if $(TO),--to $(TO))
	gzip -9n tests/histories/$(NAME).jsonl

clean: ## remove the environment, the caches and the local world
	rm -rf .venv .xorj .mypy_cache .ruff_cache .pytest_cache
