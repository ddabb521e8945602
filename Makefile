# Everything a person or CI does here. `make demo` and `make test` start from a bare machine:
# git, make, python3 (3.11 or newer) and apt are enough.

PYTHON ?= python3
QGIS_PYTHON ?= /usr/bin/python3
LIGHT := .venv/bin/python

.PHONY: env lint types
env: .venv/.ready

.venv/.ready: pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -e '.[dask,bench,dev]'
	touch $@

lint: env types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# mypy wants the package under its own name, whatever the clone's folder is called.
types:
	mkdir -p build/types/terramend
	for part in __init__.py plugin.py backend models ui; do ln -sfn ../../../$$part build/types/terramend/$$part; done
