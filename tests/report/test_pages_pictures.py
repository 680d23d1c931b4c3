# SPDX-License-Identifier: MIT
"""Pictures of page maps: which process got the copy of a page, and when the maps do not show it."""

from __future__ import annotations

import json
from typing import Any

from rig.report.plots.pages import columns_of, pages_pictures
from rig.telemetry.records import read_records
from tests.report.made_directory import records
from tests.scenario.made import CHILD, PARENT


def meanings(items: list[dict[str, Any]]) -> list[str]:
    text = "".join(json.dumps(item) + "\n" for item in items)
    return [state.meaning for state in pages_pictures(read_records(text.encode()))[-1].states]


def set_faults(items: list[dict[str, Any]], pid: int, faults: int) -> None:
    for item in items:
        for proc in item.get("procs", []):
            if proc["pid"] == pid:
                proc["minflt"] += faults if item["t"] > 9 else 0


def test_writer_is_who_had_a_minor_fault_for_each_copied_page() -> None:
    assert meanings(records()) == ["shared by parent and child", "copied to the child"]


def test_parent_that_writes_gets_the_copies() -> None:
    items = records()
    for item in items:
        for proc in item.get("procs", []):
            if proc["pid"] == CHILD:
                proc["minflt"] = 20
    set_faults(items, PARENT, 5632)

    assert meanings(items)[1] == "copied to the parent"


def test_where_both_wrote_nobody_is_named() -> None:
    items = records()
    set_faults(items, PARENT, 3000)

    assert meanings(items)[1] == "copied: each has its own"


def test_fewer_faults_than_copies_name_nobody() -> None:
    items = records()
    for item in items:
        for proc in item.get("procs", []):
            if proc["pid"] == CHILD:
                proc["minflt"] = 20

    assert meanings(items)[1] == "copied: each has its own"


def test_small_arrays_have_narrow_pictures() -> None:
    assert [columns_of(pages) for pages in (1, 16, 256, 51200)] == [2, 8, 32, 256]
