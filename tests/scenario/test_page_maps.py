# SPDX-License-Identifier: MIT
"""What claims read from page maps: copies of pages that a fork shared, and nothing that only looks like them."""

from __future__ import annotations

from typing import Any

import pytest

from rig.scenario.views import MissingRecord
from rig.scenario.vocabulary import functions_of
from tests.scenario.recorded import Recorded, recorded
from tests.scenario.test_catalogue import setting


def call(run: Recorded, function: str, *words: str) -> Any:
    return functions_of(run.evidence())[function](*words)


def split(run: Recorded, label: str, comm: str) -> Recorded:
    """The run with a page map in two records, as the agent sends one that is too long for a record."""
    where = {"ev": "pagemap", "label": label, "comm": comm}
    at = next(n for n, each in enumerate(run.records) if where.items() <= each.items())
    whole = run.records[at]
    half = len(whole["runs"]) // 2
    start = int(whole["start"], 16) + 4096 * sum(count for count, _ in whole["runs"][:half])
    one = {**whole, "runs": whole["runs"][:half], "last": False}
    two = {**whole, "runs": whole["runs"][half:], "start": f"{start:x}"}
    return run.with_records([*run.records[:at], one, two, *run.records[at + 1 :]])


def test_map_in_several_records_is_one_map() -> None:
    run = recorded("snapshot-by-fork")
    parts = run
    for label in ("forked", "done"):
        for comm in ("parent", "child"):
            parts = split(parts, label, comm)

    for function, *words in (
        ("unshared", "child", "forked", "done"),
        ("both_own", "parent", "child", "done"),
        ("mapped_as", "child", "forked", "shared"),
    ):
        assert call(parts, function, *words) == call(run, function, *words) > 0


def test_state_that_no_page_has_is_said_and_not_counted_as_none() -> None:
    with pytest.raises(MissingRecord, match="a page has no state 'privat': did you mean 'private'"):
        call(recorded("snapshot-by-fork"), "mapped_as", "child", "forked", "shared", "privat")


def test_page_that_ksm_merged_is_not_one_that_a_fork_shared() -> None:
    run = recorded("overcommit-in-cgroup")
    merged = run.changed("pagemap", setting(runs=[[16384, "merged"]]), label="forked")

    assert call(run, "unshared", "child", "forked", "oom") > 0
    assert call(merged, "unshared", "child", "forked", "oom") == 0
    assert merged.claim("copied-what-was-left").verdict == "failed"


def test_page_that_one_process_has_given_up_is_not_copied() -> None:
    run = recorded("snapshot-by-fork")
    gone = run.changed("pagemap", setting(runs=[[16800, "none"]]), label="done", comm="parent")

    assert call(run, "both_own", "parent", "child", "done") > 0
    assert call(gone, "both_own", "parent", "child", "done") == 0
