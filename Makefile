# Two commands: `make demo` and `make test`. They need make and Python 3.11, 3.12 or 3.13, and nothing else.
.DEFAULT_GOAL := help
.PHONY: help demo quick test test-all bench lint format docs wheel lock tree catalogues clean

# Neither an environment that happens to be active nor the settings of a surrounding make may redirect this one.
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONPATH PYTHONHOME
# The Python that is here is used. Fetching another one from the network is a choice for people, not for make.
export UV_PYTHON_DOWNLOADS = never

GOOD := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,\
    $(shell $(python) -c "$(GOOD)" >/dev/null 2>&1 && echo $(python))) python3)
UV ?= $(or $(shell command -v uv 2>/dev/null),.venv/bin/uv)
RUN := .venv/bin/
READY := .venv/ready
DEMO := build/iris-api
EXAMPLE := build/example/iris-api
BENCH := build/bench
# A worker for each processor, up to four: each starts servers and trainings of its own.
SIDE_BY_SIDE := --numprocesses=auto --maxprocesses=4 --dist=worksteal
# Sizes of what `make test` does in small: seconds of random requests, minutes of load, kills, jobs, texts, seconds of an outage.
LONG := FUZZ_SECONDS=600 SOAK_MINUTES=5 KILLS=20 SMALL_JOBS=600 TEXTS=3000 OUTAGE_SECONDS=30
TEMPLATE := cookiecutter.json hooks templates src '{{cookiecutter.project_slug}}'

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 - /p' Makefile | awk -F ' - ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo: $(READY) ## Write the default project to build/, train it, serve it at https://localhost:8443
	@if test -f $(DEMO).written && test -z "$$(find $(TEMPLATE) -newer $(DEMO).written -type f ! -path '*/__pycache__/*')"; then \
	    echo "$(DEMO) is up to date with the template and stays as it is (make clean starts afresh)."; \
	else \
	    rm -rf $(DEMO) && mkdir -p build && touch $(DEMO).writing && \
	    { $(RUN)mlapi new --no-input --output-dir build >$(DEMO).log 2>&1 && \
	    $(RUN)python tools/wheel.py --uv $(UV) --into $(DEMO)/vendor >>$(DEMO).log 2>&1 || { cat $(DEMO).log >&2; exit 1; }; } && \
	    mv $(DEMO).writing $(DEMO).written && echo "The default project is in $(DEMO). Installing and serving it:"; \
	    UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --quiet --locked --no-default-groups --group train --project $(DEMO) --python $(PYTHON) \
	        --reinstall-package mlapi-engine || exit 1; \
	fi
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(MAKE) --no-print-directory -C $(DEMO) serve PYTHON=$(PYTHON)

quick: lint ## Check what takes a moment (a minute)
	UV=$(UV) $(RUN)pytest $(SIDE_BY_SIDE) -m "not full and not slow"

test: lint ## Check the library, the template, and generated projects that are installed and run; CI runs this (20 minutes)
	UV=$(UV) $(RUN)pytest $(SIDE_BY_SIDE) -m "not slow"

test-all: lint ## Check everything, also what takes long or has to be fetched: the tests before a release (an hour)
	UV=$(UV) $(LONG) $(RUN)pytest $(SIDE_BY_SIDE)

bench: $(READY) ## Measure the generated service beside its limit, its origin and its peers (QUICK=1: without peers)
	@command -v wrk >/dev/null || { echo "wrk is needed. On Debian: apt-get install wrk" >&2; exit 1; }
	@test -d $(BENCH)/iris-api && test -z "$$(find $(TEMPLATE) -newer $(BENCH)/iris-api -type f ! -path '*/__pycache__/*')" || { \
	    mkdir -p $(BENCH) && rm -rf $(BENCH)/iris-api && $(RUN)mlapi new --no-input --output-dir $(BENCH) 2>$(BENCH)/new.log \
	    || { cat $(BENCH)/new.log >&2; exit 1; }; }
	UV_PROJECT_ENVIRONMENT=.venv $(if $(findstring /,$(UV)),$(abspath $(UV)),$(UV)) sync --quiet --locked --no-default-groups --group train --group plot --project $(BENCH)/iris-api
	UV=$(if $(findstring /,$(UV)),$(abspath $(UV)),$(UV)) $(BENCH)/iris-api/.venv/bin/python benchmarks/bench.py --project $(BENCH)/iris-api --output $(BENCH) $(if $(QUICK),--quick) $(if $(MINUTES),--minutes $(MINUTES))
	$(if $(KEEP),cp $(BENCH)/bench.md benchmarks/results.md && cp $(BENCH)/bench.png docs/_static/benchmark.png)

lint: $(READY) ## Check style and types
	$(RUN)python tools/sample.py --uv $(UV) classification
	$(RUN)ruff check
	$(RUN)ruff format --check
	$(RUN)mypy

format: $(READY) ## Put the code into its standard form
	$(RUN)ruff check --fix
	$(RUN)ruff format

docs: $(READY) ## Build the handbook to docs/_build/html, with the site of the default project in example/
	rm -rf $(EXAMPLE) docs/_build
	$(RUN)sphinx-build -W --keep-going -n -b html -d docs/_build/doctrees docs docs/_build/html
	$(RUN)mlapi new --no-input --output-dir $(dir $(EXAMPLE)) docs_languages=en+fr 2>/dev/null
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(MAKE) --no-print-directory -C $(EXAMPLE) docs PYTHON=$(PYTHON)
	cp -R $(EXAMPLE)/docs/_build/html docs/_build/html/example
	@echo "The handbook is in docs/_build/html/index.html."

wheel: $(READY) ## Build the library's wheel into the template, where projects find it (after a raised version)
	$(RUN)python tools/wheel.py --uv $(UV) $(if $(REPLACE),--replace)
	@$(MAKE) --no-print-directory lock

lock: $(READY) ## Bring the template's lock and the lists that follow from it up to date (UPGRADE=1: with the newest versions)
	$(RUN)python tools/relock.py --uv $(UV) $(if $(UPGRADE),--upgrade)
	$(RUN)python tools/trees.py
	@git diff --stat -- hooks tests/tree '{{cookiecutter.project_slug}}/uv.lock'

tree: $(READY) ## Write down the lists of files that generated projects have (a test compares them)
	$(RUN)python tools/trees.py
	@git diff --stat -- tests/tree

catalogues: $(READY) ## Bring the translations of the template's pages up to date with them (what changed is marked)
	$(RUN)python tools/catalogues.py
	@git diff --stat -- '{{cookiecutter.project_slug}}/docs/locale'

clean: ## Remove what the other commands made
	rm -rf .venv build dist docs/_build .mypy_cache .pytest_cache .ruff_cache

# --inexact leaves uv in place where it was put into .venv below.
$(READY): pyproject.toml src/pyproject.toml uv.lock Makefile
	@$(PYTHON) -c "$(GOOD)" 2>/dev/null || { \
	    echo "Python 3.11, 3.12 or 3.13 is needed, and '$(PYTHON)' is not one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	    exit 1; }
	@command -v $(UV) >/dev/null || { \
	    echo "uv is not installed: putting it into .venv"; \
	    $(PYTHON) -m venv .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	$(UV) sync --locked --inexact --python $(PYTHON)
	@touch $@
