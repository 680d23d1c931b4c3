# SPDX-License-Identifier: MIT
"""The text report of a run: in a terminal, in a file, and with hostile text from a guest."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from rig.report.terminal import print_run, print_verdict
from rig.run.document import Run, Stall
from rig.scenario.build_run import build_run
from tests.scenario.made import PARENT, Made


def run_of(made: Made) -> Run:
    scenario, evidence = made.evidence()
    return build_run(scenario, evidence, made.judged(), id="20250131-120000-abcd", started="2025-01-31T12:00:00+00:00")


def printed(run: Run, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    print_run(Console(file=stream, force_terminal=terminal, width=140), run, Path("/runs/abcd"))
    return stream.getvalue()


def test_report_has_verdict_claims_with_values_trace_victim_and_directory() -> None:
    text = printed(run_of(Made(victim=("parent", PARENT))))

    assert text.startswith("reproduced  overcommit-oops  parent=200M hog=200M")
    assert "the child copied what was left" in text
    assert "left 58.6 MB  copied 58.6 MB" in text
    assert "Invoked by child (121) at 275.100 s" in text
    assert "→ asm_exc_page_fault+0x26/0x30" in text
    assert "the page fault of child" in text
    assert "Killed: parent (120); tied within 256 pages: hog (122), parent (120), child (121)" in text
    assert "/runs/abcd" in text


def test_stall_is_told_with_who_waited_why_and_what_showed_it() -> None:
    stall = Stall(begin=4.0, length=9.5, share=0.93, cause="thrashing", by="I/O pressure", who="reader")

    text = printed(run_of(Made()).model_copy(update={"stalls": (stall,)}))

    assert "Stalled for 9.5 s from 4.0 s on the guest's clock: reader waited for memory 93 % of it, thrashing" in text
    assert "(shown by PSI of I/O)" in text


def test_lines_that_the_agent_cut_are_said() -> None:
    run = run_of(Made())

    assert "are cut" not in printed(run)
    cut = run.model_copy(update={"heard": run.heard.model_copy(update={"cut_lines": 3})})
    assert "3 lines that programs printed are cut at 4,096 bytes" in printed(cut)


def test_exactly_one_frame_is_marked_as_the_page_fault() -> None:
    assert printed(run_of(Made())).count("→") == 1


def test_report_for_a_file_has_no_control_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert "\x1b" not in printed(run_of(Made()))
    assert "\x1b" in printed(run_of(Made()), terminal=True)


def test_failed_claim_shows_the_value_it_failed_on() -> None:
    text = printed(run_of(Made(fork_cost_kb=204800)))

    assert text.startswith("not-reproduced")
    assert "✗ failed         the fork itself cost less than 5 MB" in text
    assert "cost 200.0 MB" in text


def test_invalid_run_says_why_below_its_verdict() -> None:
    assert "hog-hogs" in printed(run_of(Made(hog_kb=500))).splitlines()[1]


def test_panic_is_shown_and_nobody_was_killed() -> None:
    reason = "Out of memory: system-wide panic_on_oom is enabled"

    text = printed(run_of(Made(sets=("vm.panic_on_oom=1",), panic=reason, end=None)))

    assert f"Panic: {reason}" in text
    assert "Killed: nobody" in text


def test_guest_cannot_reach_the_terminal_through_a_name() -> None:
    evil = "\x1b]0;x\x07[bold]evil"
    run = run_of(Made())
    oom = run.ooms[0]
    row = oom.ranking[0].model_copy(update={"name": evil})
    changed = oom.model_copy(update={"invoker": evil, "ranking": (row,), "killed": (evil,)})

    text = printed(run.model_copy(update={"ooms": (changed,), "reason": evil, "panic": evil}))

    assert "\x1b" not in text
    assert "[bold]evil" in text


def test_quiet_prints_the_verdict_alone() -> None:
    stream = io.StringIO()

    print_verdict(Console(file=stream), run_of(Made()))

    assert stream.getvalue() == "reproduced\n"


def test_run_json_reads_back_to_the_same_run() -> None:
    run = run_of(Made())

    assert Run.model_validate_json(run.model_dump_json()) == run
