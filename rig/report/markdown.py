# SPDX-License-Identifier: MIT
"""A Markdown document: formatted for a terminal, unchanged for a file or pipe."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.text import Text

__all__ = ["Document"]


class _Verbatim(CodeBlock):
    """A code block whose lines are neither wrapped nor padded, so that a command can be pasted."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(str(self.text).rstrip(), style="cyan", no_wrap=True, overflow="ignore")


class _LeftHeading(Heading):
    """A heading at the left margin."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(str(self.text), style="bold underline" if self.tag == "h1" else "bold")


class _Set(Markdown):
    elements = {**Markdown.elements, "fence": _Verbatim, "code_block": _Verbatim, "heading_open": _LeftHeading}  # noqa: RUF012 -- as in Markdown


class Document:
    """A Markdown text that a console can print."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.is_terminal:
            yield _Set(self.text, hyperlinks=False)
        else:
            yield Text(self.text.rstrip("\n"))
