# SPDX-License-Identifier: MIT
"""Every claim of overcommit-oops: a run in which it holds, and one in which it fails."""

from __future__ import annotations

import pytest

from tests.scenario.made import CHILD, COW_TRACE, HOG, PARENT, Made

SYSTEM_WIDE = "Out of memory: system-wide panic_on_oom is enabled"


def test_run_in_which_every_claim_holds_is_reproduced() -> None:
    judgement = Made().judged()

    assert judgement.verdict == "reproduced"
    assert {claim.id: claim.verdict for claim in judgement.claims if claim.verdict != "held"} == {
        "kernel-panicked": "not-applicable",
        "invoker-was-killed": "not-applicable",
    }


def test_parent_that_did_not_fill_is_invalid() -> None:
    judgement = Made(parent_kb=100000).judged()

    assert judgement.verdict == "invalid"
    assert "parent-filled" in judgement.reason


def test_hog_that_does_not_hog_is_invalid() -> None:
    judgement = Made(hog_kb=500).judged()

    assert judgement.verdict == "invalid"
    assert "hog-hogs" in judgement.reason


def test_fork_that_was_refused_fails_its_claim_and_excuses_the_plan() -> None:
    made = Made(
        has_child=False,
        oom=False,
        end="step-failed",
        step={"i": 6, "verb": "wait_state", "ok": False, "errno": "ESRCH", "error": "cow-writer has ended"},
    )

    judgement = made.judged()

    assert judgement.verdict == "not-reproduced"
    assert made.verdict_of("fork-succeeded") == "failed"
    assert made.verdict_of("plan-ran") == "not-applicable"
    assert made.verdict_of("hog-hogs") == "not-applicable"


def test_fork_that_copied_everything_fails() -> None:
    assert Made(fork_cost_kb=204800).verdict_of("fork-cost-little") == "failed"
    assert Made(fork_cost_kb=5119).verdict_of("fork-cost-little") == "held"


def test_oom_before_the_writing_is_invalid() -> None:
    judgement = Made(earlier_kills=1).judged()

    assert judgement.verdict == "invalid"
    assert "nothing-killed-before" in judgement.reason


def test_child_that_wrote_less_than_a_step_fails() -> None:
    assert Made(copied_kb=4092).verdict_of("child-wrote") == "failed"
    assert Made(copied_kb=4096).verdict_of("child-wrote") == "held"


def test_run_without_oom_is_not_reproduced() -> None:
    judgement = Made(oom=False).judged()

    assert judgement.verdict == "not-reproduced"


def test_oom_invoked_by_a_stranger_fails() -> None:
    assert Made(invoker=("kworker/0:1", 33)).verdict_of("oom-came") == "failed"


def test_trace_without_a_page_fault_fails() -> None:
    trace = tuple(frame for frame in COW_TRACE if "page_fault" not in frame and "user_addr_fault" not in frame)

    assert (
        Made(trace=(*trace, "entry_SYSCALL_64_after_hwframe+0x6e/0x76")).verdict_of("page-fault-at-the-root")
        == "failed"
    )


@pytest.mark.parametrize("entry", ["page_fault+0x1e/0x30", "do_page_fault+0x2b/0x90", "exc_page_fault+0x74/0x170"])
def test_page_fault_is_known_by_the_names_of_every_kernel(entry: str) -> None:
    trace = tuple(frame for frame in COW_TRACE if "page_fault" not in frame and "user_addr_fault" not in frame)

    assert Made(trace=(*trace, entry)).verdict_of("page-fault-at-the-root") == "held"


def test_page_fault_that_the_kernel_only_guesses_fails() -> None:
    trace = tuple(f"? {frame}" if "fault" in frame else frame for frame in COW_TRACE)

    assert Made(trace=trace).verdict_of("page-fault-at-the-root") == "failed"


def test_copy_of_the_zero_page_is_not_a_copy_of_what_was_shared() -> None:
    zeroed = Made(gfp="gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)")

    assert zeroed.verdict_of("copying-on-write") == "failed"


def test_copies_of_other_pages_than_the_arrays_are_not_what_was_shared() -> None:
    assert Made(unshared_kb=0).verdict_of("copying-on-write") == "failed"
    assert Made(unshared_kb=1000).verdict_of("copying-on-write") == "failed"


def test_fault_that_is_no_copy_on_write_fails() -> None:
    trace = tuple(frame.replace("wp_page_copy", "do_anonymous_page") for frame in COW_TRACE)

    assert Made(trace=trace).verdict_of("copying-on-write") == "failed"
    assert Made(trace=trace).verdict_of("page-fault-at-the-root") == "held"


def test_victim_that_is_a_stranger_fails() -> None:
    assert Made(victim=("sshd", 77)).verdict_of("victim-is-ours") == "failed"


def test_victim_that_was_not_the_worst_fails() -> None:
    made = Made(victim=("child", CHILD), rss_pages={PARENT: 51300, CHILD: 20000, HOG: 51350})

    assert made.verdict_of("worst-was-killed") == "failed"


def test_victim_within_the_slack_of_the_counters_is_a_tie() -> None:
    made = Made(victim=("parent", PARENT))

    claim = next(claim for claim in made.judged().claims if claim.id == "worst-was-killed")

    assert claim.verdict == "held"
    assert next(value for value in claim.values if value.name == "tied").value == ["hog", "parent", "child"]


def test_victim_that_another_outweighs_by_oom_score_adj_fails() -> None:
    assert Made(adj={PARENT: 500}).verdict_of("worst-was-killed") == "failed"
    assert Made(adj={HOG: 500}).verdict_of("worst-was-killed") == "held"


def test_invoker_that_was_spared_fails_where_it_was_to_be_killed() -> None:
    killed = Made(sets=("vm.oom_kill_allocating_task=1",), victim=("child", CHILD))
    spared = Made(sets=("vm.oom_kill_allocating_task=1",), victim=("hog", HOG))

    assert killed.verdict_of("invoker-was-killed") == "held"
    assert spared.verdict_of("invoker-was-killed") == "failed"
    assert killed.verdict_of("worst-was-killed") == "not-applicable"


def test_plan_that_failed_before_the_parent_was_there_is_invalid_by_the_plan() -> None:
    step = {"i": 0, "verb": "swapon", "ok": False, "errno": "ENODEV", "error": "no zram device"}

    judgement = Made(has_parent=False, has_child=False, oom=False, end="step-failed", step=step).judged()

    assert judgement.verdict == "invalid"
    assert judgement.reason.startswith("plan-ran")


def test_panic_on_oom_is_reproduced_by_the_panic_and_claims_no_victim() -> None:
    made = Made(sets=("vm.panic_on_oom=1",), panic=SYSTEM_WIDE, end=None)

    judgement = made.judged()

    assert judgement.verdict == "reproduced"
    assert made.verdict_of("kernel-panicked") == "held"
    assert made.verdict_of("victim-is-ours") == made.verdict_of("worst-was-killed") == "not-applicable"


def test_panic_on_oom_without_a_panic_is_not_reproduced() -> None:
    made = Made(sets=("vm.panic_on_oom=1",))

    assert made.verdict_of("kernel-panicked") == "failed"
    assert made.judged().verdict == "not-reproduced"


def test_panic_for_another_reason_fails() -> None:
    made = Made(sets=("vm.panic_on_oom=1",), panic="VFS: Unable to mount root fs", end=None)

    assert made.verdict_of("kernel-panicked") == "failed"


def test_amount_is_judged_against_what_was_left_above_the_floor() -> None:
    exact = Made(available_kb=60000, copied_kb=60000)
    below = Made(available_kb=60000, copied_kb=53900)
    above = Made(available_kb=60000, copied_kb=66100)

    assert exact.verdict_of("copied-what-was-left") == "held"
    assert below.verdict_of("copied-what-was-left") == above.verdict_of("copied-what-was-left") == "failed"


def test_page_cache_counts_as_left_and_slab_that_is_in_use_does_not() -> None:
    assert Made(available_kb=50000, file_kb=10000, copied_kb=60000).verdict_of("copied-what-was-left") == "held"
    assert Made(available_kb=60000, slab_kb=90000, copied_kb=60000).verdict_of("copied-what-was-left") == "held"


def test_amount_may_differ_by_one_step_where_that_is_more_than_a_tenth() -> None:
    assert Made(available_kb=20000, copied_kb=20000 - 4096).verdict_of("copied-what-was-left") == "held"
    assert Made(available_kb=20000, copied_kb=20000 - 4100).verdict_of("copied-what-was-left") == "failed"


def test_lost_record_makes_claims_on_samples_invalid_and_no_others() -> None:
    made = Made(without=frozenset({6}))

    judgement = made.judged()

    assert judgement.verdict == "invalid"
    assert made.verdict_of("fork-cost-little") == made.verdict_of("oom-came") == "invalid"
    assert made.verdict_of("page-fault-at-the-root") == "held"
    assert "1 of them were lost" in judgement.reason


def test_missing_sample_is_invalid_with_its_name() -> None:
    claim = next(
        claim for claim in Made(drop_labels=frozenset({"forked"})).judged().claims if claim.id == "fork-cost-little"
    )

    assert claim.verdict == "invalid"
    assert "no sample 'forked'" in claim.reason


def test_run_without_an_end_is_an_error() -> None:
    judgement = Made(end=None).judged()

    assert judgement.verdict == "error"


def test_step_that_waited_in_vain_is_invalid_with_what_was_seen_instead() -> None:
    _, evidence = Made().evidence()
    steps = evidence.plan.steps
    waits = next(number for number, step in enumerate(steps) if step.text().startswith("wait_state\tprogram=hog"))
    step = {
        "i": waits,
        "verb": "wait_state",
        "ok": False,
        "errno": "ETIMEDOUT",
        "error": "time-out",
        "saw": "hog 122 R",
    }

    judgement = Made(end="step-failed", step=step, oom=False).judged()

    assert judgement.verdict == "invalid"
    assert "seen instead: hog 122 R" in judgement.reason
    assert "wait_state program=hog" in judgement.reason


def test_step_that_failed_after_a_kill_says_so_and_what_to_do() -> None:
    made = Made(step=None)
    waits = next(n for n, step in enumerate(made.evidence()[1].plan.steps) if dict(step.words).get("program") == "hog")
    step = {"i": waits, "verb": "wait_state", "ok": False, "errno": "ESRCH", "error": "hog has ended"}

    judgement = Made(end="step-failed", step=step).judged()

    assert judgement.verdict == "invalid"
    assert f"and the kernel killed hog ({HOG}): give the guest (--memory) more memory" in judgement.reason


def values_of(made: Made, claim: str) -> dict[str, object]:
    found = next(each for each in made.judged().claims if each.id == claim)
    return {value.name: value.value for value in found.values}


def test_swap_counts_as_what_is_left_unless_swappiness_forbids_it() -> None:
    willing = values_of(Made(sets=("swap=64M",), swap_kb=65536), "copied-what-was-left")
    made = Made(sets=("swap=64M", "vm.swappiness=0"), swap_kb=65536, swap_left_kb=65536)
    unwilling = values_of(made, "copied-what-was-left")

    assert willing["left"] - unwilling["left"] == 65536 * 1024  # type: ignore[operator] # bytes both
    assert made.verdict_of("copied-what-was-left") == "held"


def test_swap_that_was_taken_all_the_same_is_not_what_was_left() -> None:
    made = Made(sets=("swap=64M", "vm.swappiness=0"), swap_kb=65536, swap_left_kb=55296, copied_kb=60000)

    assert values_of(made, "copied-what-was-left")["swapped"] == 10240 * 1024
