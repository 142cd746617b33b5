# Every target sets up what it needs; a second run of `env` takes well under a second.
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONFIG ?= config/config.yaml
# Snakemake 9.27 re-evaluates all ready jobs once per timespan for every job that has ended; with its default of a second
# that costs a large part of a core in a long run.
SNAKEMAKE := snakemake --cores $(CORES) --rerun-incomplete --max-jobs-per-timespan 100/4s --configfile $(CONFIG)

.PHONY: help env table1 table2 table3 figures report record test test-fast test-slurm lint format bench lock docs clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(STAMP) ## create .venv from the lock

# The lock holds everything but torch, with hashes. Torch stands alone so that each machine gets the build
# (CPU or CUDA) that its own package index offers.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dynsal needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.11 env"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet $$(sed -n 's/.*"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

table1: env ## Table 1 on the embedded demo data set
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) -- results/table1.csv
	@cat results/table1.md

table2: env ## Table 2 (the baselines) on the embedded demo data set
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) -- results/table2.csv figures2
	@cat results/table2.md

table3: env ## Table 3 (still images) on the embedded demo_stills
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) -- results/table3.csv figures3
	@cat results/table3.md

figures: env ## the pictures of the configured data set
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) -- figures

report: env ## results/report.html: tables, viewer, figures, runtimes, provenance in one file without a network
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) --report results/report.html --report-after-run -- report
	@ls -lh results/report.html results/*/viewer.html

record: ## copy the demo's finished results to docs/results/demo and the README
	$(MAKE) figures table2 CONFIG=config/config.yaml
	$(BIN)/python workflow/scripts/record.py --results results/demo --out docs/results/demo --readme README.md

test: env ## all tests but those marked slurm, gpu or network
	$(BIN)/python -m pytest -n auto -m "not slurm and not gpu and not network"

test-fast: env ## the tests that need seconds
	$(BIN)/python -m pytest -n auto -m "not slow and not slurm and not gpu and not network"

test-slurm: env ## the chain on a real SLURM, with everything killed once (root; Debian's slurm packages; 10 to 25 minutes)
	$(BIN)/python -m pytest -m slurm -rP tests/test_slurm.py

lint: env ## ruff, snakefmt, mypy, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check --compact-diff Snakefile workflow
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --lint

format: env ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

bench: env ## speed and memory against their limits (on an idle machine; needs the demo's data, 15 minutes)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh benchmarks/run.sh

docs: env ## regenerate the schema and the key reference from the typed configuration
	$(BIN)/python -m dynsal.config_docs

lock: env ## resolve the dependencies again (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links $(foreach p,$(NOT_LOCKED),--no-emit-package $(p)) \
	  --output-file requirements.lock

# torch and what only its CUDA builds bring
NOT_LOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
  nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
  nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

clean: ## remove what the pipeline made (results/, logs/), never the environment
	rm -rf results/*/ results/*.csv results/*.md results/*.json results/*.html logs .snakemake
