# SPDX-License-Identifier: MIT
"""The documents' tables: every check with its rule, kernels and sources, and what changed between kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from rig.verify.check import Facts, judge_check, judge_negated
from rig.verify.checks import catalogue
from rig.verify.document import document
from rig.verify.kernels import Verified
from rig.verify.recorded import Recorded, read_recorded, write_recorded


def test_every_check_is_a_row_with_a_mark_for_each_kernel() -> None:
    recorded = read_recorded()

    lines = document(recorded).splitlines()

    for name in catalogue():
        row = next(line for line in lines if line.startswith(f"| {name} |"))
        assert row.count("✓") == len(recorded)


def test_change_names_its_kernel_and_commit() -> None:
    text = document(read_recorded())

    assert "| 6.7 | 9b9143298585 | the charge stays | the charge is given back | mprotect-untouched |" in text


def test_recorded_data_that_breaks_a_rule_shows_in_the_table() -> None:
    recorded = read_recorded()[-1]
    broken = dataclasses.replace(recorded, checks={**recorded.checks, "brk": {**recorded.checks["brk"], "after": "4"}})

    row = next(line for line in document([broken]).splitlines() if line.startswith("| brk |"))

    assert row.startswith("| brk | ✗ |")


def changed(recorded: Recorded, check: str, **facts: str) -> Recorded:
    return dataclasses.replace(recorded, checks={**recorded.checks, check: {**recorded.checks[check], **facts}})


def differences(recorded: Sequence[Recorded]) -> list[str]:
    text = document(recorded)
    return [line for line in text.splitlines() if line.startswith("- ")]


def test_kernels_that_reported_the_same_words_differ_in_nothing() -> None:
    old = read_recorded()[0]
    new = dataclasses.replace(changed(old, "memcg-high", high="9"), release_text="5.11.0")

    assert differences([old, new]) == []
    assert "5.10 and 5.11 agree in every mark and in every word that they reported." in document([old, new])


def test_word_that_a_kernel_reported_otherwise_is_named_with_the_kernels() -> None:
    old = changed(read_recorded()[0], "memcg-largest", killed="large")
    new = dataclasses.replace(changed(old, "memcg-largest", killed="small,large"), release_text="5.11.0")

    assert differences([old, new]) == ["- memcg-largest: `killed` is `large` on 5.10, `small,large` on 5.11"]


def test_mark_that_differs_is_named_with_the_kernels() -> None:
    old = read_recorded()[0]
    new = dataclasses.replace(changed(old, "brk", after="4"), release_text="5.11.0")

    assert "- brk: the mark is ✓ on 5.10, ✗ on 5.11" in differences([old, new])


def test_number_of_a_kernel_worker_is_no_difference() -> None:
    old = changed(read_recorded()[0], "sysrq-f", oom_invoker="kworker/0:1")
    new = dataclasses.replace(changed(old, "sysrq-f", oom_invoker="kworker/u4:2"), release_text="5.11.0")

    assert differences([old, new]) == []


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    result = judge_check(catalogue()["brk"], Facts({"grown": "8192", "charged": "8192", "after": "0"}))

    path = write_recorded(Verified("debian:bookworm", "6.1.0-50-cloud-amd64", results=(result,)), tmp_path)

    assert path.name == "6.1.json"
    assert read_recorded(tmp_path)[0].facts("brk").values == result.numbers


def test_recording_one_check_keeps_the_others(tmp_path: Path) -> None:
    checks = catalogue()
    brk = judge_check(checks["brk"], Facts({"grown": "8192", "charged": "8192", "after": "0"}))
    exits = judge_check(checks["exit"], Facts({"mapped": "16384", "during": "17000", "after": "0"}))

    write_recorded(Verified("debian:bookworm", "6.1.0", results=(brk,)), tmp_path)
    write_recorded(Verified("debian:bookworm", "6.1.0", results=(exits,)), tmp_path)

    assert set(read_recorded(tmp_path)[0].checks) == {"brk", "exit"}


def test_control_without_a_condition_is_recorded_under_its_own_title(tmp_path: Path) -> None:
    kernel, check = read_recorded()[-1], catalogue()["oom-sharers"]
    result = judge_check(check, kernel.facts("oom-sharers"))
    control = judge_negated(check, kernel.facts("oom-sharers~vm"))

    write_recorded(Verified("debian:sid", "7.2.1", results=(result,), controls={"oom-sharers~vm": control}), tmp_path)

    assert read_recorded(tmp_path)[0].checks["oom-sharers~vm"] == control.numbers


def test_kernel_on_which_a_check_failed_is_not_recorded(tmp_path: Path) -> None:
    result = judge_check(catalogue()["brk"], Facts({"grown": "8192", "charged": "0", "after": "0"}))

    with pytest.raises(ValueError, match="brk: fail"):
        write_recorded(Verified("debian:bookworm", "6.1.0", results=(result,)), tmp_path)

    assert list(tmp_path.iterdir()) == []
