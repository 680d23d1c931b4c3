# SPDX-License-Identifier: MIT
"""The documents' tables: every check with its rule, kernels and sources, and what changed between kernels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rig.verify.check import Facts, judge_check
from rig.verify.checks import catalogue
from rig.verify.document import document
from rig.verify.kernels import Verified
from rig.verify.recorded import read_recorded, write_recorded


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


def test_kernel_on_which_a_check_failed_is_not_recorded(tmp_path: Path) -> None:
    result = judge_check(catalogue()["brk"], Facts({"grown": "8192", "charged": "0", "after": "0"}))

    with pytest.raises(ValueError, match="brk: fail"):
        write_recorded(Verified("debian:bookworm", "6.1.0", results=(result,)), tmp_path)

    assert list(tmp_path.iterdir()) == []
