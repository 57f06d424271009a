# The two commands: `make run` and `make test`. Each does all the set-up it needs; doing it twice costs a second.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-all lint flink-test job-server notebooks image lock clean
MAKEFLAGS += --no-print-directory

# Where bytecode is not written, importing TFX costs 16 s of CPU instead of 4.5, each time.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONHOME
unexport PYTHONPATH
unexport VIRTUAL_ENV

BIN := .venv/bin
# A file of tests stays in one process: its runs of the DAG are shared among its tests.
PARALLEL := -n 2 --dist loadfile

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Python 3.10, the locked packages and Spanwise itself, in .venv
	@tools/setup

run: setup ## The pipeline on a year of flights: the first span with earlier ones to train on
	@[ -e data/flights/2013-12.parquet ] || $(BIN)/spanwise data flights
	@$(BIN)/spanwise run

test: setup ## Unit tests, then the real DAG on the sample; not what is marked slow
	@tools/chromium
	@$(BIN)/pytest -m "not slow" $(PARALLEL)

test-all: setup ## All tests, the slow ones too
	@tools/chromium
	@$(BIN)/pytest $(PARALLEL)

lint: setup ## ruff, mypy, import-linter
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

flink-test: setup ## Beam's part of the pipeline on a real Flink cluster, which is fetched (400 MB) and started here
	@$(BIN)/python tools/flink.py fetch
	@$(BIN)/pytest tests/flink -m flink --timeout 1800

job-server: setup ## The Beam job server that `run --beam flink --flink-master` starts, from Maven
	@$(BIN)/python tools/flink.py job-server

notebooks: setup ## Execute the notebooks and render them to docs/notebooks
	@$(BIN)/python tools/notebooks.py

image: setup ## The container image for clusters: IMAGE=registry/name (docker or podman)
	@tools/image

lock: ## Renew requirements.lock from requirements.in
	@uv=$$(tools/setup --uv) && "$$uv" pip compile requirements.in --upgrade --generate-hashes --quiet \
	    --python-version 3.10 --build-constraints build-constraints.txt \
	    --custom-compile-command "make lock" --output-file requirements.lock

clean: ## Remove what set-up and tools made; data, runs and models stay
	rm -rf .venv .bootstrap .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	find pipeline components serving tests benchmarks tools data -name __pycache__ -prune -exec rm -rf {} +
