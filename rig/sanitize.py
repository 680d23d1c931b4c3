# SPDX-License-Identifier: MIT
"""Sanitize text from a guest for a terminal: escape sequences, controls, invisible and bidirectional characters."""

from __future__ import annotations

import json
import re
import unicodedata

__all__ = ["for_json", "for_spreadsheet", "plain"]

# Complete escape sequences of ECMA-48: CSI; OSC, DCS, SOS, PM and APC, which all end in ST; two-byte escapes.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?"
)
LONGEST = 4096


def plain(text: object, *, longest: int = LONGEST) -> str:
    """Return `text` on one line, without terminal controls and at most `longest` characters.

    Tabs become spaces. Other controls, and characters that hide text or change its direction (Unicode categories Cc,
    Cf, Co, Cs, Zl and Zp), become `�`.
    """
    line = str(text)[: longest * 4]
    if not line.isprintable():
        line = _without_controls(line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _without_controls(line: str) -> str:
    line = ESCAPES.sub("", line).replace("\t", "    ").rstrip("\r\n")
    return "".join("�" if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") else char for char in line)


def for_json(document: str) -> str:
    """Return a JSON document with characters that are not printable as escapes, so that it can be shown on a terminal.

    RFC 8259 requires that of the controls below U+0020 only: U+009B begins an escape sequence as well.
    """
    return re.sub(r"[^\n -~]", lambda found: found[0] if found[0].isprintable() else _escaped(found[0]), document)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"


def for_spreadsheet(text: str) -> str:
    """Return the text of a CSV's cell so that a spreadsheet does not take it for a formula (CWE-1236)."""
    return f"'{text}" if text[:1] in ("=", "+", "@", "-", "\t", "\r") else text
