# SPDX-License-Identifier: MIT
"""One line of the input to the kernel's lines in it, whatever it travelled in.

A journal's JSON or export record holds one message; rsyslog writes line ends as #012; a mail client or a web
page may have escaped what stands there.
"""

from __future__ import annotations

import re

from rig.klog.prefix import Prefix, split_prefix

__all__ = ["Unpacker", "unescaped"]

_OCTAL = re.compile(r"#(0[0-7][0-7])")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{1,4}|#x[0-9a-f]{1,4});")
_EXPORT = re.compile(r"(?P<key>_{0,2}[A-Z][A-Z0-9_]*)=(?P<value>.*)", re.DOTALL)


def unescaped(raw: str) -> str:
    """Return a line of a web page with the characters that its entities stand for."""
    if "&" in raw and _ENTITY.search(raw):
        import html  # few logs need it, and every start would pay

        return html.unescape(raw)
    return raw


# journalctl -o json, json-sse; json-seq's record separator is a control and gone already.
_RECORD = re.compile(r"(?:data: )?\{")


class Unpacker:
    """Call it with each raw line; it returns (prefix, text) pairs, none for a line that is only wrapping."""

    def __init__(self) -> None:
        self._export = False
        self._monotonic: float | None = None

    def plain(self, raw: str) -> bool:
        """Whether a line has nothing to unpack."""
        return not self._export and "&" not in raw and "#0" not in raw

    def is_record(self, raw: str) -> bool:
        """Whether a line is, or is within, a record of a journal."""
        return self._export or raw.startswith("__CURSOR=") or (_RECORD.match(raw) is not None and '"MESSAGE"' in raw)

    def __call__(self, raw: str) -> list[tuple[Prefix, str]]:
        """Return the kernel's lines that a line of the input holds."""
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
        """journalctl -o export: fields one a line, an empty line between records."""
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
    """Return the message of a journal's JSON record; nothing for one that the kernel did not write."""
    import json

    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):  # the parser recurses: a record of nothing but brackets is none
        return None
    if not isinstance(record, dict):
        return None
    message = record.get("MESSAGE")
    if isinstance(message, list):  # bytes that are not text, or not printable
        message = bytes(item & 255 for item in message if isinstance(item, int)).decode("utf-8", "replace")
    source = record.get("_TRANSPORT", record.get("SYSLOG_IDENTIFIER", "kernel"))
    if not isinstance(message, str) or source not in ("kernel", "syslog"):
        return []
    time = record.get("_SOURCE_MONOTONIC_TIMESTAMP") or record.get("__MONOTONIC_TIMESTAMP")
    wall = record.get("__REALTIME_TIMESTAMP")
    level = record.get("PRIORITY")
    prefix = Prefix(
        time=int(time) / 1e6 if isinstance(time, str) and time.isdecimal() else None,
        wall=wall if isinstance(wall, str) else None,
        level=int(level) & 7 if isinstance(level, str) and level.isdecimal() else None,
        present=True,
    )
    return [(prefix, part) for part in message.split("\n")]
