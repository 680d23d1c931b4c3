# SPDX-License-Identifier: MIT
"""timeline.csv: a row a sample, whatever the guest put into it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from rig.run.records import Records
from rig.telemetry.records import read_records
from rig.telemetry.timeline import columns, rows, write_timeline


def records_of(*records: dict[str, Any]) -> Records:
    return read_records(b"".join(json.dumps({"n": n, **record}).encode() + b"\n" for n, record in enumerate(records)))


def sample(t: float, **fields: Any) -> dict[str, Any]:
    return {"t": t, "ev": "sample", "label": "", **fields}


def test_row_holds_the_guests_memory_and_each_roles() -> None:
    records = records_of(
        {"t": 0.5, "ev": "step", "i": 3},
        sample(
            1.0,
            label="filled",
            meminfo={"MemFree": 100, "MemAvailable": 90, "Committed_AS": 70, "CommitLimit": 80},
            vmstat={"pgfault": 10, "oom_kill": 0},
            psi={"some": {"avg10": 1.5, "total": 3}, "full": {"avg10": 0, "total": 0}},
            procs=[{"program": "cow-writer", "comm": "parent", "pid": 5, "rss_kb": 42, "minflt": 7}],
        ),
    )

    (row,) = rows(records)

    assert row["step"] == 4
    assert (row["label"], row["free_kb"], row["available_kb"], row["committed_as_kb"]) == ("filled", 100, 90, 70)
    assert (row["psi_some_avg10"], row["oom_kill"]) == (1.5, 0)
    assert (row["parent.rss_kb"], row["parent.minflt"], row["parent.anon_kb"]) == (42, 7, None)


def test_faults_are_a_rate_between_samples() -> None:
    records = records_of(sample(1.0, vmstat={"pgfault": 100}), sample(3.0, vmstat={"pgfault": 500}))

    assert [row["pgfault_per_s"] for row in rows(records)] == [None, 200.0]


def test_processes_of_one_comm_are_not_added_up() -> None:
    procs = [
        {"comm": "hog", "program": "hog", "pid": 9, "rss_kb": 10},
        {"comm": "hog", "program": "outsider", "pid": 8, "rss_kb": 5},
        {"comm": "worker", "program": "pool", "pid": 11, "rss_kb": 1},
        {"comm": "worker", "program": "pool", "pid": 12, "rss_kb": 2},
    ]

    (row,) = rows(records_of(sample(1.0, procs=procs)))

    assert (row["hog.rss_kb"], row["outsider/hog.rss_kb"]) == (10, 5)
    assert (row["worker (11).rss_kb"], row["worker (12).rss_kb"]) == (1, 2)


def test_sample_full_of_nonsense_gives_an_empty_row() -> None:
    nonsense = sample(
        1.0,
        meminfo={"MemFree": [1]},
        vmstat={"oom_kill": "x"},
        psi={"some": 3},
        procs=[None, {"comm": None, "rss_kb": "many"}],
    )

    (row,) = rows(records_of(nonsense))

    assert row["free_kb"] is None
    assert row["psi_some_avg10"] is None


def test_file_has_every_roles_columns_and_blanks_where_it_was_not(tmp_path: Path) -> None:
    records = records_of(
        sample(1.0, procs=[{"comm": "parent", "rss_kb": 1}]),
        sample(2.0, procs=[{"comm": "parent", "rss_kb": 1}, {"comm": "child", "rss_kb": 2}]),
    )

    count = write_timeline(records, tmp_path / "timeline.csv")

    with (tmp_path / "timeline.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert count == len(table) == 2
    assert (table[0]["child.rss_kb"], table[1]["child.rss_kb"]) == ("", "2")
    assert list(table[0]) == columns(list(rows(records)))
