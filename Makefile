# Two targets do everything on a machine that has python3 (3.11 to 3.14) and make:
#   make study    set up .venv, run the study of config.yaml; open results/report.html afterwards
#   make test     set up .venv, run all checks and tests
# Beside them, `make check` runs lint, types and unit tests alone,
# and `make plan` writes on a page what a study costs on a cluster: docs/plan.md, that of studies/paper.yaml.
# Settings, for example: make study STUDY=studies/smoke.yaml CORES=2 PYTHON=python3.12 TORCH=cuda
PYTHON ?= python3
CORES ?= all
# A config for --configfile; the page that `make plan` then writes stands beside it.
STUDY ?=
# cpu, cuda, or auto: cuda where there is an NVIDIA GPU or pip finds no CPU build, else cpu.
# A set-up that stands is changed by: make --always-make setup TORCH=cuda
TORCH ?= auto

LOCKS := envs/requirements.txt envs/torch-cpu.txt envs/torch-cuda.txt
STAMP := .venv/.installed
START := $(shell date +%s)
PRINT_TIME = @echo "make $@: $$(($$(date +%s) - $(START))) seconds in all"

ifeq ($(TORCH),auto)
GPU := $(shell ls /dev/nvidia0 2>/dev/null; nvidia-smi -L 2>/dev/null | grep '^GPU')
BUILDS := $(if $(GPU),cuda,cpu cuda)
else
BUILDS := $(TORCH)
endif

IN_PROCESSES := --numprocesses logical --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

.PHONY: study check test plan setup lint format lock clean

study: setup
	. .venv/bin/activate && snakemake --cores $(CORES) $(if $(STUDY),--configfile $(STUDY))
	$(PRINT_TIME)

check: setup lint
	. .venv/bin/activate && pytest tests/unit -m "not workflow" $(IN_PROCESSES)
	$(PRINT_TIME)

test: setup lint
	. .venv/bin/activate && pytest $(IN_PROCESSES) --durations 40
	$(PRINT_TIME)

plan: setup
	. .venv/bin/activate && python scripts/plan_study.py $(if $(STUDY),--configfile $(STUDY),--page docs/plan.md)

setup: $(STAMP)

# The folder is made anew, so that nothing of an older lock stays. The first build that installs wins;
# torch comes first, so that a build that is not to be had is noticed before anything is fetched.
$(STAMP): $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || \
	    { echo "error: $(PYTHON) must be Python 3.11 to 3.14, found $$($(PYTHON) --version 2>&1);" \
	           "name another one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "error: $(PYTHON) has no venv; on Debian or Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@. .venv/bin/activate && for build in $(BUILDS); do \
	    echo "installing with torch's $$build build"; \
	    pip install --require-hashes -r envs/torch-$$build.txt -r envs/requirements.txt \
	        && exit 0; \
	    echo "the $$build build could not be installed"; \
	done; echo "error: set-up failed, see above"; exit 1
	@touch $@

lint: setup
	. .venv/bin/activate && ruff check && ruff format --check
	. .venv/bin/activate && snakefmt --check Snakefile rules
	. .venv/bin/activate && mypy
	. .venv/bin/activate && snakemake --lint

format: setup
	. .venv/bin/activate && ruff check --fix && ruff format && snakefmt Snakefile rules

# For developers, needs uv. UPGRADE=1 takes the newest versions that requirements.in allows.
lock:
	@command -v uv >/dev/null || { echo "error: make lock needs uv on the PATH"; exit 1; }
	$(PYTHON) envs/lock.py $(if $(UPGRADE),--upgrade)

# Results stay: remove results/ and logs/ by hand.
clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
