# SPDX-License-Identifier: MIT
"""Standard output as the commands print to it."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

__all__ = ["error_console", "output_console"]

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


class _LineConsole(Console):
    """A console on what is no terminal. It writes a text as it is, where rich would lay it out to the same lines.

    Rich takes a tenth of a millisecond and more for each, and a log may have a million of them.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as Console.print() does."""
        text = None if options or self.record or self._buffer_index or self.color_system else _as_it_is(objects)
        if text is None:
            super().print(*objects, **options)
        else:
            self.file.write(text + "\n")


def _as_it_is(objects: tuple[Any, ...]) -> str | None:
    """Return the lines of one text, which may be indented, or None for what rich has to lay out."""
    if not objects:
        return ""
    text: object = objects[0]
    indent = 0
    if isinstance(text, Padding) and not (text.top or text.right or text.bottom):
        indent, text = text.left, text.renderable
    # Rich expands tabs, and breaks lines that are wider than the console; a character is two columns wide at most.
    if len(objects) > 1 or not isinstance(text, Text) or 2 * len(text.plain) > UNBOUNDED or "\t" in text.plain:
        return None
    return textwrap.indent(text.plain, " " * indent) if indent else text.plain


def output_console(*, highlight: bool = True) -> Console:
    """Return a console on standard output. In a file or pipe no line is wrapped, padded or coloured.

    Nowhere is text in brackets markup, or a name between colons an emoji: a directory, a value or a line of a log may
    have either.
    highlight: colour numbers, paths and the like on a terminal.
    """
    if sys.stdout.isatty():
        return Console(highlight=highlight, markup=False, emoji=False)
    # With a height too, rich does not ask for the terminal's size before each line.
    return _LineConsole(
        file=_Unpadded(),  # type: ignore[arg-type] # it has what rich calls
        width=UNBOUNDED, height=100, highlight=False, markup=False, emoji=False,
    )  # fmt: skip


def error_console() -> Console:
    """Return a console on standard error, for text that is printed as it is."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
