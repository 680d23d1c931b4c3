# Targets explain themselves: make help
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

check: ## Style, types, layers and unit tests: under 90 s
	$(VENV)/bin/ruff check rig tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q -n 2 -m "not guest" tests

.PHONY: help check
