# SPDX-License-Identifier: MIT
"""One report in every form that people paste logs in: the form changes nothing."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable

import pytest

from rig.klog import Log, read
from tests.klog import made
from tests.klog.shape import shape

Wrapper = Callable[[int, str], str]


def stamp(index: int) -> str:
    return f"{275 + index / 1000:12.6f}"


def csv_row(*fields: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(fields)
    return out.getvalue()


FORMS: dict[str, Wrapper] = {
    # printk and dmesg
    "serial": lambda i, t: f"[{stamp(i)}] {t}",
    "serial with carriage return": lambda i, t: f"[{stamp(i)}] {t}\r",
    "caller, task": lambda i, t: f"[{stamp(i)}][  T121] {t}",
    "caller, cpu": lambda i, t: f"[{stamp(i)}][    C0] {t}",
    "level": lambda i, t: f"<4>[{stamp(i)}] {t}",
    "level alone": lambda i, t: f"<4>{t}",
    "no prefix": lambda i, t: t,
    "dmesg -x": lambda i, t: f"kern  :warn  : [{stamp(i)}] {t}",
    "dmesg -T": lambda i, t: f"[Tue Aug 12 03:54:03 2025] {t}",
    "dmesg -T, German": lambda i, t: f"[Di Aug 12 03:54:03 2025] {t}",
    "dmesg -T, Chinese": lambda i, t: f"[二 8月 12 03:54:03 2025] {t}",
    "dmesg -d": lambda i, t: f"[{stamp(i)} <    0.000{i:03d}>] {t}",
    "dmesg -dT": lambda i, t: f"[Tue Aug 12 03:54:03 2025 <    0.000{i:03d}>] {t}",
    "dmesg --reltime": lambda i, t: f"[  +0.000{i:03d}] {t}",
    "dmesg iso": lambda i, t: f"2025-08-12T03:54:03,{i:06d}+02:00 {t}",
    "/dev/kmsg": lambda i, t: f"4,{i + 100},{275000000 + i},-;{t}",
    "/dev/kmsg with a caller": lambda i, t: f"4,{i + 100},{275000000 + i},-,caller=T121;{t}",
    "printk with CPU and task": lambda i, t: f"[{stamp(i)}] (2)[121:child]{t}",
    "Android, CPU first": lambda i, t: f"<4>[{stamp(i)}]  (0)[121:child] {t}",
    "netconsole with release": lambda i, t: f"6.12.9,4,{i + 100},{275000000 + i},-;{t}",
    "netconsole with release and host": lambda i, t: f"10.0.0.7: 6.12.9,4,{i + 100},{275000000 + i},-;{t}",
    # syslog
    "syslog": lambda i, t: f"Aug 12 03:54:03 host kernel: [{stamp(i)}] {t}",
    "syslog without a time since boot": lambda i, t: f"Aug  2 03:54:03 host kernel: {t}",
    "syslog without host": lambda i, t: f"Aug  2 03:54:03 kernel: {t}",
    "syslog without host, with stamp": lambda i, t: f"Aug  2 03:54:03 kernel: [{stamp(i)}] {t}",
    "syslog with a year": lambda i, t: f"Aug 12 2025 03:54:03 host kernel: {t}",
    "syslog with a year first": lambda i, t: f"2025 Aug 12 03:54:03 host kernel: {t}",
    "syslog, four-letter month": lambda i, t: f"mars 12 03:54:03 host kernel: [{stamp(i)}] {t}",
    "syslog, day first": lambda i, t: f"12 mars 03:54:03 host kernel: {t}",
    "rsyslog high precision": lambda i, t: f"2025-08-12T03:54:03.{i:06d}+02:00 my-host kernel: [{stamp(i)}] {t}",
    "rfc 5424": lambda i, t: f"<4>1 2025-08-12T03:54:03.{i:06d}Z host kernel - - - [{stamp(i)}] {t}",
    "syslog with facility": lambda i, t: f"Aug 12 03:54:03 host kern.warn kernel: [{stamp(i)}] {t}",
    "OpenWrt logread": lambda i, t: f"Tue Aug 12 03:54:03 2025 kern.warn kernel: [{stamp(i)}] {t}",
    "busybox syslogd": lambda i, t: f"Aug 12 03:54:03 host kern.warn kernel: {t}",
    "stamp, then kernel:": lambda i, t: f"[{stamp(i)}] kernel: {t}",
    "kernel: alone": lambda i, t: f"kernel: {t}",
    "ESXi": lambda i, t: f"2025-08-12T03:54:03.{i:03d}Z cpu12:1234567)kernel: {t}",
    # the journal
    "journalctl short": lambda i, t: f"Aug 12 03:54:03 host kernel: {t}",
    "journalctl short-iso": lambda i, t: f"2025-08-12T03:54:03+0200 host kernel: {t}",
    "journalctl short-precise": lambda i, t: f"Aug 12 03:54:03.{i:06d} host kernel: {t}",
    "journalctl short-monotonic": lambda i, t: f"[{stamp(i)}] host kernel: {t}",
    "journalctl short-monotonic, no hostname": lambda i, t: f"[{stamp(i)}] kernel: {t}",
    "journalctl short-delta": lambda i, t: f"[{stamp(i)} <    0.000{i:03d} >] host kernel: {t}",
    "journalctl short-unix": lambda i, t: f"1755000000.{i:06d} host kernel: {t}",
    "journalctl short-full": lambda i, t: f"Tue 2025-08-12 03:54:03 CEST host kernel: {t}",
    "journalctl with-unit": lambda i, t: f"Tue 2025-08-12 03:54:03 CEST host init.scope[1]: {t}",
    "journalctl cat": lambda i, t: t,
    "journalctl json": lambda i, t: json.dumps(
        {"_TRANSPORT": "kernel", "MESSAGE": t, "__MONOTONIC_TIMESTAMP": str(275000000 + i)}
    ),
    "journalctl json, bytes": lambda i, t: json.dumps({"_TRANSPORT": "kernel", "MESSAGE": list(t.encode())}),
    "journalctl json-sse": lambda i, t: f"data: {json.dumps({'_TRANSPORT': 'kernel', 'MESSAGE': t})}\n",
    "journalctl json-seq": lambda i, t: "\x1e" + json.dumps({"_TRANSPORT": "kernel", "MESSAGE": t}),
    "journalctl json-pretty": lambda i, t: json.dumps(
        {"__CURSOR": f"s={i}", "_TRANSPORT": "kernel", "MESSAGE": t, "PRIORITY": "4"}, indent=8
    ),
    "journalctl export": lambda i, t: (
        f"__CURSOR=s={i}\n__MONOTONIC_TIMESTAMP={275000000 + i}\n_TRANSPORT=kernel\nMESSAGE={t}\n"
    ),
    "journalctl verbose": lambda i, t: (
        f"Tue 2025-08-12 03:54:03.{i:06d} CEST [s=ab;i={i:x};b=cd]\n    _TRANSPORT=kernel\n    PRIORITY=4\n    MESSAGE={t}"
    ),
    # other tools
    "talosctl dmesg": lambda i, t: f"10.5.0.2: kern: warning: [2025-08-12T03:54:03.{i:06d}123Z]: {t}",
    "talosctl dmesg, user": lambda i, t: f"node-1: kern:    info: [2025-08-12T03:54:03.{i:06d}Z]: {t}",
    "Android logcat": lambda i, t: f"08-12 03:54:03.{i:03d}     0     0 W kernel  : {t}",
    "Android logcat, brief": lambda i, t: f"W/kernel  (    0): {t}",
    "Android logcat with stamp": lambda i, t: f"08-12 03:54:03.{i:03d}  root     0     0 W         : [{stamp(i)}] {t}",
    "Docker json-file": lambda i, t: json.dumps(
        {"log": f"[{stamp(i)}] {t}\n", "stream": "stdout", "time": f"2025-08-12T03:54:03.{i:09d}Z"}
    ),
    "Docker json-file without stamps": lambda i, t: json.dumps({"log": t + "\n", "stream": "stdout", "time": "2025-08-12T03:54:03Z"}),
    "docker compose logs": lambda i, t: f"vm-1  | [{stamp(i)}] {t}",
    "kubectl logs --timestamps": lambda i, t: f"2025-08-12T03:54:03.{i:09d}Z [{stamp(i)}] {t}",
    "kubectl logs --prefix": lambda i, t: f"[pod/vm-7c9f/console] [{stamp(i)}] {t}",
    "CRI": lambda i, t: f"2025-08-12T03:54:03.{i:09d}+02:00 stdout F [{stamp(i)}] {t}",
    "CloudWatch": lambda i, t: f"1755000000{i:03d}\t[{stamp(i)}] {t}",
    "AWS console output": lambda i, t: f"[{stamp(i)}] {t}\n",
    "Loki": lambda i, t: f'2025-08-12T03:54:03+02:00 {{host="a", job="syslog"}} {t}',
    "logfmt": lambda i, t: f'level=warn host=a msg="{t}"',
    "CSV": lambda i, t: csv_row(f"2025-08-12 03:54:{i % 60:02d}", "host", "kernel", t),
    "CSV, message first": lambda i, t: csv_row(t, f"2025-08-12 03:54:{i % 60:02d}", "kern"),
    "TSV": lambda i, t: f"host\tkern\twarning\t{t}",
    "ansible, quoted": lambda i, t: f"            {json.dumps(f'[{stamp(i)}] {t}')},",
    "ansible, quoted without stamps": lambda i, t: f"            {json.dumps(t)},",
    "Python list": lambda i, t: f"'{t}',",
    "minicom with time": lambda i, t: f"[2025-08-12 03:54:03] [{stamp(i)}] {t}",
    "ts": lambda i, t: f"Aug 12 03:54:03 [{stamp(i)}] {t}",
    "ts -s": lambda i, t: f"00:00:{i % 60:02d} [{stamp(i)}] {t}",
    "GitLab CI": lambda i, t: f"2025-08-12T03:54:03.{i:06d}Z 01O [{stamp(i)}] {t}",
    "GitHub Actions": lambda i, t: f"2025-08-12T03:54:03.{i:07d}Z [{stamp(i)}] {t}",
    "LAVA": lambda i, t: f"<6>{i // 60:02d}:{i % 60:02d} [{stamp(i)}] {t}",
    "systemd-nspawn": lambda i, t: f"[  OK  ]: {t}" if False else f"vm console[12]: [{stamp(i)}] {t}",
    # grep, editors, pagers
    "grep -n": lambda i, t: f"{i + 4711}:[{stamp(i)}] {t}",
    "grep -n of lines without stamps": lambda i, t: f"{i + 4711}:{t}",
    "grep -n -A": lambda i, t: f"{i + 4711}{':' if i == 0 else '-'}[{stamp(i)}] {t}",
    "grep -H": lambda i, t: f"/var/log/kern.log:[{stamp(i)}] {t}",
    "grep -H of syslog": lambda i, t: f"/var/log/kern.log.1:Aug 12 03:54:03 host kernel: [{stamp(i)}] {t}",
    "grep -Hn of lines without stamps": lambda i, t: f"var/log/messages-2025:{i + 90}:{t}",
    "nl": lambda i, t: f"{i + 96:6d}\t[{stamp(i)}] {t}",
    "cat -n of lines without stamps": lambda i, t: f"{i + 96:6d}\t{t}",
    "cat -A": lambda i, t: f"[{stamp(i)}] {t}$",
    "diff": lambda i, t: f"+[{stamp(i)}] {t}",
    "less -N": lambda i, t: f"{i + 96:7d} [{stamp(i)}] {t}",
    "vim's :set number": lambda i, t: f"{i + 96:4d} {t}",
    # mail, web, chat
    "quoted": lambda i, t: f"> [{stamp(i)}] {t}",
    "quoted without stamps": lambda i, t: f"> {t}",
    "quoted twice": lambda i, t: f"> > [{stamp(i)}] {t}",
    "quoted twice, tight": lambda i, t: f">> {t}",
    "quoted by name": lambda i, t: f"JD> [{stamp(i)}] {t}",
    "one blank before": lambda i, t: f" [{stamp(i)}] {t}",
    "four blanks before": lambda i, t: f"    [{stamp(i)}] {t}",
    "four blanks before lines without stamps": lambda i, t: f"    {t}",
    "tab before": lambda i, t: f"\t[{stamp(i)}] {t}",
    "tab before lines without stamps": lambda i, t: f"\t{t}",
    "markdown bullet": lambda i, t: f"- [{stamp(i)}] {t}",
    "markdown bullet, backticks": lambda i, t: f"* `[{stamp(i)}] {t}`",
    "markdown backticks without stamps": lambda i, t: f"`{t}`",
    "markdown quote of code": lambda i, t: f">     [{stamp(i)}] {t}",
    "markdown table": lambda i, t: f"| [{stamp(i)}] {t} |",
    "numbered list": lambda i, t: f"{i + 1}. [{stamp(i)}] {t}",
    "web page": lambda i, t: f"[{stamp(i)}] {t}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    "<br>": lambda i, t: f"[{stamp(i)}] {t}<br>",
    "<br> and entities": lambda i, t: f"[{stamp(i)}] {t}".replace("<", "&lt;").replace(">", "&gt;") + "<br />",
    "<p>": lambda i, t: f"<p>[{stamp(i)}] {t}</p>",
    "Jira": lambda i, t: f"bq. [{stamp(i)}] {t}",
    "IRC": lambda i, t: f"03:54 <joe> [{stamp(i)}] {t}",
    "Slack export": lambda i, t: f"joe  3:54 AM  {t}",
}  # fmt: skip

LOGS = {
    "global": made.oom_report(),
    "cgroup": made.oom_report(cgroup="/rig/job", kernel="6.1.0"),
    "panic": [*made.oom_report()[:-2], *made.panic()],
    "oops": made.oops(),
    "warning": made.warning(),
}


def dressed(form: str, lines: list[str]) -> bytes:
    return ("\n".join(FORMS[form](index, line) for index, line in enumerate(lines)) + "\n").encode()


def plain(lines: list[str]) -> Log:
    return read([("\n".join(lines) + "\n").encode()])


def test_there_are_enough_forms() -> None:
    assert len(FORMS) >= 80


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("form", FORMS)
def test_form_changes_nothing(form: str, log: str) -> None:
    assert shape(read([dressed(form, LOGS[log])])) == shape(plain(LOGS[log]))


@pytest.mark.parametrize("form", FORMS)
def test_form_is_read_between_other_lines(form: str) -> None:
    quiet = dressed(form, ["usb 1-1: new high-speed USB device number 2 using xhci_hcd"] * 30)

    found = read([quiet + dressed(form, LOGS["cgroup"]) + quiet])

    (event,) = shape(found)["events"]
    assert {**event, "unknown": []} == shape(plain(LOGS["cgroup"]))["events"][0]


@pytest.mark.parametrize("form", ["journalctl short", "serial", "syslog", "journalctl short-full"])
@pytest.mark.parametrize("log", ["global", "cgroup"])
def test_newest_line_first_is_turned_round(form: str, log: str) -> None:
    lines = dressed(form, LOGS[log]).splitlines(keepends=True)

    assert shape(read([b"".join(reversed(lines))])) == shape(plain(LOGS[log]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("form", ["serial", "journalctl short", "no prefix"])
def test_other_encodings_are_read(form: str, encoding: str) -> None:
    data = dressed(form, LOGS["cgroup"]).decode().replace("\n", "\r\n").encode(encoding)

    pieces = [data[at : at + 777] for at in range(0, len(data), 777)]

    assert shape(read(pieces)) == shape(plain(LOGS["cgroup"]))


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 400,
        b"\x7fELF\x02\x01\x01" + b"\x00" * 5000 + b"\x90" * 5000,
        base64.b64encode(b"x" * 2_000_000),
        "not a log".encode("utf-16") + b"\xff\xfe\x00\xd8" * 3000,
        b"\x00" * 100_000,
    ],
    ids=["bytes", "ELF", "one long line", "UTF-16 without text", "zeros"],
)
def test_what_is_no_log_is_said_to_be_none(data: bytes) -> None:
    log = read([data])

    assert log.events == ()
    assert not log.looks_like_text


def test_log_without_events_looks_like_text() -> None:
    assert read([b"[    1.0] eth0: link is up\n" * 50]).looks_like_text
    assert read([b""]).looks_like_text
