# Targets explain themselves: make help
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
RIG := $(VENV)/bin/rig
# What the host must have: QEMU; what builds images; a C compiler for what runs in the guest; Python's venv.
PACKAGES := qemu-system-x86 mmdebstrap e2fsprogs kmod cpio xz-utils zstd gcc libc6-dev make python3 python3-venv ca-certificates
# And for the tests: those of the debugger and of the reports, and what compiles a kernel.
TEST_PACKAGES := gdb chromium flex bison bc libelf-dev binutils git
# The kernel that the tests build from source, of the host's own suite.
SUITE := $(shell . /etc/os-release 2>/dev/null && echo $$VERSION_CODENAME)
SAMPLES ?=
# The kernels whose reports the tests of the checks and their document rest on.
KERNELS ?= debian:bullseye debian:bookworm debian:trixie debian:sid

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: venv ## Install what is missing, build the image, run the main job
	@$(MAKE) --no-print-directory link
	$(RIG) image build
	$(RIG) run overcommit-oops

packages: MISSING_OF = $(PACKAGES)
test-packages: MISSING_OF = $(TEST_PACKAGES)
test-packages: ## Install what only the tests need
packages test-packages: ## Install the Debian packages that are missing (as root or with sudo)
	@missing=$$(for package in $(MISSING_OF); do \
		dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q '^install ok installed$$' || echo $$package; done); \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo=sudo; \
	else echo "Missing packages, and no sudo to install them with. As root:"; \
		echo "  apt-get install --no-install-recommends" $$missing; exit 1; fi; \
	echo "installing:" $$missing; \
	$$sudo apt-get update -qq && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null

venv: packages $(VENV)/ready ## The virtual environment with rig in it

$(VENV)/ready: pyproject.toml
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[debug,dev]'
	touch $@

link: ## Put rig on PATH, where nothing of that name is in the way
	@for folder in /usr/local/bin $(HOME)/.local/bin; do \
		[ -d $$folder ] && [ -w $$folder ] || continue; \
		if [ -e $$folder/rig ] && [ "$$(readlink $$folder/rig)" != "$(CURDIR)/$(RIG)" ]; then \
			case "$$(readlink $$folder/rig)" in */.venv/bin/rig) ;; *) continue;; esac; fi; \
		ln -sfn $(CURDIR)/$(RIG) $$folder/rig && echo "rig is $$folder/rig" && exit 0; done; \
	echo "rig is $(CURDIR)/$(RIG): put that folder on PATH"

check: venv ## Style, types, layers and unit tests: under 90 s
	$(VENV)/bin/ruff check rig tests
	$(VENV)/bin/ruff format --check --quiet rig tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q -n 2 -m "not guest and not browser" tests

# The kernel takes longest, so it is begun first, in a process group of its own; the guests' tests wait for it where
# they boot it (a lock of the cache), and it ends with them.
test: venv test-packages ## All tests: the fast ones, then those that open a browser, then those that boot guests
	@setsid nice -n 10 $(RIG) kernel build source:$(SUITE) >$(VENV)/kernel-build.log 2>&1 & build=$$!; \
	trap 'kill -TERM -- -$$build 2>/dev/null || true; wait $$build 2>/dev/null || true' EXIT; \
	set -e; \
	$(MAKE) --no-print-directory check; \
	$(PY) -m pytest -q -m browser tests; \
	$(PY) -m pytest -q -m guest tests; \
	wait $$build || { tail -n 40 $(VENV)/kernel-build.log; exit 1; }; \
	tail -n 1 $(VENV)/kernel-build.log

verify-mutants: venv ## Run the checks of rig verify with each of their conditions negated: none may pass
	$(PY) -m rig.verify.mutants

verify-recorded: venv ## Record anew what kernels report for the checks: make verify-recorded KERNELS="debian:sid ..."
	$(PY) -m rig.verify.recorded $(KERNELS)

docs: venv ## The tables of the documents that the code gives
	$(VENV)/bin/python -m rig.scenario.model_tables

bench: venv ## The numbers, each with its reference from the same run
	$(PY) -m tests.benchmarks.image_build
	$(PY) -m tests.benchmarks.main_job
	$(PY) -m tests.benchmarks.replay
	$(PY) -m tests.benchmarks.report
	$(PY) -m tests.benchmarks.sweep_jobs
	$(PY) -m tests.benchmarks.guest_memory
	$(PY) -m tests.benchmarks.virtme

klog-bench: venv ## Score the log reader on a folder of samples: make klog-bench SAMPLES=DIR
	$(PY) -m tests.benchmarks.klog_samples $(SAMPLES)

schema: venv ## Write rig/klog/log.schema.json, the form of rig explain --json, from the models
	$(PY) -c 'from rig.klog.schema import json_schema; print(json_schema(), end="")' >$(VENV)/log.schema.json
	mv $(VENV)/log.schema.json rig/klog/log.schema.json

clean: ## End and remove what a killed rig left behind
	$(RIG) clean

.PHONY: help run packages test-packages venv link check test docs verify-mutants verify-recorded bench klog-bench schema clean
