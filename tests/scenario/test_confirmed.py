# SPDX-License-Identifier: MIT
"""A claim that rests on a report which nothing confirms to be the kernel's cannot be judged."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rig.program.expectation import Expectation
from rig.program.outcome import judge_program
from rig.run.document import Claimed
from rig.scenario.judge import Judgement, judge_scenario
from tests.scenario.recorded import Recorded, recorded
from tests.scenario.relayed import relayed
from tests.scenario.test_compare_reports import HUNG

CALLER = "__alloc_pages_slowpath"
"""A function that is in the trace of an OOM report, and in that of the panic which follows it."""


def without_oom(run: Recorded) -> Recorded:
    """Return the run without the kernel's lines about its OOM: the report is the console's alone."""
    go = next(each for each in run.records if each["ev"] == "go")
    kept = run.with_records(each for each in run.records if each["ev"] != "kmsg")
    return relayed(kept.changed("end", lambda end: end.update(oom_kill=go["oom_kill"])), b"")


def late(run: Recorded) -> Recorded:
    """Return the run with the times of its OOM report between the agent's `end` and the power-off."""
    console = re.sub(rb"\[  250\.\d{3}", b"[  251.345", run.console)
    return replace(run, console=console)


def of_panic(run: Recorded) -> Judgement:
    return judge_scenario(run.scenario, replace(run.evidence(), panicked=True))


def before_panic(run: Recorded, old: str, new: str) -> Recorded:
    """Return the run with the first such words of its console replaced: those of the report, not of the panic."""
    assert old.encode() in run.console
    return replace(run, console=run.console.replace(old.encode(), new.encode(), 1))


def panicked(variant: str = "panic") -> Recorded:
    """Return a run that ended in a panic; the agent relayed what came before the last report."""
    run = recorded("overcommit-oops", variant)
    return relayed(run, run.console[: run.console.index(b"child invoked oom-killer")])


def doubted(judgement: Judgement) -> list[Claimed]:
    return [claim for claim in judgement.claims if "it rests on what nothing confirms" in claim.reason]


def test_claims_on_a_report_that_the_kernel_confirms_are_judged() -> None:
    judgement = relayed(recorded("overcommit-oops")).judged()

    assert (judgement.verdict, doubted(judgement)) == ("reproduced", [])


def test_claim_on_a_report_after_the_end_cannot_be_judged() -> None:
    judgement = late(without_oom(recorded("overcommit-oops"))).judged()

    assert judgement.verdict == "invalid"
    assert "cannot be judged: it rests on what nothing confirms to be the kernel's: line 3 of" in judgement.reason
    assert "oom-came" in [claim.id for claim in doubted(judgement)]


def test_report_after_the_end_on_which_no_claim_rests_changes_nothing() -> None:
    warning = b"[  251.345001] WARNING: CPU: 0 PID: 1 at drivers/base/core.c:4785 device_shutdown+0x10/0x20\n"

    assert relayed(recorded("overcommit-oops")).printed_too(warning).judged().verdict == "reproduced"


def test_expectation_that_rests_on_a_report_after_the_end_cannot_be_judged() -> None:
    evidence = late(without_oom(recorded("overcommit-oops"))).evidence()

    judged = {kind: judge_program(evidence, Expectation(kind)) for kind in ("oom", "no-oom")}

    assert {kind: judgement.claims[-1].verdict for kind, judgement in judged.items()} == {
        "oom": "invalid",
        "no-oom": "invalid",
    }


@pytest.mark.parametrize(("of_kernel", "of_console"), [("do_anonymous_page", "wp_page_copy"), ("wp_page_copy", "x")])
def test_claim_on_a_trace_that_was_not_relayed_whole_is_judged_by_what_was(of_kernel: str, of_console: str) -> None:
    run = recorded("overcommit-oops")
    kernels = run.printed("wp_page_copy", of_kernel).console

    judgement = relayed(run, kernels, left_out=1).printed("wp_page_copy", of_console).judged()

    assert "copying-on-write" in [claim.id for claim in doubted(judgement)]
    assert judgement.verdict == "invalid"


def test_claim_on_a_report_beyond_the_relayed_announcements_cannot_be_judged() -> None:
    run = without_oom(recorded("overcommit-oops"))
    go = next(each for each in run.records if each["ev"] == "go")
    announced = {"t": go["t"], "ev": "kmsg", "facility": 0, "text": "oom-kill:"}
    flooded = run.with_records((*run.records, *(announced for _ in range(2000))))

    judgement = flooded.changed("end", lambda end: end.update(oom_kill=go["oom_kill"] + 1)).judged()

    assert "oom-came" in [claim.id for claim in doubted(judgement)]


@pytest.mark.parametrize("variant", ["panic", "panic-at-once"])
def test_report_that_the_panics_own_lines_tell_is_confirmed(variant: str) -> None:
    judgement = of_panic(panicked(variant))

    assert (judgement.verdict, doubted(judgement)) == (recorded("overcommit-oops", variant).judged().verdict, [])
    assert not any(value.name == "unconfirmed" for claim in judgement.claims for value in claim.values)


def test_report_that_the_panic_cut_off_while_it_was_relayed_is_confirmed() -> None:
    run = recorded("overcommit-oops", "panic")
    cut = relayed(run, run.console[: run.console.index(b"[  250.102627]")])

    assert (of_panic(cut).verdict, doubted(of_panic(cut))) == ("reproduced", [])
    assert not any(value.name == "unconfirmed" for claim in of_panic(cut).claims for value in claim.values)


def test_report_that_begins_otherwise_than_what_was_relayed_before_the_panic_is_not_confirmed() -> None:
    run = recorded("overcommit-oops", "panic")
    cut = relayed(run, run.console[: run.console.index(b"[  250.102627]")])

    judgement = of_panic(before_panic(cut, "82]     0    82    51476    51214", "82]     0    82    51476    91214"))

    assert any(value.name == "unconfirmed" for claim in judgement.claims for value in claim.values)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("child invoked", "hog invoked"),
        ("PID: 83 Comm: child", "PID: 84 Comm: child"),
        (f" {CALLER}.", f" vma_alloc_folio+0x9c/0x370\r\n[  250.097]  {CALLER}."),
        ("RIP: 0033:0x401c3e", "RIP: 0033:0x401c3f"),
        ("RBX: 0000000a00001dca", "RBX: 0000000a00001dcb"),
    ],
    ids=["comm", "pid", "trace", "rip", "register"],
)
def test_claim_on_a_report_that_the_panics_own_lines_do_not_tell_cannot_be_judged(old: str, new: str) -> None:
    judgement = of_panic(before_panic(panicked(), old, new))

    assert "oom-came" in [claim.id for claim in doubted(judgement)]
    assert judgement.verdict == "invalid"


def test_report_of_a_kill_is_not_the_one_that_led_to_a_panic() -> None:
    killed = "[  250.102700] Out of memory: Killed process 84 (hog) total-vm:1kB, anon-rss:1kB, file-rss:1kB, UID:0\r\n"

    judgement = of_panic(
        before_panic(panicked(), "[  250.102744] Kernel panic", f"{killed}[  250.102744] Kernel panic")
    )

    assert judgement.verdict == "invalid"
    assert "oom-came" in [claim.id for claim in doubted(judgement)]


@pytest.mark.parametrize(
    ("reason", "told"),
    [("hung_task: blocked tasks", True), ("sysrq triggered crash", False), ("Fatal exception", False)],
)
def test_hung_task_is_confirmed_by_the_panic_that_names_it(reason: str, told: bool) -> None:
    run = recorded("fd-passing")
    ended = relayed(run.with_records(each for each in run.records if each["ev"] != "end"))
    panic = f"[  300.000013] Kernel panic - not syncing: {reason}\n".encode()

    claims = of_panic(ended.printed_too(HUNG + panic)).claims

    assert any(value.name == "unconfirmed" for claim in claims for value in claim.values) != told


def test_panic_confirms_only_the_report_that_led_to_it() -> None:
    run = recorded("fd-passing")
    ended = relayed(run.with_records(each for each in run.records if each["ev"] != "end"))
    panic = b"[  300.000013] Kernel panic - not syncing: hung_task: blocked tasks\n"

    claims = of_panic(ended.printed_too(HUNG + HUNG + panic)).claims

    unconfirmed = [value.value for claim in claims for value in claim.values if value.name == "unconfirmed"]
    assert [len(texts) for texts in unconfirmed] == [1]
