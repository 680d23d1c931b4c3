# SPDX-License-Identifier: MIT
"""Stalls: found where programs waited for memory, and named by their cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rig.run.document import Stall
from rig.telemetry.records import read_records
from rig.telemetry.stall import find_stalls


def samples(tmp_path: Path, *waits: float, group: bool = False, **each_second: float) -> tuple[Stall, ...]:
    """The stalls of samples a second apart: `waits` are the seconds waited in each, the counters grow as told."""
    total, lines = 0.0, []
    for number, waited in enumerate((0.0, *waits)):
        total += waited
        counts = {name: int(number * value) for name, value in each_second.items()}
        psi = {"full": {"avg10": 0.0, "total": int(total * 1e6)}}
        record: dict[str, Any] = {"n": number, "t": float(number), "ev": "sample", "label": None}
        record |= {"psi": None if group else psi, "vmstat": {k: v for k, v in counts.items() if k != "high"}}
        if group:
            record["cgroup"] = {"name": "exec", "events": {"high": counts.get("high", 0)}, "psi": psi}
        lines.append(json.dumps(record) + "\n")
    (tmp_path / "events.jsonl").write_text("".join(lines))
    return find_stalls(read_records(tmp_path / "events.jsonl"))


def test_stall_has_a_beginning_a_length_and_a_share(tmp_path: Path) -> None:
    (stall,) = samples(tmp_path, 0.1, 0.9, 1.0, 0.8, 0.1)

    assert (stall.begin, stall.length) == (1.0, 3.0)
    assert stall.share == pytest.approx(0.9)


def test_waits_that_are_short_or_a_small_part_are_no_stall(tmp_path: Path) -> None:
    assert samples(tmp_path, 0.1, 1.0, 0.1, 0.4, 0.4, 0.4) == ()


def test_two_spans_are_two_stalls_and_one_may_last_to_the_end(tmp_path: Path) -> None:
    assert [stall.begin for stall in samples(tmp_path, 1, 1, 0, 1, 1)] == [0.0, 3.0]


@pytest.mark.parametrize(
    ("each_second", "cause"),
    [
        ({"high": 5, "pgscan_direct": 1000, "pgsteal_direct": 1}, "throttled"),
        ({"high": 5, "workingset_refault_file": 5000}, "thrashing"),
        ({"workingset_refault_file": 5000, "pswpin": 10}, "thrashing"),
        ({"workingset_refault_file": 100, "pswpin": 5000}, "swapping"),
        ({"pgscan_direct": 10000, "pgsteal_direct": 10}, "no-progress"),
        ({"pgscan_direct": 1000, "pgsteal_direct": 900}, "io"),
    ],
)
def test_cause_is_what_the_kernel_did_meanwhile(tmp_path: Path, each_second: dict[str, float], cause: str) -> None:
    assert [stall.cause for stall in samples(tmp_path, 1, 1, 1, group=True, **each_second)] == [cause]


def test_samples_without_pressure_tell_of_no_stall(tmp_path: Path) -> None:
    lines = [json.dumps({"n": n, "t": float(n), "ev": "sample", "psi": None, "cgroup": "forged"}) for n in range(5)]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")

    assert find_stalls(read_records(tmp_path / "events.jsonl")) == ()


def _samples(tmp_path: Path, *records: dict[str, Any]) -> tuple[Stall, ...]:
    """The stalls of these samples, a second apart."""
    lines = [json.dumps({"n": n, "t": float(n), "ev": "sample", **each}) for n, each in enumerate(records)]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    return find_stalls(read_records(tmp_path / "events.jsonl"))


def _reading(second: int, refaults: int) -> dict[str, Any]:
    """A sample of a guest that waits for its disk and reads 4 MB a second."""
    return {
        "psi_io": {"full": {"avg10": 90.0, "total": second * 900_000}},
        "vmstat": {"pgpgin": second * 4096, "workingset_refault_file": second * refaults},
    }


def test_wait_for_pages_that_had_been_in_memory_is_a_stall(tmp_path: Path) -> None:
    (stall,) = _samples(tmp_path, *(_reading(second, refaults=1000) for second in range(4)))

    assert (stall.cause, stall.by, stall.share) == ("thrashing", "I/O pressure", pytest.approx(0.9))


@pytest.mark.parametrize(("refaults", "stalls"), [(2000, 1), (100, 0)])
def test_slow_disk_that_answers_a_large_request_every_three_seconds(refaults: int, stalls: int, tmp_path: Path) -> None:
    blocks = [second // 3 for second in range(12)]
    each = [_reading(second, refaults=0) for second in range(12)]
    for sample, block in zip(each, blocks, strict=True):
        sample["vmstat"] = {"pgpgin": block * 8192, "workingset_refault_file": block * refaults}

    found = _samples(tmp_path, *each)

    assert [(stall.cause, stall.begin, stall.length) for stall in found] == [("thrashing", 0.0, 11.0)] * stalls


def test_wait_for_what_was_never_in_memory_is_the_disks_and_no_stall(tmp_path: Path) -> None:
    assert _samples(tmp_path, *(_reading(second, refaults=100) for second in range(4))) == ()


def test_late_heartbeat_is_a_stall_without_psi(tmp_path: Path) -> None:
    beats = [{"heartbeat": {"beats": n, "timer": 9.0 * n, "pages": 0.8 * n, "file": 0.0}} for n in range(4)]

    (stall,) = _samples(tmp_path, *beats)

    assert (stall.by, stall.share) == ("heartbeat", pytest.approx(0.8))


def test_late_timer_of_the_heartbeat_is_the_cpus_and_no_stall(tmp_path: Path) -> None:
    assert _samples(tmp_path, *({"heartbeat": {"beats": n, "timer": 0.9 * n, "pages": 0.0}} for n in range(4))) == ()


def test_stall_names_who_was_found_waiting(tmp_path: Path) -> None:
    def row(comm: str, pid: int, state: str, faults: int) -> dict[str, Any]:
        return {"program": "exec", "comm": comm, "pid": pid, "state": state, "majflt": faults}

    (stall,) = _samples(
        tmp_path,
        *(_reading(n, 1000) | {"procs": [row("shell", 7, "S", 0), row("reader", 8, "D", 9 * n)]} for n in range(4)),
    )

    assert stall.who == "reader"
