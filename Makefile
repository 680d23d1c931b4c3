# Targets explain themselves: make help
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
RIG := $(VENV)/bin/rig
# For `make run`: QEMU; what builds images; a C compiler for what runs in the guest; Python's venv.
PACKAGES := qemu-system-x86 mmdebstrap e2fsprogs kmod cpio xz-utils zstd gcc libc6-dev make python3 python3-venv ca-certificates
# And for `make test`: the debugger, a browser for the reports, and what compiles a kernel.
TEST_PACKAGES := mount gdb chromium flex bison bc libelf-dev binutils git
SUITE ?= bookworm
SAMPLES ?=
SUITES ?=
ONLY ?=
PIP_INSTALL := $(VENV)/bin/pip install --quiet --disable-pip-version-check
PYTEST := $(PY) -m pytest -q --durations=10 --durations-min=1
# The kernels whose reports the tests of the checks and their document rest on.
CHECKS ?=
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
all-extras: venv $(VENV)/all-extras ## And with its extras, the checkers and what the tests need

$(VENV)/ready: pyproject.toml
	python3 -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

page: venv ## The log reader as static files for a browser, in build/page
	@{ command -v npm && command -v node; } >/dev/null || [ -x $(VENV)/bin/npm ] || $(PIP_INSTALL) -e '.[page]'
	$(PY) -m rig.report.page.build build/page

$(VENV)/all-extras: $(VENV)/ready
	$(PIP_INSTALL) -e '.[debug,dev]'
	touch $@

link: ## Put rig on PATH, where nothing of that name is in the way
	@for directory in /usr/local/bin $(HOME)/.local/bin; do \
		[ -d $$directory ] && [ -w $$directory ] || continue; \
		if [ -e $$directory/rig ] && [ "$$(readlink $$directory/rig)" != "$(CURDIR)/$(RIG)" ]; then \
			case "$$(readlink $$directory/rig)" in */.venv/bin/rig) ;; *) continue;; esac; fi; \
		ln -sfn $(CURDIR)/$(RIG) $$directory/rig && echo "rig is $$directory/rig" && exit 0; done; \
	echo "rig is $(CURDIR)/$(RIG): put that directory on PATH"

check: all-extras ## Style, types, layers and unit tests: under 90 s
	$(VENV)/bin/ruff check rig tests
	$(VENV)/bin/ruff format --check --quiet rig tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTEST) -n 3 --dist worksteal -m "not guest and not browser" tests

# The kernel of the host's suite takes longest, so it is begun first, in a process group of its own; the guests' tests
# wait for it where they boot it (a lock of the cache), and it ends with them. In CI each guest's test is named as it ends:
# the failures themselves are printed after all of them.
test: all-extras test-packages page ## All tests: the fast ones, then those that open a browser, then those that boot guests
	@suite=$$($(PY) -c 'from rig.image.apt import host_suite; print(host_suite())') || exit; \
	setsid nice -n 10 $(RIG) kernel build source:$$suite >$(VENV)/kernel-build.log 2>&1 & build=$$!; \
	trap 'kill -TERM -- -$$build 2>/dev/null || true; wait $$build 2>/dev/null || true' EXIT; \
	set -e; \
	$(MAKE) --no-print-directory check; \
	$(PYTEST) -m browser tests; \
	$(PYTEST) $(if $(CI),-vv) -n 2 --dist loadfile -m guest tests; \
	wait $$build || { tail -n 40 $(VENV)/kernel-build.log; exit 1; }; \
	tail -n 1 $(VENV)/kernel-build.log

cause-logs: all-extras ## Make the OOM reports of known causes anew, in guests: make cause-logs SUITES="sid" ONLY="slab"
	$(PY) -m tests.klog.causes $(foreach name,$(ONLY),--only $(name)) $(SUITES)

klog-certainty: all-extras ## How certain the log reader says it is, against how often it is right
	$(PY) -m tests.benchmarks.klog_certainty --wrong

docs: all-extras ## Write what the documents take from the code: tables, the help of the commands
	$(PY) -m rig.scenario.model_tables
	$(PY) -m rig.cli.write_docs
	$(PY) -m tests.article.write
	$(PY) -m tests.klog.causes.write

article: all-extras ## Make the runs anew that docs/article.md is written from, and write it. RESUME=1 goes on where it was interrupted
	$(if $(RESUME),,rm -f build/recorded)
	$(PY) -m tests.scenario.recorded --done build/recorded
	$(PY) -m tests.article.host
	$(PY) -m tests.article.write
	rm -f build/recorded

lies: all-extras ## Run the scenarios that were written to mislead: each verdict beside the right one
	$(PY) -m tests.lies

faults: all-extras ## Try some 750 faults and 3,000 mutated logs, as root: signals, full disks, damaged files, harmful input: make faults PART=1 ROWS="signal disk"
	$(PY) -m tests.faults $(if $(PART),--part) $(ROWS)

verify-mutants: all-extras ## Run the checks of rig verify with each condition negated, on each kernel: none may pass. RESUME=1 goes on where it was interrupted
	$(if $(RESUME),,rm -f build/mutants)
	$(PY) -m rig.verify.mutants --kept build/mutants $(foreach kernel,$(KERNELS),--kernel $(kernel)) $(CHECKS)

verify-recorded: all-extras ## Record anew what kernels report for the checks: make verify-recorded CHECKS="brk exit"
	$(PY) -m rig.verify.recorded $(foreach name,$(CHECKS),--check $(name)) $(KERNELS)

fresh: ## make run and make test in a fresh minimal Debian (as root): make fresh SUITE=bookworm|trixie|sid
	.ci/run $(SUITE)

bench: all-extras ## The numbers, each with its reference from the same run
	$(PY) -m tests.benchmarks.first_verdict
	$(PY) -m tests.benchmarks.image_build
	$(PY) -m tests.benchmarks.main_job
	$(PY) -m tests.benchmarks.replay
	$(PY) -m tests.benchmarks.report
	$(PY) -m tests.benchmarks.klog_hostile --slowest 5
	$(PY) -m tests.benchmarks.page
	$(PY) -m tests.benchmarks.sweep_jobs
	$(PY) -m tests.benchmarks.branch
	$(PY) -m tests.benchmarks.guest_memory
	$(PY) -m tests.benchmarks.program_starts
	$(PY) -m tests.benchmarks.virtme
	$(PY) -m tests.benchmarks.peers

test-qemu: all-extras ## Try every QEMU that Debian serves, and compare their speed: make test-qemu QEMUS=bookworm,sid TRY=speed
	$(PY) -m tests.benchmarks.qemu_versions $(if $(QEMUS),--only $(QEMUS)) $(if $(TRY),--columns $(TRY))

reproduce-bench: all-extras ## Reproduce the OOM reports of a directory: make reproduce-bench LOGS=DIR
	$(PY) -m tests.benchmarks.reproduce_reports $(LOGS)

remedies: all-extras ## Measure the remedies that rig explain quotes, in replicas of each kind of failure: make remedies KIND=processes
	$(PY) -m rig.cli.write_remedies $(KIND)
	$(VENV)/bin/ruff format --quiet rig/klog/explain/measured_remedies.py

klog-bench: all-extras ## Score the log reader on a directory of samples: make klog-bench SAMPLES=DIR
	$(PY) -m tests.benchmarks.klog_samples $(SAMPLES)

FUZZ_SECONDS ?= 240
fuzz: all-extras ## Run a coverage-guided fuzzer over the readers of untrusted input, FUZZ_SECONDS=240 for all together
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	$(PY) -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

schema: all-extras ## Write rig/klog/log.schema.json, the form of rig explain --json, from the models
	$(PY) -c 'from rig.klog.schema import json_schema; print(json_schema(), end="")' >$(VENV)/log.schema.json
	mv $(VENV)/log.schema.json rig/klog/log.schema.json

clean: ## End and remove what a killed rig left behind
	$(RIG) clean

.PHONY: cause-logs klog-certainty help man deb page run packages test-packages venv all-extras link check test fresh docs article lies faults verify-mutants verify-recorded bench remedies klog-bench reproduce-bench fuzz schema clean test-qemu
