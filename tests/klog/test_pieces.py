# SPDX-License-Identifier: MIT
"""Reports that begin or end in the middle, and reports that a mail client wrapped: every readable line is read."""

from __future__ import annotations

import pytest

from rig.klog import OomEvent, read
from rig.klog.oom.tasks import guessed_header
from tests.klog import made

REPORT = made.oom_report()


def oom(lines: list[str], *, stamps: bool = True) -> OomEvent:
    data = made.serial(lines) if stamps else ("\n".join(lines) + "\n").encode()
    (event,) = read([data]).events
    assert isinstance(event, OomEvent)
    return event


def index(words: str) -> int:
    return next(at for at, line in enumerate(REPORT) if words in line)


@pytest.mark.parametrize("kernel", ["6.1.0", "6.12.9"])
def test_rows_without_their_header_are_read(kernel: str) -> None:
    lines = made.oom_report(kernel=kernel)
    first = next(at for at, line in enumerate(lines) if line.startswith("[    101]"))

    event = oom(lines[first:])
    whole = oom(lines)

    assert [(row.pid, row.rss, row.rss_anon, row.name) for row in event.tasks] == [
        (row.pid, row.rss, row.rss_anon, row.name) for row in whole.tasks
    ]
    assert event.corrupted
    assert event.victim is not None


def test_row_of_an_old_kernel_has_counts_of_page_tables() -> None:
    header = guessed_header("[   77]     0    77   209803    59784     100        0             0 scand")

    assert header is not None
    assert "nr_ptes" in header
    assert guessed_header("[drm] 1 2 3 4 5 6 7 x") is None


@pytest.mark.parametrize("start", [1, 3, 6, 12])
def test_headless_report_is_read_from_its_first_line_on(start: int) -> None:
    event = oom(REPORT[start:])

    assert event.line == 1
    assert [row.name for row in event.tasks] == ["agent", "parent", "child", "hog"]
    assert event.corruption == "the report's beginning is missing"
    if start < 6:
        assert "oom_kill_process.cold" in event.trace.functions


def test_headless_report_that_ends_at_its_memory_is_an_oom_kill_still() -> None:
    event = oom(REPORT[1 : index("active_anon") + 1])

    assert event.kind == "oom"
    assert event.corrupted


def test_memory_shown_on_request_stays_what_it_is() -> None:
    lines = ["sysrq: Show Memory", *REPORT[index("Mem-Info") : index("Tasks state")]]

    (event,) = read([made.serial(lines)]).events

    assert event.kind == "memory-info"


@pytest.mark.parametrize("cut", ["min:2708kB low:33", "min:2708kB low:", "min:2708kB lo", "min:2708kB low:3384k"])
def test_zone_line_that_is_cut_is_read_as_far_as_it_goes(cut: str) -> None:
    at = index("Node 0 DMA32 free:")
    line = "Node 0 DMA32 free:2292kB boost:0kB " + cut

    event = oom([*REPORT[:at], line])

    assert [(zone.name, zone.free, zone.min) for zone in event.zones] == [("DMA", 1872, 92), ("DMA32", 2292, 2708)]
    assert "low" not in event.zones[1].values
    assert event.corruption == "a line is cut at its end"


def test_rows_that_a_mail_client_joined_are_taken_apart() -> None:
    at = index("[    120]")
    lines = [*REPORT[:at], f"{REPORT[at]} {REPORT[at + 1]}", *REPORT[at + 2 :]]

    assert [row.name for row in oom(lines).tasks] == ["agent", "parent", "child", "hog"]
    assert oom(lines).unknown == ()


def test_time_stamp_alone_belongs_to_the_next_line() -> None:
    lines = made.serial(REPORT).decode().split("\r\n")
    broken = []
    for line in lines:
        broken += [line[:15], line[15:]] if "Mem-Info" in line or "Free swap" in line else [line]

    (event,) = read(["\n".join(broken).encode()]).events

    assert isinstance(event, OomEvent)
    assert event.unknown == ()
    assert event.totals["free_swap_kb"] == 0


def test_banner_that_was_wrapped_after_the_taint_gives_the_kernel() -> None:
    lines = list(REPORT)
    lines[1:2] = ["CPU: 0 UID: 0 PID: 121 Comm: child Tainted: G        W", "O       6.12.9-cloud-amd64 #1  Debian"]

    event = oom(lines)

    assert event.kernel == "6.12.9-cloud-amd64 #1  Debian"
    assert event.unknown == ()


def test_keys_into_which_a_mail_client_put_a_blank_are_read() -> None:
    lines = [
        line.replace("oom_memcg=", "oom _memcg=").replace("mems_allowed=", "mems_ allowed=")
        for line in made.oom_report(cgroup="/rig/job")
    ]

    event = oom(lines)

    assert (event.scope, event.oom_memcg, event.mems_allowed) == ("memcg", "/rig/job", "0")
