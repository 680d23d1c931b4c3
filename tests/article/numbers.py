# SPDX-License-Identifier: MIT
"""The numbers in the article's sentences, each taken from a recorded run: the placeholder in a sentence -> its text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.scenario.recorded import Recorded, recorded

__all__ = ["ORDINALS", "Runs", "numbers"]

Runs = Callable[[str, str], Recorded]
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def _value(run: Recorded, claim: str, name: str) -> Any:
    return next(value.value for value in run.claim(claim).values if value.name == name)


def _step_of_the_oom(run: Recorded) -> str:
    """Return which step of the child's the OOM came in: those that it printed before are over."""
    oom = next(record for record in run.records if record["ev"] == "oom")
    before = [
        record
        for record in run.records
        if record["ev"] == "line" and record["text"].startswith("step ") and record["t"] < oom["t"]
    ]
    return ORDINALS[len(before)]


def _available_mb(run: Recorded, label: str) -> str:
    sample = next(record for record in run.records if record["ev"] == "sample" and record.get("label") == label)
    return f"{sample['meminfo']['MemAvailable'] / 1024:.0f}"


def numbers(runs: Runs = recorded) -> Mapping[str, str]:
    """Return the text of each placeholder. runs: returns the recorded run of a scenario and a variant."""
    oops = runs("overcommit-oops", "default")
    store, page = runs("cow-cost", "default"), runs("cow-cost", "page")
    copy = "instructions-of-a-copy"
    return {
        "step_of_the_oom": _step_of_the_oom(oops),
        "beside_the_parent_mb": _available_mb(oops, "filled"),
        "beside_the_hog_mb": _available_mb(oops, "hogging"),
        "copied_mb": f"{_value(oops, 'copied-what-was-left', 'copied') / 2**20:.0f}",
        "instructions_of_a_copy": f"{_value(store, copy, 'more'):,}",
        "factor_of_a_store": f"{_value(store, copy, 'factor'):,.0f}",
        "factor_of_a_page": f"{_value(page, copy, 'factor'):,.1f}",
    }
