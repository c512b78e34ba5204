# Everything runs in .venv, made and filled on first use; PYTHON picks the interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := .venv-extras
WORKDIR ?= runs/demo

.PHONY: help setup demo test test-all test-extras lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: $(VENV)/.installed  ## make the virtual environment and install the package with its test tools

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "needs Python 3.11 to 3.13: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup  ## render scenes, train, score and export on two cores, in a few minutes
	$(BIN)/python launch.py --config=configs/demo.py --workdir=$(WORKDIR) --mode=train
	$(BIN)/python launch.py --config=configs/demo.py --workdir=$(WORKDIR) --mode=evaluate
	$(BIN)/python launch.py --config=configs/demo.py --workdir=$(WORKDIR) --mode=export

test: setup  ## the default tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: setup  ## the slow tests as well
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not tf'

# Extras in an environment of their own: TensorFlow and PyTorch are large, and nothing else may need them.
$(EXTRAS)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,annotate,tf,app,browser,notebook]'
	@touch $@

test-extras: $(EXTRAS)/.installed  ## tests that need TensorFlow, PyTorch, gradio and a browser, or Jupyter
	$(EXTRAS)/bin/python -m pytest -m tf tests/tfds_builders
	$(EXTRAS)/bin/python -m pytest tests/entities
	$(EXTRAS)/bin/python -m pytest tests/inference/test_fuser.py -k open_vocabulary
	$(EXTRAS)/bin/python -m pytest tests/cli/test_page_in_browser.py tests/notebooks

lint: setup  ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches
	rm -rf $(VENV) $(EXTRAS) .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info build dist
