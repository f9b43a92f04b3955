# Everything a newcomer, a developer and CI type. `make demo` and `make test` work on a bare machine with Python 3.11+.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-ray ray test-upstream upstream test-vllm vllm quick check rooms format bench in-box lock sandbox postgres clean

demo: .venv/.demo sandbox
	$(BIN)/maieutic demo

test: .venv/.dev sandbox postgres
	$(BIN)/pytest -rs

test-vllm: .venv/.train vllm ## the tests that need a real vLLM server, against one on the CPU with the in-box model
	MAIEUTIC_VLLM=$(CURDIR)/.venv-vllm/bin/vllm MAIEUTIC_TEST_VLLM=1 $(BIN)/pytest -rs tests/vllm

test-ray: ray ## collection in Ray actors, on this machine
	$(BIN)/pytest -rs tests/collector/test_ray.py tests/collector/test_ray_address.py

ray: .venv/.ray

test-upstream: upstream ## the exports, read by the classes and trainers of those for whom they are written
	MAIEUTIC_TEST_UPSTREAM=1 .venv-upstream/bin/python -m pytest -rs -W default tests/recipes tests/gate

upstream: .venv-upstream/.done ## TRL, datasets, verifiers, Harbor, LLaMA-Factory and OpenTelemetry, in an environment of their own

# verifiers asks for another mcp than ours; Harbor for Python 3.12, and LLaMA-Factory for audio libraries, though the
# few files that read trajectories and rows need neither: those two are unpacked and not installed.
.venv-upstream/.done: tests/upstream.txt constraints.txt
	$(PYTHON) -m venv .venv-upstream
	grep -v -E '^mcp(-types)?==' constraints.txt > .venv-upstream/constraints.txt
	.venv-upstream/bin/pip install --quiet --disable-pip-version-check -c .venv-upstream/constraints.txt -e . -r tests/upstream.txt
	rm -rf .venv-upstream/wheels .venv-upstream/unpacked
	.venv-upstream/bin/pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
	  --dest .venv-upstream/wheels harbor==0.25.0 llamafactory==0.9.5
	for wheel in .venv-upstream/wheels/*.whl; do .venv-upstream/bin/python -m zipfile -e $$wheel .venv-upstream/unpacked; done
	: > .venv-upstream/unpacked/llamafactory/data/__init__.py
	echo "$(CURDIR)/.venv-upstream/unpacked" > "$$(.venv-upstream/bin/python -c 'import site; print(site.getsitepackages()[0])')/unpacked.pth"
	@touch $@

vllm: .venv/.dev ## vLLM's CPU build, in an environment of its own
	@$(BIN)/pip install --quiet --disable-pip-version-check uv || echo "without uv this takes three times as long"
	$(BIN)/maieutic model install --cpu --into .venv-vllm

quick: .venv/.dev
	$(BIN)/pytest -m "not slow"

check: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports

rooms: ## the tables of files in the READMEs, from the modules' own words
	$(BIN)/python tests/support/rooms.py
	$(BIN)/python -m tests.support.drawings
	$(BIN)/python -m tests.support.environments

format: .venv/.dev rooms
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

in-box: .venv/.train ## train, export and measure the in-box model anew (about two hours on two cores)
	$(BIN)/python -m maieutic.in_box train --minutes 95 --out .in-box --resume
	$(BIN)/python -m maieutic.in_box export --from .in-box
	$(BIN)/python -m maieutic.in_box card

lock: .venv/.dev ## pin what was resolved today
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra envs --extra mcp --extra monty --extra parquet --extra local --extra providers --extra rag --extra sql --extra web --extra documents --extra train --extra ray --no-header --no-annotate --quiet -c constraints.in | grep -v -e '^nvidia-' -e '^triton' | sed 's/+cpu$$//' > constraints.new && mv constraints.new constraints.txt

sandbox: ## the python tool needs bubblewrap; only root may install it without asking
	@command -v bwrap >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && echo "Installing bubblewrap for the sandbox of the python tool" \
	  && apt-get update -qq && apt-get install -y -qq bubblewrap >/dev/null; } \
	  || echo "bubblewrap is not installed: what runs model-written code will be left out. Install it with: sudo apt-get install bubblewrap"

postgres: ## the tests of SQL start a server of their own; only root may install its programs without asking
	@ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 || command -v pg_ctl >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing PostgreSQL for the tests of the sql tool" \
	  && mkdir -p /etc/postgresql-common && { [ -e /etc/postgresql-common/createcluster.conf ] \
	  || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; } \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } \
	  || echo "PostgreSQL is not installed: its part of the sql tool will not be tested. Install it with: sudo apt-get install postgresql"

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[envs]'
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[envs,mcp,monty,parquet,providers,rag,sql,web,dev]'
	@touch $@ .venv/.demo

.venv/.train: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[envs,mcp,monty,parquet,providers,rag,sql,web,dev,train]'
	@touch $@ .venv/.dev .venv/.demo

.venv/.ray: .venv/.dev
	$(PIP) -e '.[ray]'
	@touch $@

clean:
	rm -rf .venv .venv-upstream .venv-vllm build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
