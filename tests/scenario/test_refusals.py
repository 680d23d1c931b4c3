# SPDX-License-Identifier: MIT
"""Refused forks: a program's words are a hint, and the kernel's count decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenario.recorded import Recorded, recorded
from tests.scenario.test_catalogue import setting
from tests.scenario.test_conditions import fork_refused

NAMED = (
    "fork: ENOMEM",
    "vfork: EAGAIN",
    "server: fork: Cannot allocate memory",
    "/bin/bash: fork: Cannot allocate memory",
    "/bin/bash: fork: retry: Resource temporarily unavailable",
    "/bin/sh: 1: Cannot fork",
    "fork: Resource temporarily unavailable at -e line 1.",
)
UNNAMED = (
    "posix_spawn: ENOMEM",
    "2026/01/01 00:00:00 fork/exec /bin/sleep: cannot allocate memory",
    "BlockingIOError: [Errno 11] Resource temporarily unavailable",
    "OSError: [Errno 12] Cannot allocate memory",
    'java.io.IOException: Cannot run program "true": error=11, Resource temporarily unavailable',
    "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory",
    "Error: spawn true EAGAIN",
)


def said(text: str, counted: int | None) -> Recorded:
    """Return a run whose program says so and fails, and in which the kernel refused so many forks."""
    run = fork_refused("fork-join").said("fork: EAGAIN", text)
    if counted is None:
        return run
    counts = {"go": 3, "end": 3 + counted}
    return replace(
        run,
        records=tuple(
            {**each, "refused_forks": counts[each["ev"]]} if each["ev"] in counts else each for each in run.records
        ),
    )


def verdict(run: Recorded, claim: str) -> str:
    found = [each.verdict for each in run.judged().claims if each.id == claim]
    return found[0] if found else "absent"


@pytest.mark.parametrize("text", [*NAMED, *UNNAMED])
def test_fork_that_the_kernel_refused_is_a_result_in_whatever_words(text: str) -> None:
    run = said(text, 1)

    assert run.judged().verdict == "not-reproduced"
    assert verdict(run, "no-fork-refused") == "failed"


@pytest.mark.parametrize("text", NAMED)
def test_fork_that_only_the_program_says_was_refused_makes_the_run_invalid(text: str) -> None:
    run = said(text, 0)

    assert run.judged().verdict == "invalid"
    assert verdict(run, "kernel-refused-it") == "failed"
    assert "the kernel refused no forks" in run.claim("kernel-refused-it").reason
    assert verdict(run, "no-fork-refused") == "absent"


@pytest.mark.parametrize("text", UNNAMED)
def test_words_that_may_be_of_another_call_explain_nothing_alone(text: str) -> None:
    run = said(text, 0)

    assert run.judged().verdict == "invalid"
    assert verdict(run, "kernel-refused-it") == "absent"
    assert verdict(run, "no-fork-refused") == "absent"


def test_words_are_believed_where_the_kernel_does_not_count() -> None:
    assert verdict(said("fork: ENOMEM", None), "no-fork-refused") == "failed"
    assert verdict(said("OSError: [Errno 12] Cannot allocate memory", None), "no-fork-refused") == "absent"


@pytest.mark.parametrize("text", ["fork: 3 children", "mmap: ENOMEM", "cannot allocate memory for the fork: retry"])
def test_other_words_are_no_refusal(text: str) -> None:
    assert verdict(said(text, 1), "no-fork-refused") == "absent"


def test_scenario_of_refused_forks_rests_on_the_count() -> None:
    run = recorded("fork-fails").changed("end", setting(refused_forks=0))

    assert recorded("fork-fails").claim("refused-for-processes").verdict == "held"
    assert run.claim("refused-for-processes").verdict == "failed"
    assert run.claim("kernel-refused-it").verdict == "failed"
