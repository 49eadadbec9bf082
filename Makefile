# Everything a newcomer needs: `make demo`, `make test`, `make test-e2e`. Each makes .venv once and uses it afterwards.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
INSTALLED := $(VENV)/.installed
# Processes of pytest that take whole files: two keep two cores busy. Tests with servers wait for them much of the time, so that
# one takes the stack's, one after the other, and two the rest.
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/pytest --dist loadfile --no-loadscope-reorder --durations=20

.PHONY: demo test test-e2e lint stack stack-test bench bench-gpu clean

demo: $(INSTALLED)
	$(VENV)/bin/itrp demo

# Code, types, import rules, and every test that needs no server, kills nothing and starts no program: within ten minutes
test: $(INSTALLED) lint
	$(PYTEST) -n 2 -m "not e2e"

# The others: real servers, kills, README and demo as processes, Ray, torchrun, int8, real tweets
test-e2e: $(INSTALLED)
	$(PYTEST) -n 3 -m e2e

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "itrp needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

stack: $(INSTALLED)
	$(VENV)/bin/python -m infra.stack

stack-test: $(INSTALLED)
	$(VENV)/bin/pytest tests/stack --durations=20

BENCHMARKS := clustering decoding start_up growth memory scoring runtimes aligned alignment_growth
# Whole training beside the public reference implementation needs a checkout of it and tweets:
# make bench REFERENCE=CHECKOUT TWEETS=TWITTER100K_LAYOUT LABELLED=CAPTIONS_MATCH; without them its row stays as it is
bench: $(INSTALLED)
	for name in $(BENCHMARKS); do $(VENV)/bin/python -m tests.benchmarks.$$name || exit 1; done
	$(if $(REFERENCE),$(VENV)/bin/python -m tests.benchmarks.training --reference $(REFERENCE) --data $(TWEETS) --labelled $(LABELLED))
	$(VENV)/bin/python -m tests.benchmarks.report

bench-gpu: $(INSTALLED)
	$(VENV)/bin/python -m tests.benchmarks.gpu
	$(VENV)/bin/python -m tests.benchmarks.report

clean:
	rm -rf $(VENV) itrp-demo .stack
