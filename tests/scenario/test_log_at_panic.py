# SPDX-License-Identifier: MIT
"""What the console tells of a panic is compared with the kernel's log in the memory of the guest that panicked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.scenario.judge import Judgement, judge_scenario
from tests.scenario.recorded import Recorded, recorded
from tests.scenario.relayed import as_kmsg, relayed
from tests.scenario.test_confirmed import before_panic, doubted, panicked
from tests.scenario.test_cross_check import report_of


def judged(run: Recorded, log: tuple[str, ...]) -> Judgement:
    """Return the judgement of a run that ended in a panic with that log in the guest's memory."""
    return judge_scenario(run.scenario, replace(run.evidence(), panicked=True, log_at_panic=log))


def kernels(run: Recorded) -> tuple[str, ...]:
    """Return the console's lines as records of the kernel's log."""
    return tuple(as_kmsg(run.console).splitlines())


def reason(judgement: Judgement) -> str:
    return next(claim.reason for claim in judgement.claims if claim.id == "kernel-said-it")


@pytest.mark.parametrize("variant", ["panic", "panic-at-once"])
def test_panic_and_report_that_the_memory_has_are_the_kernels(variant: str) -> None:
    run = panicked(variant)

    judgement = judged(run, kernels(run))

    assert (judgement.verdict, doubted(judgement)) == (recorded("overcommit-oops", variant).judged().verdict, [])


def test_panic_of_other_words_is_not_the_kernels() -> None:
    run = panicked()
    crash = run.printed("Out of memory: system-wide panic_on_oom is enabled", "sysrq triggered crash")

    judgement = judged(run, kernels(crash))

    assert judgement.verdict == "invalid"
    assert "(kernel panic: Out of memory: system-wide panic_on_oom is enabled) is not the kernel's" in reason(judgement)


def test_panic_of_another_trace_is_not_the_kernels() -> None:
    run = panicked()
    before, panic, after = run.console.partition(b"Kernel panic")
    other = replace(run, console=before + panic + after.replace(b"out_of_memory", b"sysrq_handle_crash"))

    judgement = judged(run, kernels(other))

    assert "its call trace is not the one that the kernel wrote" in reason(judgement)


def test_panic_whose_trace_the_console_does_not_show_to_its_end_is_the_kernels() -> None:
    run = panicked()
    at = run.console.index(b"Kernel panic")
    cut = replace(run, console=run.console[: run.console.index(b"exc_page_fault", at)].rpartition(b"\r\n")[0] + b"\r\n")

    judgement = judged(cut, kernels(run))

    assert "trace" not in reason(judgement)


@pytest.mark.parametrize(
    ("old", "new"),
    [("82]     0    82    51476    51214", "82]     0    82    51476    91214"), ("active_anon:", "active_anon:9")],
    ids=["task table", "Mem-Info"],
)
def test_body_of_the_last_report_that_the_panic_does_not_repeat_is_compared(old: str, new: str) -> None:
    run = panicked()

    judgement = judged(before_panic(run, old, new), kernels(run))

    assert judgement.verdict == "invalid"
    assert "is not the one that the kernel wrote" in reason(judgement)


def test_console_that_was_taken_from_the_kernel_just_before_the_panic_is_a_programs() -> None:
    run = panicked()
    log = kernels(run)
    taken = "6,0,250000000,-;printk: console [ttyS0] disabled".replace(",0,", f",{len(log)},")

    judgement = judged(run, (*log, taken))

    assert "the console was taken from the kernel" in reason(judgement)


def test_records_of_programs_are_not_the_kernels() -> None:
    run = panicked()
    log = tuple(line.replace("4,", "12,", 1) for line in kernels(run))

    assert judged(run, log).verdict == "invalid"


def test_reports_before_the_log_in_memory_begins_are_doubted_as_before() -> None:
    run = panicked()
    log = tuple(line for line in kernels(run) if int(line.split(",")[2]) >= 250_102_744)

    assert "oom-came" in [claim.id for claim in doubted(judged(run, log))]


def two_reports() -> Recorded:
    """Return a run with two reports, of which the agent has relayed nothing, and a panic."""
    run = recorded("overcommit-oops")
    first = next(at for at, each in enumerate(run.records) if each["ev"] == "kmsg")
    second, _kill, _rest = report_of(run).partition(b"Out of memory: Killed process")
    words = b"Kernel panic - not syncing: System is deadlocked on memory"
    stopped = run.with_records(run.records[:first]).printed_too(second + b"\n[  261.000000] " + words + b"\n")
    return relayed(stopped, b"")


def test_reports_of_which_nothing_was_relayed_are_the_kernels_where_the_memory_has_them() -> None:
    run = two_reports()

    assert "is not the kernel's" not in reason(judged(run, kernels(run)))


def test_report_that_neither_was_relayed_nor_is_in_the_memory_is_not_the_kernels() -> None:
    run = two_reports()
    second = replace(run, console=run.console.replace(report_of(run), b""))

    assert "is not the kernel's" in reason(judged(run, kernels(second)))
