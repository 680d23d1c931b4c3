# SPDX-License-Identifier: MIT
"""The reader never stops at damaged input: truncated, mixed, binary or endless."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.klog import Log, OomEvent, read, read_events
from rig.klog.explain import explain
from rig.klog.redact import Redactor
from rig.klog.scan import KEYWORDS, Scanner
from tests.klog import made
from tests.klog.shape import shape
from tests.klog.test_guest_logs import DATA
from tests.klog.test_titles import REPORTS

REPORT = made.oom_report()
CRASH = made.oops()


def oom(lines: list[str]) -> list[OomEvent]:
    return [event for event in read([made.serial(lines)]).events if isinstance(event, OomEvent)]


@pytest.mark.parametrize("end", range(1, len(REPORT)))
def test_report_cut_at_any_line_is_read_as_far_as_it_goes(end: int) -> None:
    (event,) = oom(REPORT[:end])

    assert event.invoker is not None
    assert event.unknown == ()
    assert len(event.tasks) == len([line for line in REPORT[:end] if line.startswith("[  ") and "pid" not in line])
    assert explain(event).summary


@pytest.mark.parametrize("start", range(1, len(REPORT)))
def test_report_that_begins_anywhere_is_found_while_its_end_is_there(start: int) -> None:
    events = oom(REPORT[start:])

    assert [kill.pid for event in events for kill in event.kills] == [120]
    assert all(explain(event).summary for event in events)


def test_report_without_its_beginning_is_said_to_be_damaged() -> None:
    start = REPORT.index("Mem-Info:")

    (event,) = oom(REPORT[start:])

    assert event.corrupted
    assert event.corruption == "the report's beginning is missing"
    assert event.zones
    assert event.tasks


@pytest.mark.parametrize("end", range(1, len(CRASH)))
def test_crash_cut_at_any_line_is_still_that_crash(end: int) -> None:
    (event,) = read([made.serial(CRASH[:end])]).events

    assert event.title.startswith("BUG: unable to handle kernel NULL pointer dereference in ")
    assert event.corrupted == (event.function is None or not event.trace.frames)


def test_reports_of_two_tasks_printed_at_once_are_taken_apart_by_their_callers() -> None:
    first, second = made.oom_report(), made.oom_report(cgroup="/other")
    mixed = b""
    for index in range(max(len(first), len(second))):
        for lines, caller in ((first, "T121"), (second, "T300")):
            if index < len(lines):
                mixed += f"[{275 + index / 1e4:12.6f}][{caller:>6}] {lines[index]}\n".encode()

    events = read([mixed]).events

    assert [event.scope for event in events if isinstance(event, OomEvent)] == ["global", "memcg"]
    assert all(event.unknown == () and not event.corrupted for event in events)


def test_foreign_lines_between_are_kept_with_their_numbers() -> None:
    at = REPORT.index("Mem-Info:") + 4
    lines = [*REPORT[:at], "eth0: link is up, 1000 Mbps", *REPORT[at:]]

    (event,) = oom(lines)

    assert [(line.line, line.text) for line in event.unknown] == [(at + 1, "eth0: link is up, 1000 Mbps")]
    assert any(check.ok is False and "understood" in check.name for check in explain(event).checks)


@pytest.mark.parametrize("path", sorted(DATA.glob("*-oom.log")), ids=lambda path: path.stem)
def test_line_of_a_program_anywhere_in_an_oom_report_changes_no_figure_of_it(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if b"invoked oom-killer" in line)
    last = next(at for at, line in enumerate(lines) if b"Killed process" in line)
    whole = read([b"".join(lines)]).ooms[0]

    for at in range(first + 1, last + 1):
        disturbed = read([b"".join([*lines[:at], b"[  999.000000] hog: a line of a program\n", *lines[at:]])]).ooms[0]
        assert disturbed.trace.functions == whole.trace.functions, lines[at]
        assert disturbed.totals == whole.totals, lines[at]
        assert disturbed.mem_info == whole.mem_info, lines[at]
        assert len(disturbed.tasks) == len(whole.tasks), lines[at]


def test_crash_into_which_another_report_was_printed_is_said_to_be_damaged() -> None:
    lines = [*CRASH[:3], *made.warning(), *CRASH[3:]]

    first = read([made.serial(lines)]).events[0]

    assert first.corrupted


def test_dropped_messages_mark_the_report() -> None:
    lines = [*REPORT[:20], "** 12 printk messages dropped **", *REPORT[25:]]

    (event,) = oom(lines)

    assert event.corruption == "the console dropped lines within it"


def test_binary_rubbish_between_lines_does_not_hide_a_report() -> None:
    data = made.serial(REPORT).replace(b"Mem-Info:\r\n", b"Mem-Info:\r\n\x00\xff\xfe\x1b[31m\x80\r\n")

    (event,) = read([b"\x00\xff" * 500, b"\n", data]).events

    assert isinstance(event, OomEvent)
    assert event.victim is not None


def test_terminal_controls_never_come_out() -> None:
    lines = [line.replace("parent", "par\x1b]0;x\x07ent") for line in REPORT]

    (event,) = oom(lines)

    assert event.victim is not None
    assert event.victim.comm == "parent"


def test_line_of_a_megabyte_is_passed_over() -> None:
    data = b"x" * (1 << 20) + b"\n" + made.serial(REPORT)

    (event,) = read([data]).events

    assert event.line == 2


def test_line_of_a_megabyte_in_pieces_keeps_the_line_numbers() -> None:
    data = b"first\n" + b"y" * 3_000_000 + b"\n" + made.serial(REPORT)

    (event,) = read(data[at : at + 70_000] for at in range(0, len(data), 70_000)).events

    assert event.line == 3


def test_memory_does_not_grow_with_the_log() -> None:
    # Forty megabytes by way of a generator; what is held at the end must be a fraction of that.
    quiet = b"".join(b"[%12.6f] usb 1-1: device %d\n" % (at, at) for at in range(4000))
    report = made.serial(REPORT)

    def endless() -> Iterator[bytes]:
        for _ in range(250):
            yield quiet
            yield report

    tracemalloc.start()
    count = sum(1 for _ in read_events(endless()))
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 250
    assert peak < 8 << 20


@given(st.binary(max_size=4000))
@settings(max_examples=150, deadline=None)
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for event in read([data]).events:
        explain(event)


WORDS = st.sampled_from(
    [
        *REPORT,
        *CRASH,
        *made.warning(),
        *made.panic(),
        '{"MESSAGE": 3}',
        "__CURSOR=x",
        "> ",
        "4,1,2,-;",
        "#012",
        "[",
        "] ",
    ]
)


@given(
    st.lists(st.one_of(WORDS, st.text(max_size=40)), max_size=120), st.sampled_from(["", "[   12.345678] ", "4,5,6,-;"])
)
@settings(max_examples=150, deadline=None)
def test_no_mixture_of_lines_makes_it_raise(lines: list[str], prefix: str) -> None:
    data = "\n".join(prefix + line for line in lines).encode("utf-8", "replace")

    events = read([data]).events

    redactor = Redactor()
    for event in events:
        explain(event)
        explain(redactor(event))
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert all(earlier.line <= later.line for earlier, later in pairwise(events))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_cut_within_a_line_makes_it_raise(data: st.DataObject) -> None:
    whole = made.serial([*REPORT, *CRASH])
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))

    for event in read([whole[start:end]]).events:
        explain(event)


@given(st.lists(st.booleans(), min_size=len(REPORT) * 2, max_size=len(REPORT) * 2))
@settings(max_examples=60, deadline=None)
def test_any_interleaving_of_two_callers_reads_as_the_two_reports(turns: list[bool]) -> None:
    reports = {"T121": list(REPORT), "T300": made.oom_report(cgroup="/other", kernel="6.1.0")}
    mixed = []
    for turn in [*turns, *[True, False] * len(REPORT)]:
        caller = "T121" if turn else "T300"
        if reports[caller]:
            mixed.append(f"[  275.000000][{caller:>6}] {reports[caller].pop(0)}\n")

    events = {event.caller: event for event in read(["".join(mixed).encode()]).events}

    for caller, lines in (("T121", REPORT), ("T300", made.oom_report(cgroup="/other", kernel="6.1.0"))):
        (alone,) = shape(read([made.serial(lines)]))["events"]
        found = shape(Log(events=(events[caller],)))["events"][0]
        assert {**found, "number": 1} == alone


@pytest.mark.parametrize("path", sorted(DATA.glob("*.log")), ids=lambda path: path.stem)
def test_passing_lines_over_loses_no_event(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = path.read_bytes()
    quick = read([data]).events

    monkeypatch.setattr(Scanner, "next", lambda self, start: start)
    slow = read([data]).events

    assert quick == slow


@pytest.mark.parametrize("title", REPORTS)
def test_every_kind_of_first_line_is_found_among_others(title: str) -> None:
    quiet = ["usb 1-1: new high-speed USB device number 2 using xhci_hcd"] * 300

    titles = [event.title for event in read([made.serial([*quiet, *REPORTS[title], *quiet])]).events]

    assert titles[0] == title


def test_line_with_any_keyword_is_found_and_one_with_its_letters_alone_is_not() -> None:
    quiet = b"[    1.000000] usb 1-1: new high-speed USB device\n" * 50
    for keyword in KEYWORDS:
        line = f"[    2.000000] x{keyword}y\n".encode()
        other = "\n".join(keyword).encode() + b"\n"

        assert Scanner(quiet + line + quiet).next(0) == len(quiet), keyword
        assert Scanner(quiet + other + quiet).next(0) == -1, keyword
