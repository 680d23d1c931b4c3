# SPDX-License-Identifier: MIT
"""What claims compute from one sample to the report of an OOM."""

from __future__ import annotations

import pytest

from rig.scenario.views import MissingRecord
from rig.scenario.vocabulary import functions_of
from tests.scenario.recorded import recorded
from tests.scenario.test_catalogue import setting


def test_report_of_a_cgroup_does_not_tell_what_was_swapped_out() -> None:
    run = recorded("overcommit-in-cgroup")
    sample = next(each for each in run.records if each.get("label") == "forked" and each["ev"] == "sample")
    swap = run.changed("sample", setting(meminfo={**sample["meminfo"], "SwapFree": 1000}), label="forked")

    assert functions_of(run.evidence())["swapped_out"]("forked") == 0
    with pytest.raises(MissingRecord, match="the OOM report does not tell how much swap is free"):
        functions_of(swap.evidence())["swapped_out"]("forked")


def test_faults_of_a_process_that_ended_before_the_next_sample_are_those_of_its_end() -> None:
    run = recorded("overcommit-oops", "no-hog")
    labels = [each.get("label") for each in run.records]
    unseen = run.with_records(
        each
        for number, each in enumerate(run.records)
        if each["ev"] not in ("sample", "pagemap") or number <= labels.index("writing-starts")
    )
    end = next(each for each in run.records if each["ev"] == "exit" and each["comm"] == "child")
    before = next(proc for proc in run.records[labels.index("writing-starts")]["procs"] if proc["comm"] == "child")

    assert functions_of(unseen.evidence())["faulted"]("child", "writing-starts") == end["minflt"] - before["minflt"]
    assert unseen.claim("child-wrote").verdict == "held"


def test_faults_at_the_end_of_a_process_are_not_those_up_to_the_oom_before() -> None:
    run = recorded("overcommit-oops")
    sample = next(each for each in run.records if each["ev"] == "sample" and each.get("label") == "forked")
    child = next(proc["pid"] for proc in sample["procs"] if proc["comm"] == "child")
    after = run.changed("exit", setting(pid=child, minflt=10**6))

    faults = [functions_of(each.evidence())["faulted"]("child", "writing-starts") for each in (run, after)]

    assert faults[0] == faults[1]


def test_pages_in_the_cpus_lists_at_the_oom_were_left_and_not_copied() -> None:
    run = recorded("overcommit-oops")
    lists = 20 << 20
    more = {"label": "writing-starts"}
    sample = next(each for each in run.records if each["ev"] == "sample" and each.get("label") == "writing-starts")
    grown = run.changed(
        "sample",
        setting(meminfo={**sample["meminfo"], "MemFree": sample["meminfo"]["MemFree"] + lists // 1024}),
        **more,
    )
    was = functions_of(run.evidence())["left_in_lists"]()

    kept = grown.printed(f"free_pcp:{was // 4096} ", f"free_pcp:{(was + lists) // 4096} ")

    assert functions_of(kept.evidence())["left_in_lists"]() == was + lists
    assert grown.claim("copied-what-was-left").verdict == "failed"
    assert kept.claim("copied-what-was-left").verdict == "held"
