# SPDX-License-Identifier: MIT
"""A log that disagrees with the kernel's counters is not evidence: the run is invalid, with the reason."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from rig.klog import read
from rig.klog.explain.asked import origin
from rig.run.document import Claimed
from rig.scenario.compare_reports import compare_reports
from rig.scenario.cross_check import cross_check
from rig.scenario.evidence import Evidence
from rig.scenario.judge import judge_scenario
from rig.scenario.programs_lived import PROGRAMS
from rig.scenario.settings_held import SETTINGS
from tests.scenario.recorded import Recorded, recorded

CUT = b"invoked oom-killer"


def cross_checked(evidence: Evidence) -> Claimed | None:
    return cross_check(evidence, compare_reports(evidence))


def check(run: Recorded, panicked: bool | None = None) -> Claimed:
    found = cross_checked(replace(run.evidence(), panicked=panicked))
    assert found is not None
    return found


def verdict(run: Recorded) -> tuple[str, str]:
    judgement = run.judged()
    return judgement.verdict, judgement.reason


def report_of(run: Recorded) -> bytes:
    """The lines of the run's first OOM report."""
    lines = run.console.splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if CUT in line)
    last = next(number for number, line in enumerate(lines) if b"Killed process" in line)
    return b"".join(lines[first : last + 1])


def end(run: Recorded, **fields: Any) -> Recorded:
    return run.changed("end", lambda record: record.update(fields))


def killed_once(run: Recorded) -> Recorded:
    """Return a run without a kill, with one that the kernel counted."""
    go = next(each for each in run.records if each["ev"] == "go")
    return end(run, oom_kill=go["oom_kill"] + 1)


def test_kernels_own_report_is_the_kernels() -> None:
    assert check(recorded("overcommit-oops")).verdict == "held"
    assert check(recorded("overcommit-in-cgroup")).verdict == "held"


def test_second_report_of_a_program_is_not_the_kernels() -> None:
    run = recorded("overcommit-oops")
    forged = run.printed_too(report_of(run).replace(b"hog", b"pig"))

    assert check(forged).verdict == "failed"
    assert "is not the kernel's" in check(forged).reason
    assert verdict(forged)[0] == "invalid"


def test_old_report_that_is_printed_again_is_not_the_kernels() -> None:
    run = recorded("overcommit-oops")

    assert check(run.printed_too(report_of(run))).verdict == "failed"


def test_report_without_any_kill_of_the_kernels_is_not_believed() -> None:
    run = recorded("overcommit-oops")
    silent = run.with_records(each for each in run.records if each["ev"] != "kmsg")

    assert verdict(silent)[0] == "invalid"


def test_kill_after_the_agents_last_look_is_unconfirmed() -> None:
    run = recorded("overcommit-oops")
    late = re.sub(rb"\[  25\d\.\d{3}", b"[  251.345", report_of(run))
    early = re.sub(rb"\[  25\d\.\d{3}", b"[  251.337", report_of(run))

    assert check(run.printed_too(late)).verdict == "held"
    assert "is not the kernel's" in check(run.printed_too(early)).reason


def test_victim_is_matched_by_pid() -> None:
    run = recorded("overcommit-oops")
    pid = run.evidence().ooms()[0].kills[0].pid

    other = run.printed(f"Killed process {pid} (", f"Killed process {pid + 1} (")

    assert check(other).verdict == "failed"


def test_decoy_in_a_small_cgroup_does_not_carry_a_forged_report_of_the_machine() -> None:
    group, machine = recorded("overcommit-in-cgroup"), recorded("overcommit-oops")
    forged = group.printed_too(report_of(machine))

    assert check(forged).verdict == "failed"


def test_cgroup_of_a_report_is_matched() -> None:
    run = recorded("overcommit-in-cgroup")

    assert check(run.printed("oom_memcg=/service", "oom_memcg=/other")).verdict == "failed"


def test_cgroup_whose_memory_events_counted_nothing_was_not_full() -> None:
    run = recorded("overcommit-in-cgroup").changed("memory_events", lambda record: record.update(oom=0))

    assert "memory.events counted no OOM" in check(run).reason


def test_more_kills_in_the_log_than_the_kernel_counted() -> None:
    run = end(recorded("overcommit-oops"), oom_kill=0)

    assert "vmstat's oom_kill counted 0" in check(run).reason


@pytest.mark.parametrize("name", ["overcommit-oops", "fd-passing"])
@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("oom_kill", -1, "vmstat's oom_kill"),
        ("tainted", None, "kernel.tainted"),
        ("hung_tasks", None, "kernel.hung_task_detect_count"),
    ],
)
def test_counter_that_could_not_be_read_at_the_end_tells_nothing(
    name: str, field: str, value: int | None, what: str
) -> None:
    run = recorded(name).changed("go", lambda go: go.update({"oom_kill": 0, "tainted": 0, "hung_tasks": 0}))
    unread = end(run, **{field: value})

    assert check(unread).verdict == "invalid"
    assert verdict(unread) == (
        "invalid",
        f"kernel-said-it cannot be judged: {what} could not be read at the plan's end",
    )


def test_counter_that_the_kernel_lacks_or_an_old_agent_did_not_read_is_not_missed() -> None:
    lacks = recorded("overcommit-oops").changed("go", lambda go: go.update(oom_kill=-1, tainted=0, hung_tasks=None))

    assert check(end(lacks, oom_kill=-1, hung_tasks=None)).verdict == "held"


def test_report_of_a_kill_with_a_time_before_the_plan_is_not_the_kernels() -> None:
    run = recorded("overcommit-oops")
    early = re.sub(rb"\[  25\d\.", b"[    0.", report_of(run)).replace(b"hog", b"pig")

    assert "is not the kernel's" in check(run.printed_too(early)).reason


def test_panic_counts_when_qemu_saw_it() -> None:
    run = recorded("overcommit-oops", "panic")

    assert check(run, panicked=True).verdict == "held"
    assert check(run, panicked=None).verdict == "held"
    assert "QEMU saw none" in check(run, panicked=False).reason


def test_panic_cannot_be_checked_where_the_guest_has_no_pvpanic() -> None:
    run = recorded("overcommit-oops", "panic").changed("go", lambda record: record.update(pvpanic=False))

    assert check(run, panicked=False).verdict == "held"


def test_kernel_panics_once() -> None:
    run = recorded("overcommit-oops", "panic")
    line = b"[    9.000000] Kernel panic - not syncing: sysrq triggered crash\r\n"

    assert "a kernel panics once" in check(run.printed_too(line), panicked=True).reason


def test_kill_that_the_console_does_not_show_was_hidden() -> None:
    killed = killed_once(recorded("fd-passing"))

    assert check(killed).verdict == "failed"
    assert "oom_kill counted 1, and the log tells of 0 kills" in check(killed).reason
    assert verdict(killed)[0] == "invalid"


def test_kill_in_what_was_left_out_of_the_console_was_not_hidden() -> None:
    killed = killed_once(recorded("fd-passing"))
    found = cross_checked(replace(killed.evidence(), console_left_out=1))

    assert found is not None
    assert found.verdict == "held"


def test_panic_that_the_console_does_not_show_was_hidden() -> None:
    run = recorded("fd-passing")
    stopped = replace(run, records=tuple(each for each in run.records if each["ev"] != "end"))

    judgement = judge_scenario(run.scenario, replace(stopped.evidence(), panicked=True))

    assert judgement.verdict == "invalid"
    assert "QEMU saw a panic" in judgement.reason


def test_reports_beyond_those_that_the_agent_relays_are_not_forged_for_that() -> None:
    run = recorded("overcommit-oops")
    relayed = next(each for each in run.records if each["ev"] == "kmsg")

    def relayed_times(number: int) -> Recorded:
        return run.with_records((*run.records, *(relayed for _ in range(number))))

    again = relayed_times(2000).printed_too(report_of(run))

    assert "is not the kernel's" not in check(again).reason
    assert "is not the kernel's" in check(relayed_times(1990).printed_too(report_of(run))).reason
    assert "vmstat's oom_kill counted 1" in check(again).reason


def test_nothing_is_checked_where_the_agent_cannot_read_the_log_or_nothing_happened() -> None:
    run = recorded("overcommit-oops").changed("go", lambda record: record.update(kmsg=False))

    assert cross_checked(run.evidence()) is None
    assert cross_checked(recorded("fd-passing").evidence()) is None


def test_with_records_lost_it_cannot_be_told() -> None:
    run = recorded("overcommit-oops")
    gone = replace(run, records=tuple(each for each in run.records if each["ev"] != "kmsg"))

    assert check(gone).verdict == "invalid"


def test_what_programs_wrote_to_the_kernels_log_is_shown_as_theirs() -> None:
    run = recorded("overcommit-oops").changed("kmsg", lambda record: None)
    extra = {"t": 99.0, "ev": "kmsg", "facility": 1, "text": "hog: I was never here"}
    shown = check(run.with_records((*run.records, extra)))

    assert [each.shown for each in shown.values if each.name == "written_by_programs"] == ["hog: I was never here"]


def test_text_with_bytes_that_kmsg_escapes_is_compared_as_printed() -> None:
    run = recorded("overcommit-oops")
    console = run.console.replace(b"(hog)", b"(h\xc3\xb6g)").replace(b"task=hog", b"task=h\xc3\xb6g")
    records = tuple(
        {**each, "text": each["text"].replace("(hog)", "(h\\xc3\\xb6g)").replace("task=hog", "task=h\\xc3\\xb6g")}
        if each["ev"] == "kmsg"
        else each
        for each in run.records
    )

    assert check(replace(run, console=console, records=records)).verdict == "held"


def test_sysctl_that_was_changed_behind_the_plan_makes_the_run_invalid() -> None:
    run = recorded("fork-fails", "never")
    changed = run.changed("sysctl_at_end", lambda record: record.update(got="0"))

    assert run.claim(SETTINGS).verdict == "held"
    assert verdict(changed)[0] == "invalid"
    assert "vm.overcommit_memory was set to 2, and was 0 at the end" in verdict(changed)[1]


def test_sysctl_that_could_not_be_read_at_the_end_makes_the_run_invalid() -> None:
    run = recorded("fork-fails", "never").changed("sysctl_at_end", lambda record: record.update(got=None))

    assert verdict(run) == (
        "invalid",
        "settings-held cannot be judged: vm.overcommit_memory could not be read at the end",
    )


def test_sysctl_that_can_never_be_read_is_not_missed() -> None:
    run = recorded("fork-fails", "never").changed("sysctl", lambda record: record.update(got=None))

    assert run.changed("sysctl_at_end", lambda record: record.update(got=None)).claim(SETTINGS).verdict == "held"


def test_program_that_died_unasked_makes_the_run_invalid() -> None:
    run = recorded("overcommit-oops")
    hog = next(each for each in run.records if each["ev"] == "spawn" and each["program"] == "hog")
    died = {"t": 99.0, "ev": "exit", "program": "hog", "comm": "hog", "pid": hog["pid"], "code": 1}
    without = (each for each in run.records if not (each["ev"] == "exit" and each["program"] == "hog"))
    log = read([run.console.replace(f"Killed process {hog['pid']} ".encode(), b"Killed process 99 ")])
    evidence = replace(run.with_records((*without, died)).evidence(), log=log)

    claims = {claim.id: claim for claim in judge_scenario(run.scenario, evidence).claims}

    assert run.claim(PROGRAMS).verdict == "held"
    assert claims[PROGRAMS].verdict == "failed"
    assert f"hog ({hog['pid']}) ended with status 1" in claims[PROGRAMS].reason


def test_run_without_the_agents_word_on_the_log_is_judged_as_before() -> None:
    evidence = recorded("overcommit-oops").evidence()
    old = Evidence(evidence.settings, evidence.plan, evidence.records, evidence.log)

    assert cross_checked(old) is not None


def test_explanation_of_a_copy_says_whose_page_it_can_have_been() -> None:
    run = recorded("overcommit-oops")
    zeroed = run.printed("GFP_HIGHUSER_MOVABLE|__GFP_COMP)", "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)")

    shared, only_read = (origin(each.evidence().ooms()[0])[0] or "" for each in (run, zeroed))

    assert "since a fork, by KSM, or with a file" in shared
    assert "had only read" in only_read
