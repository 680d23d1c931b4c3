# SPDX-License-Identifier: MIT
"""Split off the prefix of a line of the log: level, wall-clock time, host, time since boot, caller.

The forms are those of printk itself (`[   12.345678][  T123] `, kernel/printk/printk.c info_print_prefix()),
dmesg (-T in any locale, -x, --reltime, --time-format iso), syslog in both its forms, journalctl's short
forms, and netconsole. Anything else before the text (quoting, numbering, indentation) is learned in wrapping.py.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Prefix", "is_serial", "split_prefix"]


class Prefix(NamedTuple):
    """The prefix of a line; a field is None where the line does not have it.

    time: seconds since boot.
    caller: `T123` for a task, `C0` for a CPU (CONFIG_PRINTK_CALLER).
    wall: the wall-clock time as printed.
    level: 0 (emerg) to 7 (debug).
    present: whether the line has a prefix at all.
    host: the machine's name, of syslog and journalctl.
    """

    time: float | None = None
    caller: str | None = None
    wall: str | None = None
    level: int | None = None
    present: bool = False
    host: str | None = None


NONE = Prefix()

_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIX = re.compile(
    r"(?:<(?P<level>\d{1,3})>(?:1 )?)?"
    r"(?:(?:kern|user|daemon|syslog|auth)\s*[:.]\s?(?P<name>emerg|alert|crit|err|warn|notice|info"
    r"|debug)\s*: ?)?"
    r"(?:(?P<wall>"
    + _ISO  # RFC 3339, short-iso, dmesg --time-format iso
    + r"|\w{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"  # RFC 3164
    r"|\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \S+"  # journalctl short-full
    r"|\d{9,10}\.\d{6}(?= \S+ kernel)"  # short-unix
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?(?= )"
    r") ?)?"
    r"(?:(?:\[ *\d+\.\d+\] )?(?!\[)(?P<host>[^\s\[\]<>]+) (?:kernel|klogd|vmunix)(?:\[\d+\])?(?::| -(?: -)* ) ?)?"
    r"(?:\[(?P<ctime>[^\[\]]{0,40}\d:\d\d:\d\d[^\[\]]{0,40}|[A-Z][a-z]{2}\s?\d+ \d\d:\d\d|\s*\+\d+\.\d+"
    r"|\s*<\s*\d+\.\d+>)\] ?)?"
    r"(?:\[ *(?P<time>\d{1,10}\.\d{3,9})\](?P<pad>\s?))?"
    r"(?:\[ *(?P<caller>[TC]\d+(?:@C?\d+)?)\] ?)?"
)  # fmt: skip
_LEVELS = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7}
_KMSG = re.compile(
    r"(?P<level>\d{1,5}),(?P<seq>\d+),(?P<usec>\d+),(?P<flag>[-c+])(?:,caller=(?P<caller>[TC]\d+))?(?:,[^;]*)?;"
)
# The most common form has a pattern of its own, which takes a third of the time.
_SERIAL = re.compile(r"\[ *(\d{1,10}\.\d{3,9})\](?:\[ *([TC]\d+)\])? (?!(?: ?[^\s\[\]]+)? ?kernel: |\([0-9]+\)\[)")
# On the console getty's prompt, and printk's note about dropped messages, may precede a message on the same line.
_LOGIN = re.compile(r"^.{0,200} login: (?=<?\d*>?\[ *\d+\.\d+\])")
_DROPPED_BEFORE = re.compile(r"^\*\* \d+ printk messages dropped \*\* (?=\[ *\d+\.\d+\])")


def is_serial(raw: str) -> bool:
    """Return whether a line begins as printk writes it to a serial console: `[   12.345678] `."""
    return _SERIAL.match(raw) is not None


def split_prefix(raw: str) -> tuple[Prefix, str]:
    """Return the prefix of a line, and the text after it with its indentation."""
    if raw.startswith("["):
        serial = _SERIAL.match(raw)
        if serial is not None:
            time, caller = serial.groups()
            return Prefix(float(time), caller, None, None, True), raw[serial.end() :]
    if " login: " in raw:
        raw = _LOGIN.sub("", raw)
    if raw.startswith("** "):
        raw = _DROPPED_BEFORE.sub("", raw)
    first = raw[:1]
    if first.isdigit():
        kmsg = _KMSG.match(raw)
        if kmsg is not None:
            return (
                Prefix(
                    time=int(kmsg["usec"]) / 1e6,
                    caller=kmsg["caller"],
                    level=int(kmsg["level"]) & 7,
                    present=True,
                ),
                raw[kmsg.end() :],
            )
    match = _PREFIX.match(raw)
    assert match is not None  # every part of the pattern is optional
    if not match.end():
        return NONE, raw
    level, name, wall, ctime, host, time, caller = match.group(
        "level", "name", "wall", "ctime", "host", "time", "caller"
    )
    return (
        Prefix(
            time=float(time) if time else None,
            caller=caller,
            wall=wall or ctime,
            level=int(level) & 7 if level else _LEVELS.get(name) if name else None,
            present=True,
            host=host,
        ),
        raw[match.end() :],
    )
