# SPDX-License-Identifier: MIT
"""Make titles that are the same for the same bug, without addresses, numbers and compiler suffixes.

The wording follows syzbot's, so that a title can be looked up on its dashboard.
"""

from __future__ import annotations

import re

__all__ = ["short_name", "spellings", "stable"]

_LONGEST = 120
_LONGEST_SOURCE = 500  # characters that a title is made from; the substitutions below take quadratic time

# Applied in this order: the pattern for numbers must not match part of an address.
_UNSTABLE = (
    (re.compile(r"\b([A-Za-z][A-Za-z-]*[A-Za-z])\.?\d+(?:[/:]\d+)\b"), r"\1"),  # name3/77: a worker and its pid
    (re.compile(r"(?<=[^0-9A-Za-z])(?:0x)?[0-9a-f]{6,}"), "ADDR"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}"), "IP"),
    (re.compile(r"(?<=\.)([a-z]+):\d[\d:]*"), r"\1:LINE"),
    (re.compile(r"(?<=\w)\+0x[0-9a-f]+/0x[0-9a-f]+"), ""),
    (re.compile(r"CPU#\d+"), "CPU"),
    (re.compile(r"(?<=\W)\d+(?!\w)"), "NUM"),
    (re.compile(r"\d{8,}"), "NUM"),
)

# One system call has many entry points: __x64_sys_read, __se_sys_read, SyS_read, ksys_read.
_ENTRIES = (
    "SYSC_", "SyS_", "compat_SYSC_", "compat_SyS_", "sys_", "ksys_", "__sys_", "___sys_", "____sys_",
    "__do_sys_", "__se_", "__se_sys_", "__x64_", "__ia32_", "__arm64_",
)  # fmt: skip


def stable(title: str) -> str:
    """Return the title without the parts that differ from run to run."""
    title = title[:_LONGEST_SOURCE]
    for pattern, replacement in _UNSTABLE:
        title = pattern.sub(replacement, title)
    title = "".join(ch for ch in title.replace("\t", " ") if " " <= ch <= "~")
    return re.sub(r" +", " ", title)[:_LONGEST].strip()


def short_name(function: str) -> str:
    """Return the shortest name that removing one entry point's prefix gives."""
    return min((function.removeprefix(entry) for entry in _ENTRIES), key=len)


def spellings(function: str) -> list[str]:
    """Return the function's name, and its name without each entry point's prefix that it has."""
    names = [function]
    for entry in _ENTRIES:
        if function.startswith(entry):
            names.append(function.removeprefix(entry))
    return names
