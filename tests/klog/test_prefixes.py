# SPDX-License-Identifier: MIT
"""The same log behind any prefix is the same log."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.klog import read
from tests.klog import made
from tests.klog.shape import shape

Wrapper = Callable[[int, str], str]


def stamp(index: int) -> str:
    return f"{275 + index / 1000:12.6f}"


PREFIXES: dict[str, Wrapper] = {
    "serial": lambda i, t: f"[{stamp(i)}] {t}",
    "serial with carriage return": lambda i, t: f"[{stamp(i)}] {t}\r",
    "task": lambda i, t: f"[{stamp(i)}][  T121] {t}",
    "cpu": lambda i, t: f"[{stamp(i)}][    C0] {t}",
    "level": lambda i, t: f"<4>[{stamp(i)}] {t}",
    "level alone": lambda i, t: f"<4>{t}",
    "dmesg -x": lambda i, t: f"kern  :warn  : [{stamp(i)}] {t}",
    "dmesg -T": lambda i, t: f"[Tue Aug 12 03:54:03 2025] {t}",
    "dmesg -T, German": lambda i, t: f"[Di Aug 12 03:54:03 2025] {t}",
    "dmesg -T, Chinese": lambda i, t: f"[二 8月 12 03:54:03 2025] {t}",
    "dmesg --reltime": lambda i, t: f"[  +0.000{i:03d}] {t}",
    "dmesg iso": lambda i, t: f"2025-08-12T03:54:03,{i:06d}+02:00 {t}",
    "syslog": lambda i, t: f"Aug 12 03:54:03 host kernel: [{stamp(i)}] {t}",
    "syslog without a time since boot": lambda i, t: f"Aug  2 03:54:03 host kernel: {t}",
    "rsyslog high precision": lambda i, t: f"2025-08-12T03:54:03.{i:06d}+02:00 my-host kernel: [{stamp(i)}] {t}",
    "rfc 5424": lambda i, t: f"<4>1 2025-08-12T03:54:03.{i:06d}Z host kernel - - - [{stamp(i)}] {t}",
    "journalctl short": lambda i, t: f"Aug 12 03:54:03 host kernel: {t}",
    "journalctl short-iso": lambda i, t: f"2025-08-12T03:54:03+0200 host kernel: {t}",
    "journalctl short-precise": lambda i, t: f"Aug 12 03:54:03.{i:06d} host kernel: {t}",
    "journalctl short-monotonic": lambda i, t: f"[{stamp(i)}] host kernel: {t}",
    "journalctl short-unix": lambda i, t: f"1755000000.{i:06d} host kernel: {t}",
    "journalctl short-full": lambda i, t: f"Tue 2025-08-12 03:54:03 CEST host kernel: {t}",
    "journalctl json": lambda i, t: json.dumps(
        {"_TRANSPORT": "kernel", "MESSAGE": t, "__MONOTONIC_TIMESTAMP": str(275000000 + i)}
    ),
    "journalctl json, bytes": lambda i, t: json.dumps({"_TRANSPORT": "kernel", "MESSAGE": list(t.encode())}),
    "journalctl export": lambda i, t: (
        f"__CURSOR=s={i}\n__MONOTONIC_TIMESTAMP={275000000 + i}\n_TRANSPORT=kernel\nMESSAGE={t}\n"
    ),
    "/dev/kmsg": lambda i, t: f"4,{i + 100},{275000000 + i},-;{t}",
    "/dev/kmsg with a caller": lambda i, t: f"4,{i + 100},{275000000 + i},-,caller=T121;{t}",
    "quoted": lambda i, t: f"> [{stamp(i)}] {t}",
    "quoted twice": lambda i, t: f"> > [{stamp(i)}] {t}",
    "web page": lambda i, t: html.escape(f"[{stamp(i)}] {t}"),
    "none": lambda i, t: t,
}  # fmt: skip

LOGS = {
    "global": made.oom_report(),
    "cgroup": made.oom_report(cgroup="/rig/job", kernel="6.1.0"),
    "panic": [*made.oom_report()[:-2], *made.panic()],
    "oops": made.oops(),
    "warning": made.warning(),
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("log", LOGS)
def test_prefix_changes_nothing(prefix: str, log: str) -> None:
    plain = "\n".join(LOGS[log]) + "\n"
    dressed = "\n".join(PREFIXES[prefix](index, line) for index, line in enumerate(LOGS[log])) + "\n"

    assert shape(read([dressed.encode()])) == shape(read([plain.encode()]))


@given(prefix=st.sampled_from(sorted(PREFIXES)), start=st.integers(0, 900), piece=st.integers(1, 5000))
@settings(max_examples=60, deadline=None)
def test_prefix_and_pieces_change_nothing(prefix: str, start: int, piece: int) -> None:
    lines = LOGS["global"]
    plain = ("\n".join(lines) + "\n").encode()
    dressed = ("\n".join(PREFIXES[prefix](start + index, line) for index, line in enumerate(lines)) + "\n").encode()

    pieces = [dressed[at : at + piece] for at in range(0, len(dressed), piece)]

    assert shape(read(pieces)) == shape(read([plain]))


def test_time_and_caller_are_read_where_they_stand() -> None:
    lines = made.oom_report()

    (event,) = read([made.serial(lines, start=12.5, caller="T7")]).events

    assert event.time == pytest.approx(12.5)
    assert event.caller == "T7"


def test_line_ends_that_rsyslog_escaped_are_line_ends() -> None:
    lines = made.oom_report()
    first = next(index for index, line in enumerate(lines) if line.startswith("active_anon"))
    joined = [*lines[:first], "#012".join(lines[first : first + 7]), *lines[first + 7 :]]

    (event,) = read(["\n".join(joined).encode()]).events

    assert event.unknown == ()
    assert event.mem_info == read(["\n".join(lines).encode()]).events[0].mem_info


@pytest.mark.parametrize("width", [72, 76, 80])
def test_lines_that_a_mail_client_wrapped_are_joined(width: int) -> None:
    lines = made.oom_report()
    wrapped = []
    for line in lines:
        short = line.startswith((" ", "[", "RIP", "RSP", "RAX", "Code"))
        wrapped += [line] if short else textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)

    (event,) = read(["\n".join(wrapped).encode()]).events
    (whole,) = read(["\n".join(lines).encode()]).events

    assert [zone.values for zone in event.zones] == [zone.values for zone in whole.zones]
    assert [node.values for node in event.nodes] == [node.values for node in whole.nodes]
    assert [(kill.pid, kill.pgtables_kb, kill.oom_score_adj) for kill in event.kills] == [
        (kill.pid, kill.pgtables_kb, kill.oom_score_adj) for kill in whole.kills
    ]
    assert event.unknown == ()


def test_lines_that_a_pager_cut_are_read_as_far_as_they_go_and_said_to_be_cut() -> None:
    lines = [line if len(line) <= 90 else f"{line[:89]}>" for line in made.oom_report()]

    (event,) = read(["\n".join(lines).encode()]).events

    assert event.corrupted
    assert event.zones[1].free == 2292
    assert event.victim is not None
