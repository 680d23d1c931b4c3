# SPDX-License-Identifier: MIT
"""The bars of the live view: one bar for the guest's whole memory by holder, and below it a bar for each holder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rig.sanitize import plain
from rig.units import format_megabytes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["memory_rows", "stacked_bar"]

# A letter in the bar identifies the holder on a terminal without colour.
STYLES = ("blue", "yellow", "cyan", "magenta", "green", "red")
KINDS = {"free": ("·", "dim"), "kernel and the rest": ("▓", "bright_black"), "page cache": ("▒", "green")}
NARROW = 60
MOST_ROWS = 8


def stacked_bar(parts: Mapping[str, int], total: int, cells: int) -> Text:
    """Return one line of `cells` cells, each holder's share of `total` with its letter; parts and total in kB.

    Shares are rounded so that the cells add up: the edges are, not the widths.
    """
    from rich.text import Text

    bar, upto, drawn = Text(), 0, 0
    for index, (name, size) in enumerate(parts.items()):
        upto += size
        edge = min(cells, round(cells * upto / total)) if total else 0
        letter, style = look(name, index)
        bar.append(letter * (edge - drawn), style)
        drawn = max(drawn, edge)
    bar.append(" " * (cells - drawn))
    return bar


def memory_rows(parts: Mapping[str, int], total: int, width: int) -> list[tuple[str, RenderableType]]:
    """Return rows (name, bar and size) for a terminal `width` wide: all together, then one for each holder."""
    from rich.text import Text

    names = [name for name, size in parts.items() if size * 200 >= total]
    longest = 28 if width >= NARROW else 12
    column = max(len(plain(name, longest=longest)) for name in (*names, "pressure"))
    cells = max(4, min(60, width - column - 13))
    rows: list[tuple[str, RenderableType]] = [
        ("memory", Text.assemble(stacked_bar(parts, total, cells), f" {_megabytes(total)}"))
    ]
    # Keep the order of the bar, because rows that change places are hard to read. If too many, show the largest.
    largest = sorted(names, key=lambda each: -parts[each])[:MOST_ROWS]
    for name in [each for each in names if each in largest]:
        letter, style = look(name, list(parts).index(name))
        # A guest can report more than there is.
        filled = min(cells, max(1, round(cells * parts[name] / total))) if total else 0
        bar = Text.assemble((letter * filled, style), (" " * max(0, cells - filled)), f" {_megabytes(parts[name])}")
        rows.append((plain(name, longest=longest), bar))
    return rows


def look(name: str, index: int) -> tuple[str, str]:
    """Return the letter and the style of a holder."""
    if name in KINDS:
        return KINDS[name]
    if ", shared" in name:
        return "═", "bright_blue"
    first = next((char for char in plain(name) if char.isascii() and char.isalnum()), "#")
    return first, STYLES[index % len(STYLES)]


def _megabytes(kb: int) -> str:
    return format_megabytes(kb << 10)
