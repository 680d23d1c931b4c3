# SPDX-License-Identifier: MIT
"""Standard output as the commands print to it."""

from __future__ import annotations

import re
import sys

from rich.console import Console

__all__ = ["output_console"]

UNBOUNDED = 10_000
"""Columns of what is no terminal: a pipe's reader wants one line a row."""


class _Unpadded:
    """Standard output without the spaces that fill a table's last column."""

    def write(self, text: str) -> int:
        sys.stdout.write(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))
        return len(text)

    def flush(self) -> None:
        sys.stdout.flush()

    def isatty(self) -> bool:
        return False


def output_console(*, highlight: bool = True) -> Console:
    """Return a console on standard output. In a file or pipe no line is wrapped, padded or coloured.
    highlight: colour numbers, paths and the like on a terminal.
    """
    if sys.stdout.isatty():
        return Console(highlight=highlight)
    return Console(file=_Unpadded(), width=UNBOUNDED, highlight=False)  # type: ignore[arg-type] # it has what rich calls
