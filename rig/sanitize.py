# SPDX-License-Identifier: MIT
"""Text from the guest before it reaches a terminal: no escapes, no controls, no invisible or turned characters."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["for_spreadsheet", "plain"]

# CSI, OSC (with DCS, SOS, PM and APC, which end like it) and the two-byte escapes of ECMA-48, whole.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?"
)
LONGEST = 4096


def plain(text: object, *, longest: int = LONGEST) -> str:
    """Return `text` on one line, without terminal controls and at most `longest` characters.

    Tabs become spaces; other controls, and characters that turn or hide text (Unicode categories Cc, Cf, Co, Cs,
    Zl, Zp), become `�`.
    """
    line = ESCAPES.sub("", str(text)[: longest * 4]).replace("\t", "    ").rstrip("\r\n")
    line = "".join("�" if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") else char for char in line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def for_spreadsheet(text: str) -> str:
    """Return the text of a CSV's cell so that a spreadsheet does not take it for a formula (CWE-1236)."""
    return f"'{text}" if text[:1] in ("=", "+", "@", "-", "\t", "\r") else text
