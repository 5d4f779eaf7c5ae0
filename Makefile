# Every target sets up what it needs first; `make help` lists them.
# Options: SCENARIOS="base bear", ARGS="--seed 7", PYTEST="-k ledger", PYTHON=/path/to/python3.12
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup report test test-slow bench mutants check example lab lock schemas format clean distclean

BIN := .venv/bin
SCENARIOS ?=
ARGS ?=
PYTEST ?=
export PYTHON
# Kernels and commands, of which tests start many, read what is compiled already.
unexport PYTHONDONTWRITEBYTECODE
# Two tests at a time are two threads; what a matrix product would add waits for them and costs a tenth more.
test test-slow: export OPENBLAS_NUM_THREADS = 1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv from the lock (every other target does it first)
	@.ci/setup

report: setup ## fit, run every scenario, write reports/, print the answer
	@$(BIN)/valuation report $(SCENARIOS) $(ARGS)

test: setup ## run the tests (a few minutes)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST)

test-slow: setup ## run the long tests: whole notebooks, recovery, ten seeds, the browser
	@$(BIN)/python -m pytest -n 2 --dist load -m slow --durations=15 $(PYTEST)

bench: setup ## time the update against a refit, a session, a long ledger and a page (about ten minutes)
	@$(BIN)/python -m benchmarks $(ARGS)

mutants: setup ## plant small bugs one at a time and see that the tests catch them (half an hour with ARGS=--named)
	@$(BIN)/python tests/mutants.py $(ARGS)

check: setup ## style, types, layers, clean notebooks, settings and ledger
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/nbstripout --verify --extra-keys "metadata.papermill cell.metadata.papermill" notebooks/*.ipynb
	@$(MAKE) --no-print-directory --silent schemas
	@git diff --exit-code --stat -- params/schema || \
		{ echo "params/schema/ was out of date and is renewed now: commit it"; exit 1; }
	@$(BIN)/check-jsonschema --schemafile params/schema/scenario.json params/scenarios/*.yaml
	@$(BIN)/check-jsonschema --schemafile params/schema/deal.json params/deals/*.yaml
	@$(BIN)/check-jsonschema --schemafile params/schema/priors.json params/priors.yaml
	@$(BIN)/check-jsonschema --schemafile params/schema/credibility.json params/credibility.yaml
	@$(BIN)/check-jsonschema --schemafile params/schema/gate.json params/gate.yaml
	@$(BIN)/valuation check

example: setup ## renew reports/example/ from the base scenario, with its picture
	@$(BIN)/valuation report base $(ARGS)
	@.ci/example

lab: setup ## open the notebooks in JupyterLab
	@$(BIN)/valuation lab

schemas: setup ## renew params/schema/ from the code
	@$(BIN)/python -c "from valuation.params import write_json_schemas as w; w('params/schema')"

format: setup ## rewrite the code in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: setup ## renew requirements.lock from pyproject.toml (needs the network)
	@.tools/bin/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
		--extra test --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		pyproject.toml --output-file requirements.lock

clean: ## remove caches and generated reports, keep .venv
	@rm -rf .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache build dist
	@find reports -mindepth 1 -maxdepth 1 ! -name example ! -name .gitkeep -exec rm -rf {} +
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +

distclean: clean ## also remove .venv and .tools
	@rm -rf .venv .tools *.egg-info
