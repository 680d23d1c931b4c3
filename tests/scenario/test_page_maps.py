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


def test_page_that_either_may_have_written_anew_is_not_copied() -> None:
    run = recorded("snapshot-by-fork", "writes")
    copied = call(run, "both_own", "parent", "child", "done")
    anew = run.changed("pagemap", setting(fresh_faults=5, migrated=0), label="done", comm="parent")

    assert call(anew, "both_own", "parent", "child", "done") == copied - 5 * 4096
    anew = anew.changed("pagemap", setting(fresh_faults=3, migrated=1), label="done", comm="child")
    assert call(anew, "both_own", "parent", "child", "done") == copied - 9 * 4096


def later(run: Recorded, **fields: Any) -> Recorded:
    """Return the run with these fields in each page map of the child but the first."""
    maps = [each for each in run.records if each["ev"] == "pagemap" and each["comm"] == "child"]
    return run.with_records({**each, **fields} if each in maps[1:] else each for each in run.records)


def test_page_that_the_other_process_gave_up_is_not_copied() -> None:
    run = recorded("overcommit-in-cgroup")

    assert call(later(run, runs=[[16384, "kept"]]), "unshared", "child", "forked", "oom") == 0


def test_page_that_may_be_new_is_not_copied() -> None:
    run = recorded("overcommit-in-cgroup")
    copied = call(run, "unshared", "child", "forked", "oom")

    assert call(later(run, fresh_faults=0, migrated=0), "unshared", "child", "forked", "oom") == copied
    assert call(later(run, fresh_faults=10, migrated=2), "unshared", "child", "forked", "oom") == copied - 12 * 4096
    assert call(later(run, fresh_faults=100000, migrated=0), "unshared", "child", "forked", "oom") == 0


def test_no_more_pages_are_copied_than_there_were_faults_that_copy() -> None:
    run = recorded("overcommit-in-cgroup")

    few = later(run, fresh_faults=0, migrated=0, copy_faults=10)
    assert call(few, "unshared", "child", "forked", "oom") == 10 * 4096
    assert few.claim("copied-what-was-left").verdict == "failed"


def test_no_more_pages_are_each_ones_own_than_both_may_have_copied() -> None:
    run = recorded("snapshot-by-fork", "writes")
    assert call(run, "both_own", "parent", "child", "done") > 7 * 4096

    for comm, copies in (("parent", 3), ("child", 4)):
        fields = setting(fresh_faults=0, migrated=0, copy_faults=copies)
        run = run.changed("pagemap", fields, label="done", comm=comm)

    assert call(run, "both_own", "parent", "child", "done") == 7 * 4096


def test_pages_that_were_moved_into_the_array_decide_nothing() -> None:
    run = recorded("overcommit-in-cgroup")
    moved = later(run, fresh_faults=0, migrated=0, copy_faults=100000, brought_others=1)

    with pytest.raises(MissingRecord, match="'child' may have other pages in its array's place"):
        call(moved, "unshared", "child", "forked", "oom")
    assert call(later(moved, copy_faults=0), "unshared", "child", "forked", "oom") == 0


def test_map_whose_new_pages_are_not_known_decides_nothing() -> None:
    run = recorded("overcommit-in-cgroup")
    unknown = later(run, fresh_faults=None, migrated=0)

    with pytest.raises(MissingRecord, match="which pages 'child' copied, and which are new, is not known"):
        call(unknown, "unshared", "child", "forked", "oom")
    assert unknown.claim("copied-what-was-left").verdict == "invalid"


def test_array_without_a_first_map_decides_nothing() -> None:
    run = recorded("snapshot-by-fork", "writes")
    unknown = run.changed("pagemap", setting(fresh_faults=None, migrated=None), label="done", comm="parent")

    with pytest.raises(MissingRecord, match="of page map 'done'"):
        call(unknown, "both_own", "parent", "child", "done")


def test_kernel_that_counts_no_faults_has_nothing_taken_off() -> None:
    run = recorded("overcommit-in-cgroup")
    unknown = later(run, fresh_faults=None, migrated=3).changed("go", setting(faults=False))

    assert call(unknown, "unshared", "child", "forked", "oom") == call(run, "unshared", "child", "forked", "oom") > 0


def test_kept_page_is_private_for_whoever_asks_how_much_is() -> None:
    run = recorded("snapshot-by-fork")
    kept = run.changed("pagemap", setting(runs=[[16800, "kept"]]), label="forked", comm="child")

    assert call(kept, "mapped_as", "child", "forked", "private") == 16800 * 4096
