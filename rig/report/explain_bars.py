# SPDX-License-Identifier: MIT
"""Pictures of an explanation in the terminal: memory by holder, zones against their watermarks."""

from __future__ import annotations

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from rig.klog.explain.explanation import Bar, Picture
from rig.klog.explain.words import size
from rig.sanitize import plain

__all__ = ["picture_lines", "picture_table"]

_WIDTH = 26
_LABEL = 30
_GAP = "  "
"""The gap between two columns. It is as wide as that of a rich Table with the default padding."""


def picture_table(picture: Picture, *, indent: int) -> Table:
    """Return a picture as a table without a title: label, bar, size, and the names of the bar's parts.

    A mark is a | on the bar; the first mark is named. A part at the bar's end is drawn as ▒.
    indent: columns to its left. They are a part of the labels: rich's Padding lays a table out twice.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, max_width=indent + _LABEL)
    table.add_column(no_wrap=True, width=_WIDTH)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    for row in _rows(picture, indent):
        table.add_row(*row)
    return table


def picture_lines(picture: Picture, *, indent: int) -> Text:
    """Return the lines of picture_table() without colours, for what is not a terminal.

    Rich takes 6 ms of CPU time to lay out the two tables of a report, and a log may have ten thousand reports.
    """
    rows = _rows(picture, indent)
    label_width = min(max((cell_len(label.plain) for label, *_ in rows), default=0), indent + _LABEL)
    size_width = max((len(amount) for _, _, amount, _ in rows), default=0)
    lines = []
    for label, bar, amount, names in rows:
        label.truncate(label_width, overflow="ellipsis", pad=True)
        lines.append(_GAP.join((label.plain, bar.plain.ljust(_WIDTH), amount.rjust(size_width), names)))
    return Text("\n".join(lines))


def _rows(picture: Picture, indent: int) -> list[tuple[Text, Text, str, str]]:
    rows = []
    for bar in picture.bars:
        marks = [f"{name} {size(value)}" for name, value in bar.marks[:1]]
        marks += [f"▒ {size(value)} {name}" for name, value in bar.parts]
        label = Text(" " * indent + plain(bar.label))
        rows.append((label, _bar(bar, bar.whole(picture)), size(bar.value_kb), ", ".join(marks)))
    return rows


def _bar(bar: Bar, whole: int) -> Text:
    if whole <= 0:
        return Text("")
    filled = min(round(bar.value_kb * _WIDTH / whole), _WIDTH)
    apart = min(round(sum(kb for _name, kb in bar.parts) * _WIDTH / whole), filled)
    cells = ["█"] * (filled - apart) + ["▒"] * apart + ["·"] * (_WIDTH - filled)
    for _name, value in bar.marks:
        cells[min(value * _WIDTH // whole, _WIDTH - 1)] = "|"
    low = bool(bar.marks) and bar.value_kb <= bar.marks[0][1]
    return Text("".join(cells), style="red" if low else "cyan")
