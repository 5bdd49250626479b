# The two commands of the README are `make demo` and `make test`. Both set up .venv first, whatever it needs.
# EXTRA=gpu takes the official vLLM build instead of the CPU one.

PYTHON ?= python3
EXTRA ?= cpu
BIN := .venv/bin

# Where pip is told to look for local wheels, uv looks too; elsewhere uv finds the CPU build of torch by itself.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
TORCH := $(if $(filter cpu,$(EXTRA)),$(if $(UV_FIND_LINKS),,--torch-backend=cpu),)
CONSTRAINTS := $(if $(filter cpu,$(EXTRA)),--constraint deploy/constraints-cpu.txt,)
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(TORCH) $(CONSTRAINTS)

.DEFAULT_GOAL := help
.PHONY: help demo test lint types check proto publish-proto bench-activation bench-adapter-gate bench-coordinator bench-escrow bench-marks bench-provider bench-quality bench-verifier exact-verifier fuzz-adapter mutate-escrow soak-crash soak-escrow soak-provider test-gpu constraints clean

help: ## What there is to make.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

demo: .venv/ready ## The whole story on this machine: three jobs, three providers, one paid. 5 to 10 minutes.
	$(BIN)/hallmark demo

test: .venv/ready-dev ## All tests: those without torch, Ray or vLLM side by side, then the real stack.
	$(BIN)/python -m pytest -m "not stack" -n logical --dist loadgroup
	$(BIN)/python -m pytest -m stack

lint: .venv/ready-dev ## Format and lint rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready-dev ## Strict types.
	$(BIN)/mypy

check: lint types test ## What CI runs.

proto: .venv/ready-dev ## Regenerates node/wire/hallmark from proto/.
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python proto/generate.py
	$(BIN)/buf lint proto

publish-proto: .venv/ready-dev ## What clients may rely on from now on: later changes to the API must be compatible with it.
	$(BIN)/buf build proto --exclude-source-info -o proto/published.binpb

bench-activation: .venv/ready-dev ## How reliably an honest provider passes the demonstration, over 10 seeds. 40 minutes. ARGS="--noise-percent 25 ...": another policy.
	$(BIN)/python tests/bench/bench_activation.py $(ARGS)

bench-escrow: .venv/ready-dev ## Settlements per second beside the disk's own commit rate.
	$(BIN)/python tests/bench/bench_escrow.py

bench-coordinator: .venv/ready-dev ## Jobs created and seen through per second, beside commits and echoes; memory and answers with 100,000 jobs. 5 minutes.
	GRPC_VERBOSITY=ERROR PYTHONPATH=tests $(BIN)/python tests/bench/bench_coordinator.py

bench-marks: .venv/ready-dev ## What detectors find of the marks, and what passes without training. DATA=FOLDER of *.jsonl: 2 minutes a set.
	$(BIN)/python tests/bench/bench_marks.py $(if $(DATA),--data $(DATA))

bench-quality: .venv/ready-dev ## What marks cost the client's model: loss and exact answers with and without them. DATA=FILE.jsonl: an hour. ARGS="--rows 160 --seeds 2".
	$(BIN)/python tests/bench/bench_quality.py $(DATA) $(ARGS)

bench-provider: .venv/ready-dev ## Tokens/s of our trainer beside plain TRL, and what marks cost. 10 minutes. DATA=FILE.jsonl, ROUNDS=3.
	$(BIN)/python tests/bench/bench_provider.py $(DATA) --rounds $(or $(ROUNDS),3)

bench-verifier: .venv/ready ## Adapters a minute by transformers, stock vLLM and the verifier; memory, time until ready, cost beside training. 10 minutes.
	$(BIN)/hallmark bench verifier $(if $(filter 1,$(QUICK)),--quick) $(ARGS)

exact-verifier: .venv/ready-dev ## The verifier's answers beside slow greedy decoding: no difference. CASES=2000, LARGE=4 adapters of SmolLM2, RECORD=FILE to go on. 15 minutes.
	PYTHONPATH=tests $(BIN)/python tests/bench/exact_verifier.py $(or $(CASES),2000) --large $(or $(LARGE),4) $(if $(RECORD),--record $(RECORD))

bench-adapter-gate: .venv/ready-dev ## What the gate costs for each malformed adapter. A few minutes.
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_adapter_gate.py

fuzz-adapter: .venv/ready-dev ## Changed adapters before the gate: refused, or read as the safetensors library reads them. SECONDS=60.
	PYTHONPATH=tests $(BIN)/python tests/bench/fuzz_adapter.py --seconds $(or $(SECONDS),60)

soak-crash: .venv/ready-dev ## Kills a coordinator at every point of a job's life. SEEDS=3. CRASH_DATABASE=postgresql: on that database.
	CRASH_POINTS=all CRASH_SEEDS=$(or $(SEEDS),3) $(BIN)/python -m pytest tests/simulation --timeout=0

mutate-escrow: .venv/ready-dev ## Mutation score of the escrow contract's tests.
	$(BIN)/python tests/bench/mutate_escrow.py

soak-provider: .venv/ready-dev ## Kills a provider's trainer, agent or Ray at random moments of a job. RUNS=30: 15 minutes.
	PROVIDER_KILLS=$(or $(RUNS),30) $(BIN)/python -m pytest tests/simulation/test_provider_kills.py --timeout=0

test-gpu: .venv/ready-dev ## What needs a real GPU, and nothing else.
	$(BIN)/python -m pytest -m gpu

soak-escrow: .venv/ready-dev ## The escrow's stateful test, long and with fresh randomness.
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest tests/unit/contracts_sim/test_contract_machine.py --timeout=0

constraints: .venv/ready-dev ## Pins what is installed now into deploy/constraints-cpu.txt.
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | sed -E '/^(uv|pip|setuptools)=/d; s/\+cpu$$//' > deploy/constraints-cpu.txt

clean: ## Removes the environment.
	rm -rf .venv

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and "Hallmark needs Python 3.11 or 3.12: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

.venv/ready: .venv/bin/uv pyproject.toml deploy/constraints-cpu.txt
	@echo "Setting up .venv: torch, vLLM, Ray and the rest; a minute or two."
	$(INSTALL) --editable '.[$(EXTRA)]'
	@touch $@

.venv/ready-dev: .venv/ready
	$(INSTALL) --editable '.[$(EXTRA),dev]'
	@touch $@
