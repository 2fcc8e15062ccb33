# Everything a person or a machine does with this repository. `make help` lists it.
# Needed: Python 3.11 or newer with venv, and a package index that pip can reach. Nothing else.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INTEGRATIONS := $(patsubst %/pyproject.toml,%,$(wildcard integrations/*/pyproject.toml))
CODE := $(wildcard seglam_agents tests integrations benchmarks examples)

# pyright looks for newer versions of itself otherwise, which is none of a build's business.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help install lint contracts typecheck pytest test demo bench coverage soak fuzz format constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install the package, its integrations and the tools (only when needed)

test: lint contracts typecheck pytest ## Everything that must pass: lint, import contracts, types, tests

demo: $(STAMP) ## Show what the cache does; needs no key
	$(BIN)/seglam demo

bench: $(STAMP) ## Run the benchmarks
	$(BIN)/python -m benchmarks

soak: $(STAMP) ## Send 8 x 10,000 runs through each sandbox; some minutes
	$(BIN)/python -m benchmarks.soak

FUZZ_VENV := .venv-fuzz
SECONDS := 60

fuzz: ## Fuzz every reader of foreign text, SECONDS=60 each, in an environment of its own
	@$(FUZZ_VENV)/bin/python -c 'import atheris, seglam_agents' 2>/dev/null || { \
		$(BIN)/python -m venv --clear $(FUZZ_VENV); \
		$(FUZZ_VENV)/bin/python -m pip install --quiet -c constraints.txt 'atheris>=3,<4' -e .; \
	}
	$(FUZZ_VENV)/bin/python -m tests.fuzz.run --seconds $(SECONDS) $(TARGETS)

lint: $(STAMP) ## Check style and formatting
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

contracts: $(STAMP) ## Check who imports whom
	$(BIN)/lint-imports --no-logo

typecheck: $(STAMP) ## Check the types
	$(BIN)/pyright

pytest: $(STAMP) ## Run the tests, on all cores
	$(BIN)/python -m pytest -n auto --dist worksteal

coverage: $(STAMP) ## Run the tests and print what none of them enters
	$(BIN)/python -m pytest -q -n auto --cov=seglam_agents --cov-branch --cov-report=term-missing:skip-covered

format: $(STAMP) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

constraints: $(STAMP) ## Resolve constraints.txt anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-package seglam-agents --all-extras --group dev \
		pyproject.toml $(addsuffix /pyproject.toml,$(INTEGRATIONS)) --output-file constraints.txt

clean: ## Delete .venv and every cache
	rm -rf $(VENV) $(FUZZ_VENV) .fuzz .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The newest Python from 3.11 that is no preview and can make an environment.
define FIND_PYTHON
for python in $$(seq 30 -1 11 | sed 's/^/python3./') python3 python; do \
	if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11) or sys.version_info[3] != "final")' \
		2>/dev/null; then break; fi; \
	python=; \
done; \
if [ -z "$$python" ]; then \
	echo "make: no Python 3.11 or newer with the modules venv and ensurepip on PATH." >&2; \
	echo "Install one, on Debian and Ubuntu for example: apt-get install python3 python3-venv" >&2; \
	exit 1; \
fi
endef

# pip before 25.1 does not know dependency groups: there, the group is spelled out.
$(STAMP): pyproject.toml constraints.txt $(addsuffix /pyproject.toml,$(INTEGRATIONS))
	@if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(FIND_PYTHON); \
		echo "Creating $(VENV) with $$python"; \
		$$python -m venv --clear $(VENV); \
	fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' || echo "pip stays as it is."
	@echo "Installing into $(VENV) (a minute, the first time)"
	@if $(BIN)/python -m pip install --help | grep -q -- '--group'; then \
		tools='--group dev'; \
	else \
		$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' \
			> $(VENV)/dev.txt; \
		tools='-r $(VENV)/dev.txt'; \
	fi; \
	$(BIN)/python -m pip install --quiet -c constraints.txt $$tools -e . $(addprefix -e ./,$(INTEGRATIONS))
	@touch $@
