# SPDX-License-Identifier: MIT
"""Extract the kernel's lines from a line of the input.

A record of the journal (JSON or export format) holds one message, rsyslog writes a newline as #012, and a mail client
or a web page may have replaced characters with entities.
"""

from __future__ import annotations

import re

from rig.klog.prefix import Prefix, split_prefix

__all__ = ["Unpacker", "unescaped"]

_OCTAL = re.compile(r"#(0[0-7][0-7])")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{1,4}|#x[0-9a-f]{1,4});")
_EXPORT = re.compile(r"(?P<key>_{0,2}[A-Z][A-Z0-9_]*)=(?P<value>.*)", re.DOTALL)


def unescaped(raw: str) -> str:
    """Return a line with its HTML entities replaced by the characters that they stand for."""
    if "&" in raw and _ENTITY.search(raw):
        import html  # imported here because few logs need it, and it would slow down every start

        return html.unescape(raw)
    return raw


# journalctl -o json and json-sse. For json-seq the record separator was removed with the other control characters.
_RECORD = re.compile(r"(?:data: )?\{")

# Programs whose messages say that they killed another one to free memory: rules of oneline.py.
_KILLERS = ("systemd-oomd", "earlyoom", "nohang", "nohang-desktop", "kubelet", "lmkd")


class Unpacker:
    """Return the (prefix, text) pairs of a raw line when called; none for a line that holds only metadata."""

    def __init__(self) -> None:
        self._export = False
        self._monotonic: float | None = None

    def plain(self, raw: str) -> bool:
        """Return whether a line is neither part of a record nor escaped, so that it needs no unpacking."""
        return not self._export and "&" not in raw and "#0" not in raw

    def is_record(self, raw: str) -> bool:
        """Return whether a line is a record of the journal, or part of one."""
        return self._export or raw.startswith("__CURSOR=") or (_RECORD.match(raw) is not None and '"MESSAGE"' in raw)

    def __call__(self, raw: str) -> list[tuple[Prefix, str]]:
        """Return the kernel's lines in a line of the input, each with its prefix."""
        if '"MESSAGE"' in raw and (start := _RECORD.match(raw)) is not None:
            record = _journal_record(raw[start.end() - 1 :])
            if record is not None:
                return record
        if self._export or raw.startswith("__CURSOR="):
            return self._export_line(raw)
        prefix, text = split_prefix(unescaped(raw))
        if "#0" in text and _OCTAL.search(text):
            text = _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
            return [(prefix, part) for part in text.split("\n")]
        return [(prefix, text)]

    def _export_line(self, raw: str) -> list[tuple[Prefix, str]]:
        """Read a line of `journalctl -o export`: one field a line, an empty line between records."""
        self._export = True
        match = _EXPORT.match(raw)
        if match is None:
            return []
        if match["key"] in ("_SOURCE_MONOTONIC_TIMESTAMP", "__MONOTONIC_TIMESTAMP") and match["value"].isdecimal():
            self._monotonic = int(match["value"]) / 1e6
        if match["key"] != "MESSAGE":
            return []
        return [(Prefix(time=self._monotonic, present=True), match["value"])]


def _journal_record(raw: str) -> list[tuple[Prefix, str]] | None:
    """Return the lines of a JSON record's message.

    Empty for a record that the kernel did not write; None for a line that is not a JSON record.
    """
    import json

    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):  # the parser recurses once for each open bracket
        return None
    if not isinstance(record, dict):
        return None
    message = record.get("MESSAGE")
    if isinstance(message, list):  # journalctl prints a message that is not printable text as a list of bytes
        message = bytes(item & 255 for item in message if isinstance(item, int)).decode("utf-8", "replace")
    source = record.get("_TRANSPORT", record.get("SYSLOG_IDENTIFIER", "kernel"))
    name = record.get("SYSLOG_IDENTIFIER")
    if isinstance(message, str) and name in _KILLERS:
        message = f"{name}[{record.get('_PID', 0)}]: {message}"
    elif not isinstance(message, str) or source not in ("kernel", "syslog"):
        return []
    time = record.get("_SOURCE_MONOTONIC_TIMESTAMP") or record.get("__MONOTONIC_TIMESTAMP")
    wall = record.get("__REALTIME_TIMESTAMP")
    level, host = record.get("PRIORITY"), record.get("_HOSTNAME")
    prefix = Prefix(
        time=int(time) / 1e6 if isinstance(time, str) and time.isdecimal() else None,
        wall=wall if isinstance(wall, str) else None,
        level=int(level) & 7 if isinstance(level, str) and level.isdecimal() else None,
        present=True,
        host=host if isinstance(host, str) else None,
    )
    return [(prefix, part) for part in message.split("\n")]
