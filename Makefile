# `make` lists the targets. Needs: Python 3.11 with venv, make, a C compiler, the PyPI and npm registries. Not root.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build docs up down status operate people subscribers demo test test-unit test-slow test-slurm test-gpu check .check/style .check/types .check/rest format gen released bench lock clean

V := .venv
export PATH := $(CURDIR)/$(V)/bin:$(PATH)
PYTHON ?= python3
# The tiny models gain nothing from a second thread, and lose a lot when other processes share the cores.
export OMP_NUM_THREADS ?= 1
export DP_INTRA_OP_PARALLELISM_THREADS ?= 1
export DP_INTER_OP_PARALLELISM_THREADS ?= 1
# Byte code is worth seconds at every start: nothing in the environment may switch it off.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport VIRTUAL_ENV

MEMBERS := proto services/kit services/frames services/dpa services/ingest services/metric services/trainer \
           services/registry services/gateway client client/check deploy/local
CODE := $(addsuffix /src,$(MEMBERS)) proto/tools tools/docs
# The binary package of this machine: the package that chooses among them asks for platforms we do not promise.
BUF = $(abspath $(firstword $(wildcard node_modules/@bufbuild/buf-linux-*/bin/buf)))
# Test files run side by side: most of them wait for servers, so that two cores have work for three.
WORKERS ?= 3
PORT ?= 8000
TRAINERS ?= 1
REGIONS ?= West East

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .stamp/python ## install everything into .venv and node_modules
	@$(MAKE) --no-print-directory -j2 .stamp/bytecode build docs

.stamp/uv: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(V)/bin/python || $(PYTHON) -m venv $(V)
	grep -A99 '^uv==' requirements.lock | awk 'NR>1 && /^[a-z]/ {exit} {print}' > $(V)/uv.lock.txt
	$(V)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $(V)/uv.lock.txt
	mkdir -p .stamp && touch $@

# The lock names everything, and what packages ask of each other was weighed when it was written: --no-deps.
.stamp/python: .stamp/uv requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	uv pip install -q --require-hashes --no-deps -r requirements.lock
	uv pip install -q --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	touch $@

# Importing once writes the byte code of just what is used: all of torch would take minutes, none of it costs
# every first start of a service ten seconds.
.stamp/bytecode: .stamp/python
	python -c 'import deepmd.pt.entrypoints.main, deepmd.infer, dpdata, faststream.nats, kit.service'
	touch $@

.stamp/npm: package-lock.json .npmrc .stamp/python
	npm ci --silent
	touch $@

build: .stamp/npm ## build the site's scripts, styles and message catalogues
	@node tools/build.mjs

docs: .stamp/python ## build the documentation that the gateway serves at /docs
	@python -m mkdocs build -q

.cache/browser/current/chrome: .stamp/npm tools/browser.mjs
	node tools/browser.mjs

up: setup ## start the platform at http://127.0.0.1:8000 (PORT=, TRAINERS=, REGIONS=); state lives in .potluck/
	python -m onemachine up --port $(PORT) --trainers $(TRAINERS) --regions $(REGIONS)

down: ## stop the platform that `make up` started
	python -m onemachine down

status: ## tell what runs
	python -m onemachine status

operate: ## steer growth: make operate DO="rounds", "bisect <round>", "pause", …; `python -m registry --help` lists all
	python -m onemachine operate -- $(DO)

people: ## help people in: make people DO="reset-link <e-mail address>"
	python -m onemachine people -- $(DO)

subscribers: ## outsiders who hear public events: make subscribers DO="add <name>", "list", "revoke <name>"
	python -m onemachine subscribers -- $(DO)

demo: setup ## run the main job from a fresh state: DFT archives in, a better model out (EXIT=1: stop afterwards)
	python -m onemachine demo $(if $(EXIT),--exit)

test: .stamp/python ## install everything, check, and pass every test
	@$(MAKE) --no-print-directory --output-sync -j2 .check/style .check/types .stamp/bytecode build .check/rest docs \
	    .cache/browser/current/chrome
	python -m pytest -n $(WORKERS) --dist loadfile

test-unit: .stamp/python ## the tests that need no server
	python -m pytest tests/unit

test-slow: .stamp/python ## the tests that take minutes each: architectures that are slow to freeze
	python -m pytest tests -m slow

test-slurm: .stamp/python ## rounds as jobs of a real Slurm of one node; installs Debian's slurm-wlm as root if it is missing
	@PATH=$$PATH:/usr/sbin command -v slurmctld >/dev/null || { \
	    test "$$(id -u)" = 0 && command -v apt-get >/dev/null || { \
	        echo "Slurm is missing: as root on Debian or Ubuntu this target installs slurm-wlm; elsewhere install slurmctld and slurmd"; exit 1; }; \
	    apt-get update -q && apt-get install -yq --no-install-recommends slurm-wlm; }
	python -m pytest tests/integration/trainer -m slurm -q

test-gpu: .stamp/python ## what trains and predicts, on this machine's GPU; each traceback is printed as it comes
	@python tests/support/this_gpu.py
	PYTHONPATH=tests/support python -m pytest -p at_once tests/integration/dpa/test_dpa_on_a_gpu.py \
	    tests/integration/dpa/test_dpa_models.py tests/integration/dpa/test_dpa_remeasure.py tests/integration/trainer \
	    tests/integration/metric/test_metric_prediction.py

check: .stamp/python ## format, lint, types, import directions, generated files, proto lint and breaking changes
	@$(MAKE) --no-print-directory --output-sync -j2 .check/style .check/types .check/rest

.check/style: .stamp/python
	ruff format --check .
	ruff check .

.check/types: .stamp/python # a minute of one core where nothing is cached: the other core does the rest
	mypy $(CODE) tests

.check/rest: .stamp/npm
	lint-imports --no-cache
	node node_modules/typescript/bin/tsc -p .
	cd proto && $(BUF) lint && $(BUF) breaking --against released.binpb
	python -m pytest -q tests/contract/test_generated.py

format: ## format the code and apply safe fixes
	ruff check --fix -q . || true
	ruff format .

gen: .stamp/python ## write everything that is generated from the contracts
	python proto/tools/generate.py

released: .stamp/npm ## after a release: freeze the contracts that later ones are compared with
	cd proto && $(BUF) build -o released.binpb
	python proto/tools/generate.py --release

bench: setup ## measure; prints ratios of one run
	python -m pytest tests/bench tests/browser/site -o python_files='bench_*.py' -o timeout=1200 -q -s

lock: .stamp/uv ## pin requirements.in anew
	uv pip compile requirements.in -o requirements.lock --python-version 3.11 --no-emit-index-url --no-header \
	    --no-annotate --generate-hashes -q --override requirements.overrides

clean: ## remove everything that was built or installed; .potluck/ (your data) stays
	rm -rf $(V) .stamp .cache node_modules .mypy_cache .ruff_cache .pytest_cache services/gateway/src/gateway/static
