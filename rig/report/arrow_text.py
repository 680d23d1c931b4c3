# SPDX-License-Identifier: MIT
"""A table of results as text: a pyarrow.Table on the terminal, and rows as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rig.sanitize import for_spreadsheet, plain
from rig.sweep.table import rows_of

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["arrow_csv", "arrow_table", "csv_text"]


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
    """Return the rows of a pyarrow.Table as CSV with a header line."""
    return csv_text(table.schema.names, (list(row.values()) for row in rows_of(table)))


def csv_text(names: Sequence[str] | None, rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV. A map, as a list of pairs, is written as `key=value` pairs.

    names: of the columns, for the header line; None to write no header line.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    if names is not None:
        writer.writerow([for_spreadsheet(name) for name in names])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return target.getvalue()


def _cell(value: Any) -> str:
    return _text(value) if isinstance(value, int | float) else for_spreadsheet(_text(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return " ".join(f"{key}={_text(each)}" for key, each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
