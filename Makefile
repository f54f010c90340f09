# Seekpoint's commands; `make` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

.PHONY: help run test check fix unit contract milvus app browser bench evaluate screenshot

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(RUNTIME) ## start Seekpoint; Streamlit's own environment variables are honoured
	$(BIN)/streamlit run app.py

test: $(DEV) chromium postgres ## everything: lint, types, unit, contract, store, page and browser tests
	@$(MAKE) --no-print-directory -j 2 check tests

.PHONY: tests
tests: $(DEV)
	$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder

check: $(DEV) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(DEV) ## lint and format, mending what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit contract milvus app: $(DEV)
	$(BIN)/pytest tests/$@

browser: $(DEV) chromium
	$(BIN)/pytest tests/browser

bench: $(DEV) chromium ## every figure of the README as one report; REPORT=file keeps it
	$(BIN)/python -m benchmarks.report $(REPORT)

evaluate: $(RUNTIME) ## search quality on the sample library
	$(BIN)/python -m samples.evaluate

screenshot: $(DEV) chromium ## make the README's pictures anew
	README_SCREENSHOT=docs/search.png README_SCREENSHOT_EXPLORE=docs/explore.png $(BIN)/pytest tests/browser -k screenshot

$(RUNTIME): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Seekpoint needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(DEV): $(RUNTIME) requirements-server.txt pyproject.toml
	$(BIN)/python -m pip install --quiet -r requirements.txt -r requirements-server.txt --group dev
	@touch $@

.PHONY: postgres
postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; \
		else \
			echo "The server tests need PostgreSQL. Install it first: sudo apt-get install postgresql"; exit 1; \
		fi; }

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
		else \
			echo "The browser tests need Chromium. Install it first: sudo apt-get install chromium"; exit 1; \
		fi; }
