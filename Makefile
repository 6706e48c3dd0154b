# `make tables` (Tables I-III) and `make test`. Both create .venv from the lock if it is missing.

PYTHON ?= python3
PRESET ?= embedded
FUZZ_SECONDS ?= 60
BIN := .venv/bin
INSTALLED := .venv/.installed
PYTEST_ARGS := --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Snakemake needs a user name and a folder for its cache. Containers may have neither.
export USER ?= user
export XDG_CACHE_HOME ?= $(shell test -w "$$HOME" && echo "$$HOME/.cache" || echo "$(CURDIR)/tmp/cache")

.PHONY: tables test test-all fuzz lint audit sync bench-data bench-gpu bench-render bench-mapper paper-smoke paper-dry-run lock schema publish report crate

tables: $(INSTALLED)
	snakemake --cores all $(SNAKEMAKE_ARGS)

test: $(INSTALLED) lint
	pytest $(PYTEST_ARGS)

# With the tests that take minutes, or need Slurm.
test-all: $(INSTALLED) lint
	pytest $(PYTEST_ARGS) -m ""

# Damaged and hostile input for every reader, FUZZ_SECONDS each.
fuzz: $(INSTALLED)
	POINTSPIDER_FUZZ_SECONDS=$(FUZZ_SECONDS) pytest --numprocesses logical --maxprocesses 8 -m "" tests/fuzz

lint: $(INSTALLED)
	ruff check . && ruff format --check .
	mypy
	lint-imports
	snakefmt --check Snakefile workflow/rules
	snakemake --lint

# The lock against the advisories of the Python Package Index.
audit: $(INSTALLED)
	uvx pip-audit --requirement requirements.lock --require-hashes --disable-pip

# After `git clone` or `git pull`: pull the results from the DVC remote and mark them as up to date for Snakemake.
sync: $(INSTALLED)
	dvc pull dvc.yaml
	test "$$(dvc status --json dvc.yaml)" = "{}" || { dvc status dvc.yaml; exit 1; }
	snakemake --touch --forceall --cores 1

# The tables and plots that the documentation shows, from a finished run: docs/embedded/.
publish: $(INSTALLED)
	rm -rf docs/embedded && mkdir -p docs/embedded/speed
	cp -r results/embedded/tables results/embedded/plots docs/embedded
	cp results/embedded/speed/table*.* results/embedded/speed/speed.svg docs/embedded/speed
	rm docs/embedded/tables/*_corruptions.csv # a megabyte, shown by the plots
	sed -i.bak /sheets/d docs/embedded/tables/summary.md && rm docs/embedded/tables/summary.md.bak # megabytes too

# Snakemake's report of a finished run, one HTML file: results/$(PRESET)/report.html.
report: $(INSTALLED)
	snakemake --cores all --config preset=$(PRESET) $(SNAKEMAKE_ARGS) -- pages
	snakemake --cores all --config preset=$(PRESET) $(SNAKEMAKE_ARGS) --report results/$(PRESET)/report.html \
	  --report-stylesheet workflow/report/style.css -- pages

# The run as an RO-Crate to deposit, with its report: results/$(PRESET)/crate.zip.
crate: report
	python workflow/crate.py results/$(PRESET) results/$(PRESET)/crate.zip

# The JSON schema and the reference page of the parameters, from their models.
schema: $(INSTALLED)
	python -m pointspider.study.config

# Benchmark corruptions and embeddings of renders against plain loops: benchmarks/out/data.csv.
bench-data: $(INSTALLED)
	python benchmarks/data.py

# Benchmark training and prediction of mappers against a plain PyTorch loop: benchmarks/out/mapper.csv.
bench-mapper: $(INSTALLED)
	python benchmarks/mapper.py

# Benchmark renders, mappers and CLIPs on a GPU (8 minutes): benchmarks/gpu.md.
bench-gpu: $(INSTALLED)
	python benchmarks/gpu.py

# Benchmark the renderer at full size (20 minutes on a quiet machine): benchmarks/out/rendering.csv.
bench-render: $(INSTALLED)
	python benchmarks/rendering.py

# Run the preset `paper` on small substitutes for all downloads.
paper-smoke: $(INSTALLED)
	python benchmarks/paper_smoke.py tmp/paper-smoke

# Estimate what `snakemake --config preset=paper` downloads and runs, and how long it takes.
paper-dry-run: $(INSTALLED)
	python benchmarks/paper_dry_run.py

# requirements.lock and envs/*.yaml from pyproject.toml. Versions in the lock stay, unless UPGRADE=--upgrade.
lock: $(INSTALLED)
	python envs/lock.py $(UPGRADE)

# uv installs the lock in a third of pip's time. Without uv, pip installs it. Both check every hash.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"PointSpider needs Python 3.11 or newer, and $(PYTHON) is {sys.version.split()[0]}: set PYTHON=python3.x")'
	$(PYTHON) -m venv --clear .venv
	sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.lock
	if $(BIN)/pip install --quiet --require-hashes --requirement .venv/uv.lock; \
	then $(BIN)/uv pip sync --quiet --compile-bytecode --python .venv --require-hashes requirements.lock; \
	else $(BIN)/pip install --quiet --require-hashes --requirement requirements.lock; fi
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
