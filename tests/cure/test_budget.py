# SPDX-License-Identifier: MIT
"""A cure ends within its budget: no run begins that would most likely end after it."""

from __future__ import annotations

from rig.cure.budget import Budget


def test_run_begins_only_where_one_as_long_as_the_last_would_end_in_time() -> None:
    now = [100.0]
    budget = Budget(60.0, clock=lambda: now[0])
    assert budget.left

    budget.note(5.0)
    now[0] = 154.0
    assert budget.left
    now[0] = 156.0
    assert not budget.left


def test_long_run_of_long_ago_does_not_count() -> None:
    now = [0.0]
    budget = Budget(60.0, clock=lambda: now[0])
    for took in (20.0, 1.0, 1.0, 1.0, 1.0):
        budget.note(took)

    now[0] = 58.0
    assert budget.left
    now[0] = 59.5
    assert not budget.left
