# SPDX-License-Identifier: MIT
"""Each check of the kernel's rules over what a 6.1 kernel showed, and over the same with the rule broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rig.verify.check import Saw, judged, release_of
from rig.verify.checks import catalogue

HEARD: dict[str, Any] = json.loads((Path(__file__).parent / "heard-6.1.json").read_text())
CHECKS = catalogue()
ENOMEM, EAGAIN = "12", "11"

# Check -> what a kernel that breaks the rule would have shown instead; each entry alone must fail it.
BROKEN: dict[str, list[dict[str, str]]] = {
    "mode0-single": [{"largest": "124312"}, {"largest": "124320"}, {"errno": "0"}],
    "mode0-swap": [{"largest": "124316"}, {"swap": "0"}],
    "mode0-sum": [{"charged": "93236"}, {"each": "1000"}],
    "mode1-any": [{"errno": ENOMEM}, {"left": "4"}],
    "mode2-single": [{"largest": "124316"}, {"largest": "50000"}, {"errno": "0"}],
    "mode2-sum": [{"second": "0"}, {"first": ENOMEM}],
    "mode2-within": [{"errno": ENOMEM}, {"charged": "0"}],
    "mode-range": [{"errno": "0"}, {"mode": "3"}],
    "mode2-switch": [{"errno": "22"}, {"more": "0"}, {"after": ENOMEM}, {"committed": "1000"}],
    "limit-ratio": [{"at_0": "4"}, {"at_37": "46000"}, {"at_50": "0"}, {"at_150": "124316"}],
    "limit-kbytes": [{"limit": "62156"}],
    "limit-kbytes-swap": [{"limit": "65536"}],
    "limit-swap": [{"limit": "62156"}, {"swap": "0", "limit": "62156"}],
    "limit-hugetlb": [{"limit": "62156"}, {"huge": "0"}],
    "limit-kbytes-hugetlb": [{"limit": "57344"}, {"huge": "0"}],
    "limit-exclusive": [{"ratio_after_kbytes": "50"}, {"kbytes_after_ratio": "65536"}],
    "admin-reserve": [{"nobody_with": "95352"}, {"root_with": "87868"}],
    "user-reserve-bound": [{"with": "96060"}, {"with": "79636"}],
    "user-reserve-share": [{"with": "96060"}, {"with": "0"}],
    "percpu-slack": [{"committed": "104000"}, {"committed": "90000"}],
    "fork-charged": [{"charged": "0"}, {"charged": "32768"}, {"errno": ENOMEM}],
    "fork-shared": [{"charged": "33472"}],
    "fork-refused": [{"errno": "0"}, {"errno_mode0": ENOMEM}],
    "vfork-free": [{"charged": "32768"}],
    "clone-vm-free": [{"charged": "32768"}],
    "anon-charged": [{"charged": "0"}],
    "readonly-free": [{"charged": "16384"}],
    "shared-anon": [{"charged": "0"}],
    "file-readonly-free": [{"charged": "256"}],
    "file-writable": [{"charged": "0"}],
    "file-shared-free": [{"charged": "256"}],
    "mprotect-touched": [{"writable": "0"}, {"readonly": "8192"}, {"readonly_again": "0"}],
    "mprotect-untouched": [{"readonly_again": "0"}, {"writable": "0"}],
    "sysv-shm": [{"charged": "0"}, {"after": "8192"}],
    "memfd-by-page": [{"empty": "16384"}, {"full": "16384"}, {"after": "4096"}],
    "noreserve-mode0": [{"charged": "16384"}],
    "noreserve-mode1": [{"charged": "16384"}],
    "noreserve-mode2": [{"charged": "0"}],
    "hugetlb-free": [{"charged": "2048"}],
    "mremap": [{"charged": "0"}, {"after": "8192"}],
    "brk": [{"charged": "0"}, {"after": "8192"}],
    "stack": [{"charged": "0"}, {"grown": "0", "charged": "0"}],
    "munmap": [{"left": "16384"}, {"left": "0"}],
    "exit": [{"after": "16384"}, {"during": "0"}],
    "dontneed": [{"charged": "0"}],
    "max-map-count": [{"errno": "0"}, {"made": "2000"}, {"free": "100"}],
    "rlimit-as": [{"above": "0"}, {"within": ENOMEM}, {"free": "100"}],
    "pids-max": [{"errno": ENOMEM}, {"forked": "16"}],
    "min-free": [{"watermarks": "4096"}, {"movable": "128"}],
    "oom-largest": [{"killed": "small", "oom_victim": "small"}, {"oom_constraint": "CONSTRAINT_MEMCG"}],
    "oom-adj-min": [{"killed": "large", "oom_victim": "large"}, {"killed": "nobody"}],
    "oom-adj-max": [{"killed": "large", "oom_victim": "large"}],
    "oom-allocating": [{"killed": "large", "oom_victim": "large"}, {"large": "1000"}],
    "oom-dump-tasks-0": [{"oom_tasks": "3"}, {"ooms": "0"}],
    "oom-dump-tasks-1": [{"oom_tasks": "0"}],
    "sysrq-f": [{"killed": "small"}, {"oom_order": "0"}, {"free": "1000"}],
    "panic-1-sysrq": [{"panics": "1"}, {"killed": "nobody"}],
    "memcg-limit": [{"killed": "outside"}, {"oom_constraint": "CONSTRAINT_NONE"}, {"free": "100"}],
    "memcg-largest": [{"oom_victim": "small"}, {"oom_constraint": "CONSTRAINT_NONE"}],
    "memcg-events": [{"oom": "0"}, {"oom_kill": "0"}, {"max": "0"}],
    "memcg-group": [{"killed": "eater"}, {"killed": "outside,first,second,eater"}],
    "memcg-group-protected": [{"killed": "first,second,eater"}],
    "memcg-allocating": [{"oom_victim": "eater"}, {"killed": "eater"}],
    "panic-1-memcg": [{"panics": "1"}, {"killed": "nobody"}],
    "panic-1-global": [{"panics": "0"}, {"panic": "Out of memory: compulsory panic_on_oom is enabled"}],
    "panic-2-memcg": [{"panics": "0"}, {"panic": "Out of memory: system-wide panic_on_oom is enabled"}],
    "nobody-killable": [{"panics": "0"}, {"panic": "Out of memory: system-wide panic_on_oom is enabled"}],
    "cpuset-oom": [{"killed": "outside"}, {"oom_constraint": "CONSTRAINT_NONE"}, {"ooms": "2"}],
    "panic-1-cpuset": [{"panics": "1"}, {"oom_constraint": "CONSTRAINT_NONE"}],
    "mempolicy-oom": [{"oom_constraint": "CONSTRAINT_NONE"}, {"killed": "nobody"}],
    "panic-1-mempolicy": [{"panics": "1"}, {"oom_constraint": "CONSTRAINT_NONE"}],
}


def saw(name: str, **changes: str) -> Saw:
    return Saw(HEARD["checks"][name] | changes, release_of(HEARD["release"]))


def test_there_are_checks_enough_and_each_names_its_sources() -> None:
    assert len(CHECKS) >= 34
    assert all(check.sources and check.sentence.endswith(".") for check in CHECKS.values())


def test_every_check_has_a_way_to_fail() -> None:
    assert set(BROKEN) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_check_passes_on_what_a_kernel_showed(name: str) -> None:
    assert judged(CHECKS[name], saw(name)).status == "pass"


@pytest.mark.parametrize(("name", "changes"), [(name, each) for name in BROKEN for each in BROKEN[name]])
def test_check_fails_on_a_kernel_that_breaks_its_rule(name: str, changes: dict[str, str]) -> None:
    result = judged(CHECKS[name], saw(name, **changes))

    assert result.status == "fail"
    assert result.why == CHECKS[name].sentence


@pytest.mark.parametrize("name", CHECKS)
def test_check_without_its_numbers_is_broken_not_failed(name: str) -> None:
    assert judged(CHECKS[name], Saw({})).status == "broken"


def test_check_of_what_the_kernel_has_not_is_not_applicable() -> None:
    result = judged(CHECKS["sysv-shm"], Saw({"na": "ENOSYS"}))

    assert (result.status, result.why) == ("not-applicable", "the kernel says ENOSYS")


def test_check_whose_process_died_is_broken() -> None:
    assert judged(CHECKS["brk"], Saw({"broken": "139"})).status == "broken"


def test_rule_that_a_commit_changed_is_judged_by_the_kernels_version() -> None:
    given_back = HEARD["checks"]["mprotect-untouched"] | {"readonly_again": "0"}

    assert judged(CHECKS["mprotect-untouched"], Saw(given_back, (6, 12))).status == "pass"
    assert judged(CHECKS["mprotect-untouched"], Saw(given_back, (6, 1))).status == "fail"
