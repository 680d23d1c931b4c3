# SPDX-License-Identifier: MIT
"""Facts from a guest that ran the checks: its program's lines, and the kernel's log between two marks."""

from __future__ import annotations

import json
from pathlib import Path

from rig.verify.facts import collect_facts, kernel_facts

OOM = (
    b"[    8.100000] eater invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    b"[    8.200000] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    b"oom_memcg=/v,task_memcg=/v,task=eater,pid=90,uid=0\n"
    b"[    8.300000] Memory cgroup out of memory: Killed process 90 (eater) total-vm:4kB, anon-rss:4kB, file-rss:0kB\n"
)


def test_oom_belongs_to_the_check_that_was_running() -> None:
    console = (
        b"[    8.000000] rig-verify: begin memcg-limit\n" + OOM + b"[    8.400000] rig-verify: end memcg-limit\n"
        b"[    9.000000] rig-verify: begin sysrq-f\n[    9.100000] rig-verify: end sysrq-f\n"
    )

    facts = kernel_facts(console)

    assert facts["memcg-limit"]["oom_constraint"] == "CONSTRAINT_MEMCG"
    assert facts["memcg-limit"]["oom_victim"] == "eater"
    assert facts["sysrq-f"] == {"ooms": "0", "panics": "0"}


def test_request_that_failed_without_a_kill_is_no_oom() -> None:
    console = (
        b"[    8.000000] rig-verify: begin oom-retry-mayfail\n"
        b"[    8.100000] verify: page allocation failure: order:0, mode:0x404cc0(GFP_KERNEL|__GFP_RETRY_MAYFAIL), "
        b"nodemask=(null)\n[    8.400000] rig-verify: end oom-retry-mayfail\n"
    )

    assert kernel_facts(console)["oom-retry-mayfail"]["ooms"] == "0"


def test_panic_belongs_to_the_check_that_has_no_end() -> None:
    console = (
        b"[    8.000000] rig-verify: begin nobody-killable\n"
        b"[    8.500000] Kernel panic - not syncing: System is deadlocked on memory\n"
    )

    assert kernel_facts(console)["nobody-killable"]["panic"] == "System is deadlocked on memory"


def test_lines_of_programs_are_numbers_by_check(tmp_path: Path) -> None:
    records = [
        {"n": 0, "t": 1.0, "ev": "line", "program": "commit", "text": "check brk grown=8192 charged=8192 after=0"},
        {"n": 1, "t": 1.1, "ev": "line", "program": "commit", "text": "nothing of a check"},
        {"n": 2, "t": 1.2, "ev": "line", "program": "commit", "text": "check brk~grow grown=0"},
        {"n": 3, "t": 1.3, "ev": "line", "program": "commit", "text": "check brk more=1"},
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "console.log").write_bytes(b"")

    assert collect_facts(tmp_path) == {
        "brk": {"grown": "8192", "charged": "8192", "after": "0", "more": "1"},
        "brk~grow": {"grown": "0"},
    }
