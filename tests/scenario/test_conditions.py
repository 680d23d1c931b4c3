# SPDX-License-Identifier: MIT
"""The conditions that rig adds to every scenario, on runs of real guests that were changed to break them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.recorded import Change, recorded
from tests.scenario.test_catalogue import setting


def ended(**fields: Any) -> Change:
    """A change of an `exit` record: the process ended otherwise."""

    def change(record: dict[str, Any]) -> None:
        record.pop("code", None)
        record.update(fields)

    return change


@pytest.mark.parametrize(
    ("how", "why"),
    [({"signal": "ABRT"}, "was ended by SIGABRT"), ({"code": 3}, "ended with status 3")],
    ids=["signal", "status"],
)
def test_child_that_fails_unexpectedly_makes_the_run_invalid(how: dict[str, Any], why: str) -> None:
    run = recorded("snapshot-by-fork").changed("exit", ended(**how), comm="child")

    judgement = run.judged()

    assert judgement.verdict == "invalid"
    assert f"child (83), a child of server, {why}" in judgement.reason


def test_many_children_that_fail_are_counted() -> None:
    run = recorded("snapshot-by-fork").changed("exit", ended(code=3), comm="child")
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "exit")
    exits = [{**run.records[at], "pid": 200 + n} for n in range(9)]

    claim = run.with_records([*run.records[:at], *exits, *run.records[at:]]).claim("programs-lived")

    assert claim.reason.count("a child of server") == 5
    assert claim.reason.endswith("; and 5 more")


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("fork-join", "default"),  # may_fail names the comm
        ("respawn", "default"),  # the plan signals task1 and task2, and the OOM killer ends task4 and by that others
        ("overcommit-in-cgroup", "group"),  # the OOM killer ends the program and its child
    ],
)
def test_child_whose_end_is_explained_is_no_fault(name: str, variant: str) -> None:
    assert recorded(name, variant).claim("programs-lived").verdict == "held"


def test_child_is_told_from_the_signalled_one_by_its_comm() -> None:
    # The plan sends SIGSEGV to task2. Nothing explains that task3 ends by it too.
    run = recorded("respawn").changed("exit", ended(signal="SEGV"), comm="task3")
    other = run.changed("exit", setting(comm="task9"), comm="task3")

    assert run.claim("programs-lived").verdict == "held"
    assert "task9 (85), a child of respawn, was ended by SIGSEGV" in other.claim("programs-lived").reason
