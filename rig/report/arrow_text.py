# SPDX-License-Identifier: MIT
"""A pyarrow.Table as text: a table on the terminal, or comma-separated values."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.table import Table

from rig.sanitize import for_spreadsheet

__all__ = ["arrow_csv", "arrow_table"]


def arrow_table(table: Any) -> Table:
    """Return a table for the terminal, with the columns' names as its header."""
    from rich.table import Table

    shown = Table(box=None, header_style="dim", pad_edge=False)
    for field in table.schema:
        shown.add_column(plain(field.name))
    for row in table.to_pylist():
        shown.add_row(*(plain(_text(value)) for value in row.values()))
    return shown


def arrow_csv(table: Any) -> str:
    """Return the rows as CSV with a header line. A map is written as `key=value` pairs."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([for_spreadsheet(name) for name in table.schema.names])
    writer.writerows([_cell(value) for value in row.values()] for row in table.to_pylist())
    return target.getvalue()


def _cell(value: Any) -> str:
    return _text(value) if isinstance(value, int | float) else for_spreadsheet(_text(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return " ".join(f"{key}={_text(each)}" for key, each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
